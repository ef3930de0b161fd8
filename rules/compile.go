package rules

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// Rejection is a part of a policy that is not in force. Everything else of the policy is.
type Rejection struct {
	// Policy is the policy that the part belongs to.
	Policy PolicyName
	// Path names the part in the object, for example spec.allow.domains[3].
	Path string
	// Message says what is wrong and what to write instead. It never holds a local part.
	Message string
	// Cause is the sort of fault. "" means CauseEntry.
	Cause RejectionCause
}

// RejectionCause is why a part of a policy is not in force. The set is closed.
type RejectionCause string

const (
	// CauseEntry is an entry, or another value, that may not be used.
	CauseEntry RejectionCause = "InvalidEntry"
	// CauseListNotFound is a list that is missing.
	CauseListNotFound RejectionCause = "ListNotFound"
	// CauseListInvalid is a list that is there and cannot be used.
	CauseListInvalid RejectionCause = "ListInvalid"
)

// Compile returns the rules that the policies make together, and the parts of them that could not be used, sorted by policy
// and path. It is total: whatever is wrong with a policy never allows what a well-formed reading of it would not.
// The result depends on the set of policies only, not on their order.
func Compile(policies []Policy) (*Snapshot, []Rejection) {
	compiled := make([]*Compiled, len(policies))
	for i := range policies {
		compiled[i] = CompilePolicy(policies[i])
	}
	slices.SortFunc(compiled, (*Compiled).compare)
	var rejections []Rejection
	for i := range compiled {
		rejections = append(rejections, compiled[i].Rejections()...)
	}
	return Assemble(nil, compiled), rejections
}

// Compiled is one compiled policy. It is immutable, and any number of snapshots may share it. It is made by [CompilePolicy].
type Compiled struct {
	policy compiledPolicy
}

// CompilePolicy compiles one policy. It is total, as [Compile] is.
func CompilePolicy(policy Policy) *Compiled { return &Compiled{compilePolicy(&policy)} }

// Name returns the name of the policy.
func (c *Compiled) Name() PolicyName { return c.policy.name }

// Enforceable is false for a policy that could not be understood, or that lacks a list by which it denies.
func (c *Compiled) Enforceable() bool { return c.policy.enforceable }

// Rejections returns the parts of the policy that could not be used, sorted by path. They must not be changed.
func (c *Compiled) Rejections() []Rejection { return c.policy.rejections }

func (c *Compiled) compare(o *Compiled) int {
	return cmp.Or(c.policy.name.Compare(o.policy.name), slices.Compare(c.policy.canon, o.policy.canon))
}

// Assemble returns the rules that compiled policies make together: the same, with the same digest, as [Compile] returns for the
// policies that they were compiled from, whatever their order. It may share parts of an earlier snapshot; nil is none.
func Assemble(_ *Snapshot, policies []*Compiled) *Snapshot {
	sorted := slices.SortedFunc(slices.Values(policies), (*Compiled).compare)
	compiled := make([]compiledPolicy, len(sorted))
	for i := range sorted {
		compiled[i] = sorted[i].policy
	}
	return newSnapshot(compiled)
}

// Requests of a call, as a set of bits.
type requestSet uint8

const (
	signUps requestSet = 1 << iota
	profileUpdates
	allRequests = signUps | profileUpdates
)

// The ladder: of all entries of a policy that match an address, one on the lowest rung gives the policy's verdict. An address
// beats a domain, deny beats allow on its level, what is written by hand beats what comes from a list, and "*" is last.
type rung uint8

const (
	rungDenyAddress rung = iota
	rungAllowAddress
	rungDenyDomain
	rungAllowDomain
	rungDenyList
	rungAllowList
	rungAllowAny
)

func (r rung) denies() bool { return r == rungDenyAddress || r == rungDenyDomain || r == rungDenyList }

// compiledPolicy is a policy as the snapshot is built from it.
type compiledPolicy struct {
	name        PolicyName
	audit       bool
	enforceable bool
	requests    requestSet
	sources     []string // sorted, unique; empty means all
	hasAllow    bool
	domains     []domainRule
	addresses   []addressRule
	lists       []listRule
	profile     []ProfileAttribute // settled
	profileOn   requestSet
	message     string

	canon      []string // what the policy says, in canonical words: the same for every spelling that decides alike
	rejections []Rejection
}

type domainRule struct {
	pattern
	rung  rung
	entry Entry
}

type addressRule struct {
	key   string
	rung  rung
	entry Entry
}

type listRule struct {
	list  *List
	rung  rung
	entry Entry
}

func compilePolicy(p *Policy) compiledPolicy {
	c := compiledPolicy{
		name:        p.PolicyName,
		audit:       p.Mode == Audit,
		enforceable: p.NotUnderstood == "",
		hasAllow:    !p.Allow.empty(),
		message:     p.Message,
	}
	if p.Mode != "" && p.Mode != Enforce && p.Mode != Audit {
		c.unenforceable("spec.mode", "unknown mode; write Enforce or Audit")
	}
	c.appliesTo(p)

	c.allowAddresses(p.Allow.Addresses)
	c.allowDomains(AllowDomains, p.Allow.Domains)
	c.allowDomains(AllowPublicSuffixes, p.Allow.PublicSuffixes)
	c.denyAddresses(p.Deny.Addresses)
	c.denyDomains(p.Deny.Domains)
	c.allowLists(p.Allow.Lists)
	c.denyLists(p.Deny.Lists)
	c.setProfile(p.Profile)
	c.setProfileOn(p.ProfileOn)
	slices.SortStableFunc(c.rejections, func(a, b Rejection) int { return strings.Compare(listOf(a.Path), listOf(b.Path)) })
	c.canon = c.canonical()
	return c
}

// listOf returns a path without the index of its item: within a list, rejections are in order as they come.
func listOf(path string) string {
	list, _, _ := strings.Cut(path, "[")
	return list
}

func (c *compiledPolicy) reject(path, message string) { c.rejectFor(CauseEntry, path, message) }

func (c *compiledPolicy) rejectFor(cause RejectionCause, path, message string) {
	c.rejections = append(c.rejections, Rejection{c.name, path, message, cause})
}

// unenforceable is for faults that leave open which calls a policy decides, or how: the calls that it may apply to are denied.
func (c *compiledPolicy) unenforceable(path, message string) {
	c.enforceable = false
	c.reject(path, message)
}

func (c *compiledPolicy) appliesTo(p *Policy) {
	for i, request := range p.RequestTypes {
		switch request {
		case SelfServiceRegistration:
			c.requests |= signUps
		case ProgressiveProfile:
			c.requests |= profileUpdates
		default:
			c.unenforceable(fmt.Sprintf("spec.appliesTo.requestTypes[%d]", i),
				"unknown request type; write SelfServiceRegistration or ProgressiveProfile")
			c.requests = allRequests
		}
	}
	if c.requests == 0 {
		c.requests = allRequests
	}
	c.sources = slices.Compact(slices.Sorted(slices.Values(p.Sources)))
}

func (c *compiledPolicy) denyAddresses(entries []string) {
	for i, text := range entries {
		entry := Entry{DenyAddresses, i}
		keys, fault := compileDenyAddress(text)
		c.denyFault(entry, fault)
		for _, key := range keys {
			c.addresses = append(c.addresses, addressRule{key, rungDenyAddress, entry})
		}
	}
}

func (c *compiledPolicy) denyFault(entry Entry, fault denyFault) {
	switch {
	case fault.unknown:
		c.unenforceable(entry.String(), fault.text)
	case fault.text != "":
		c.reject(entry.String(), fault.text)
	}
}

func (c *compiledPolicy) allowAddresses(entries []string) {
	for i, text := range entries {
		entry := Entry{AllowAddresses, i}
		key, refusal := compileAddress(text)
		if refusal != "" {
			c.reject(entry.String(), refusal)
			continue
		}
		c.addresses = append(c.addresses, addressRule{key, rungAllowAddress, entry})
	}
}

func (c *compiledPolicy) denyDomains(entries []string) {
	for i, text := range entries {
		entry := Entry{DenyDomains, i}
		patterns, fault := compileDeny(text)
		c.denyFault(entry, fault)
		for _, pattern := range patterns {
			c.domains = append(c.domains, domainRule{pattern, rungDenyDomain, entry})
		}
	}
}

func (c *compiledPolicy) allowDomains(field EntryField, entries []string) {
	for i, text := range entries {
		entry := Entry{field, i}
		pattern, refusal := compileAllow(text, field == AllowPublicSuffixes)
		if refusal != "" {
			c.reject(entry.String(), refusal)
			continue
		}
		rung := rungAllowDomain
		if pattern.name == "" {
			rung = rungAllowAny
		}
		c.domains = append(c.domains, domainRule{pattern, rung, entry})
	}
}

// allowLists takes up the lists that allow. One that is missing allows nothing.
func (c *compiledPolicy) allowLists(uses []ListUse) {
	for i := range uses {
		entry := Entry{AllowLists, i}
		if c.usable(entry, &uses[i]) {
			c.lists = append(c.lists, listRule{uses[i].List, rungAllowList, entry})
		}
	}
}

// denyLists takes up the lists that deny. Without one of them it cannot be told whom the policy denies, unless its author says
// that it may be missing.
func (c *compiledPolicy) denyLists(uses []ListUse) {
	for i := range uses {
		entry := Entry{DenyLists, i}
		switch {
		case c.usable(entry, &uses[i]):
			c.lists = append(c.lists, listRule{uses[i].List, rungDenyList, entry})
		case !uses[i].Optional:
			c.enforceable = false
		}
	}
}

// usable says whether there is a list to go by, and rejects the entry if not. An optional one may be absent; what is there and
// cannot be used is a fault all the same.
func (c *compiledPolicy) usable(entry Entry, use *ListUse) bool {
	switch {
	case use.List != nil && use.List.Fault() == "":
		return true
	case use.List != nil:
		c.rejectFor(CauseListInvalid, entry.String(), fmt.Sprintf("list %s: %s", use, use.List.Fault()))
	case use.Broken:
		c.rejectFor(CauseListInvalid, entry.String(), fmt.Sprintf("list %s: %s", use, use.Missing))
	case use.Optional:
	case use.Missing != "":
		c.rejectFor(CauseListNotFound, entry.String(), fmt.Sprintf("list %s: %s", use, use.Missing))
	default:
		c.rejectFor(CauseListNotFound, entry.String(), fmt.Sprintf("list %s: there is no such ConfigMap in the namespace, "+
			"or it lacks the label that a list must have (kubectl label configmap %s registrationpolicy.dev/list=true)", use, use.Name))
	}
	return false
}

// setProfileOn takes up the request types on which attributes are sent. For one that is unknown, none is.
func (c *compiledPolicy) setProfileOn(requests []RequestType) {
	if len(requests) == 0 {
		c.profileOn = signUps
	}
	for i, request := range requests {
		switch request {
		case SelfServiceRegistration:
			c.profileOn |= signUps
		case ProgressiveProfile:
			c.profileOn |= profileUpdates
		default:
			c.reject(fmt.Sprintf("spec.profileOn[%d]", i), "unknown request type; write SelfServiceRegistration or ProgressiveProfile")
		}
	}
}

func (c *compiledPolicy) setProfile(attributes []ProfileAttribute) {
	var values []ProfileAttribute
	for i, attribute := range attributes {
		value, ok := canonicalValue(attribute.Value)
		if !ok {
			c.reject(fmt.Sprintf("spec.profile[%d].value", i), "write a string, number, boolean, or a list of strings")
			value = disputed
		}
		values = append(values, ProfileAttribute{attribute.Name, value})
	}
	c.profile = settle(values)
}

// disputed is the value of an attribute for which there are several values, or one that cannot be used. It is never sent, and
// lets no other value be.
const disputed = ""

// settle returns the attributes sorted by name and once each; those with several values are disputed.
func settle(attributes []ProfileAttribute) []ProfileAttribute {
	sorted := slices.Clone(attributes)
	slices.SortFunc(sorted, func(a, b ProfileAttribute) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	var settled []ProfileAttribute
	for _, a := range slices.Compact(sorted) {
		if last := len(settled) - 1; last >= 0 && settled[last].Name == a.Name {
			settled[last].Value = disputed
			continue
		}
		settled = append(settled, a)
	}
	return settled
}

// undisputed returns what of settled attributes is sent.
func undisputed(settled []ProfileAttribute) []ProfileAttribute {
	var sent []ProfileAttribute
	for _, a := range settled {
		if a.Value != disputed {
			sent = append(sent, a)
		}
	}
	return sent
}

// canonicalValue returns the one spelling of a JSON scalar or list of strings, so that equal values compare as equal text.
func canonicalValue(text string) (string, bool) {
	if !json.Valid([]byte(text)) { // Decode alone leaves what follows the value unread
		return "", false
	}
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return "", false
	}
	switch value := value.(type) {
	case map[string]any:
		return "", false
	case []any:
		for _, item := range value {
			if _, ok := item.(string); !ok {
				return "", false
			}
		}
	}
	canonical, err := json.Marshal(value)
	return string(canonical), err == nil
}

// canonical returns what the policy says in a form that does not depend on spelling or on the order of its lists.
func (c *compiledPolicy) canonical() []string {
	words := []string{
		fmt.Sprintf("audit=%t enforceable=%t requests=%d hasAllow=%t", c.audit, c.enforceable, c.requests, c.hasAllow),
		"message=" + c.message,
	}
	for _, source := range c.sources {
		words = append(words, "source="+source)
	}
	for _, rule := range c.domains {
		words = append(words, fmt.Sprintf("domain=%d %t %t %s", rule.rung, rule.self, rule.below, rule.name))
	}
	for _, rule := range c.addresses {
		words = append(words, fmt.Sprintf("address=%d %s", rule.rung, rule.key))
	}
	for _, rule := range c.lists {
		words = append(words, fmt.Sprintf("list=%d %s", rule.rung, rule.list.digest))
	}
	for _, attribute := range c.profile {
		words = append(words, fmt.Sprintf("profile=%d %s %s", c.profileOn, attribute.Name, attribute.Value))
	}
	slices.Sort(words)
	return slices.Compact(words)
}
