package rules

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/pattern"
)

// Rejection is a part of a policy that is not in force. The rest of the policy stays in force.
type Rejection struct {
	// Policy is the policy that the part belongs to.
	Policy PolicyName
	// Path names the part in the object, for example spec.allow.domains[3].
	Path string
	// Message says what is wrong and what to write instead. It never holds a local part.
	Message string
	// Cause is the kind of rejection. "" means CauseEntry.
	Cause RejectionCause
}

// RejectionCause is the kind of a rejection. The set is closed.
type RejectionCause string

const (
	// CauseEntry is an entry, or another value, that is not valid.
	CauseEntry RejectionCause = "InvalidEntry"
	// CauseListNotFound is a list that is missing.
	CauseListNotFound RejectionCause = "ListNotFound"
	// CauseListInvalid is a list that exists, but cannot be used.
	CauseListInvalid RejectionCause = "ListInvalid"
	// CauseOverBudget is a list that would exceed the memory that its namespace may take.
	CauseOverBudget RejectionCause = "OverBudget"
)

// Compile returns the snapshot of the policies, and the parts of them that are not in force, sorted by policy and path.
// It never returns an error, and it fails closed: an invalid part of a policy never allows what a corrected one would
// not. The result does not depend on the order of the policies.
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

// Compiled is one compiled policy. It is immutable, and any number of snapshots may share it. [CompilePolicy] makes
// one.
//
// It takes little more memory than the text of its entries. It refers to no string of its [Policy]: otherwise the
// decoded object would stay in memory.
type Compiled struct {
	name        PolicyName
	digest      [sha256.Size]byte // the same for two spellings of a policy that decide alike: see contentDigest
	mode        Mode
	enforceable bool
	hasAllow    bool
	requests    requestSet
	sources     []string // sorted, unique; empty means all
	scope       string   // the scopeKey of requests and sources
	message     string

	profile   []ProfileAttribute // what mergeProfiles returns: one value for each name, or disputed
	sent      []ProfileAttribute // what Okta gets if only this policy allows
	profileOn requestSet

	rules     ruleBlock
	ruleCount int
	addresses int // how many of the rules are about an address, not a domain
	lists     []listRule

	rejections []Rejection
}

type listRule struct {
	list       *List
	precedence precedence
	entry      Entry
}

// CompilePolicy compiles one policy. Like [Compile], it rejects invalid parts and never returns an error.
func CompilePolicy(policy Policy) *Compiled {
	c := compiler{Compiled: Compiled{
		name:        PolicyName{strings.Clone(policy.Namespace), strings.Clone(policy.Name)},
		mode:        Enforce,
		enforceable: policy.NotUnderstood == "",
		hasAllow:    !policy.Allow.empty(),
		message:     strings.Clone(policy.Message),
	}}
	c.compile(&policy)
	compiled := c.Compiled // a copy: a pointer into the compiler would keep the whole compiler in memory
	return &compiled
}

// Name returns the name of the policy.
func (c *Compiled) Name() PolicyName { return c.name }

// Enforceable reports whether the policy was understood and has every list by which it denies. The calls that a policy
// applies to are denied if the policy is not enforceable and in mode Enforce.
func (c *Compiled) Enforceable() bool { return c.enforceable }

// Rejections returns the parts of the policy that are not in force, sorted by path. For each field, it returns the
// first 50 rejected entries and then one Rejection that counts the others. The caller must not change the result.
func (c *Compiled) Rejections() []Rejection { return c.rejections }

// Same reports whether two policies have the same name and decide every call alike, with the same texts and profiles.
func (c *Compiled) Same(o *Compiled) bool { return c.compare(o) == 0 }

func (c *Compiled) summary() PolicySummary { return PolicySummary{c.name, c.mode, c.enforceable} }

func (c *Compiled) compare(o *Compiled) int {
	return cmp.Or(c.name.Compare(o.name), bytes.Compare(c.digest[:], o.digest[:]))
}

// requestSet is a set of request types, as bits.
type requestSet uint8

const (
	signUps requestSet = 1 << iota
	profileUpdates
	allRequests = signUps | profileUpdates
)

// compiler compiles one policy.
type compiler struct {
	Compiled
	writer   blockWriter
	rejected int // how many entries of the field that is being compiled are invalid
}

func (c *compiler) compile(p *Policy) {
	switch p.Mode {
	case "", Enforce:
	case Audit:
		c.mode = Audit
	default:
		c.unenforceable("spec.mode", "unknown mode; write Enforce or Audit")
	}
	c.appliesTo(p)

	c.writer.block = make(ruleBlock, 0, sizeOfRules(p))
	// Addresses come first, because Compiled.Readings promises this order.
	c.entries(AllowAddresses, p.Allow.Addresses, c.allowAddress)
	c.entries(DenyAddresses, p.Deny.Addresses, c.denyAddress)
	c.entries(AllowDomains, p.Allow.Domains, c.allowDomain)
	c.entries(AllowPublicSuffixes, p.Allow.PublicSuffixes, c.allowDomain)
	c.entries(DenyDomains, p.Deny.Domains, c.denyDomain)
	c.rules, c.ruleCount = fitted(c.writer.block), c.writer.rules
	c.allowLists(p.Allow.Lists)
	c.denyLists(p.Deny.Lists)
	c.setProfile(p.Profile)
	c.setProfileOn(p.ProfileOn)
	slices.SortStableFunc(c.rejections, func(a, b Rejection) int { return strings.Compare(fieldOf(a.Path), fieldOf(b.Path)) })
	c.rejections = slices.Clip(c.rejections)
	c.digest = c.contentDigest()
	if !c.enforceable { // a decision does not read the rules of such a policy
		c.rules, c.ruleCount, c.addresses, c.lists = nil, 0, 0, nil
	}
}

// sizeOfRules estimates how many bytes the rules of a policy take.
func sizeOfRules(p *Policy) int {
	const header = 4
	size := 0
	for _, entries := range [][]string{p.Allow.Addresses, p.Deny.Addresses, p.Allow.Domains, p.Allow.PublicSuffixes, p.Deny.Domains} {
		for _, entry := range entries {
			size += header + min(len(entry), address.MaxLength)
		}
	}
	return min(size, maxPolicyRules)
}

// fitted returns the block without most of its unused capacity.
func fitted(block ruleBlock) ruleBlock {
	if len(block) == 0 {
		return nil
	}
	if cap(block)-len(block) > len(block)/16 {
		return slices.Clone(block)
	}
	return block
}

// maxRejections is how many rejected entries of one field have a Rejection of their own. The others are counted in one:
// they get their own once the author has corrected the first ones.
const maxRejections = 50

// entries calls compile for each entry of one field.
func (c *compiler) entries(field EntryField, entries []string, compile func(Entry, string)) {
	c.rejected = 0
	for i, text := range entries {
		compile(Entry{field, i}, text)
	}
	if more := c.rejected - maxRejections; more > 0 {
		c.rejections = append(c.rejections, Rejection{c.name, field.String(), fmt.Sprintf("and %d more of its entries", more), CauseEntry})
	}
}

// add adds a rule. If the rules take too many bytes, add makes the policy unenforceable: a rule that is left out may be
// a deny, and the policy would then allow too much.
func (c *compiler) add(entry Entry, key string, t traits) {
	if c.writer.add(entry, key, t) {
		return
	}
	if c.enforceable {
		c.unenforceable("spec", fmt.Sprintf("its entries take over %d MiB; move them to a list", maxPolicyRules>>20))
	}
}

// fieldOf returns a path without its index: spec.deny.domains for spec.deny.domains[3]. Rejections are sorted by it and
// not by the path, because [10] would come before [9]; those of one field are already in the order of their indexes.
func fieldOf(path string) string {
	field, _, _ := strings.Cut(path, "[")
	return field
}

// rejectEntry rejects an entry by its path. Beyond maxRejections in one field, it only counts the entry.
func (c *compiler) rejectEntry(entry Entry, message string) {
	if c.rejected++; c.rejected <= maxRejections {
		c.reject(entry.String(), message)
	}
}

func (c *compiler) reject(path, message string) { c.rejectFor(CauseEntry, path, message) }

func (c *compiler) rejectFor(cause RejectionCause, path, message string) {
	c.rejections = append(c.rejections, Rejection{c.name, path, message, cause})
}

// unenforceable rejects a part that decides which calls the policy applies to, or what the policy denies. Without that
// part, the policy could allow too much. It therefore becomes not enforceable: see Compiled.Enforceable.
func (c *compiler) unenforceable(path, message string) {
	c.enforceable = false
	c.reject(path, message)
}

func (c *compiler) appliesTo(p *Policy) {
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
	c.sources = slices.Clip(slices.Compact(slices.Sorted(slices.Values(p.Sources))))
	for i := range c.sources {
		c.sources[i] = strings.Clone(c.sources[i])
	}
	c.scope = scopeKey(c.requests, c.sources)
}

// scopeKey returns the same text for policies that apply to the same calls. It quotes the sources, because a source may
// be empty or contain any separator: without quotes, two different sets of sources could have the same text.
func scopeKey(requests requestSet, sources []string) string {
	return fmt.Sprintf("%d %q", requests, sources)
}

func (c *compiler) denyAddress(entry Entry, text string) {
	keys, rejection := pattern.DenyAddress(text)
	c.rejectDeny(entry, rejection)
	for _, key := range keys {
		c.addAddress(entry, key)
	}
}

func (c *compiler) rejectDeny(entry Entry, rejection pattern.Rejection) {
	if rejection.Ambiguous {
		c.enforceable = false
	}
	if rejection.Message != "" {
		c.rejectEntry(entry, rejection.Message)
	}
}

func (c *compiler) allowAddress(entry Entry, text string) {
	key, rejection := pattern.AllowAddress(text)
	if rejection != "" {
		c.rejectEntry(entry, rejection)
		return
	}
	c.addAddress(entry, key)
}

func (c *compiler) addAddress(entry Entry, key string) {
	c.addresses++
	c.add(entry, key, matchesSelf)
}

func (c *compiler) denyDomain(entry Entry, text string) {
	patterns, rejection := pattern.Deny(text)
	c.rejectDeny(entry, rejection)
	for _, p := range patterns {
		c.add(entry, p.Name, traitsOf(p))
	}
}

func (c *compiler) allowDomain(entry Entry, text string) {
	p, rejection := pattern.Allow(text, entry.Field == AllowPublicSuffixes)
	if rejection != "" {
		c.rejectEntry(entry, rejection)
		return
	}
	c.add(entry, p.Name, traitsOf(p))
}

func traitsOf(p pattern.Pattern) traits {
	var t traits
	if p.Self {
		t |= matchesSelf
	}
	if p.Below {
		t |= matchesBelow
	}
	if p.Name == "" {
		t |= matchesAny
	}
	return t
}

// allowLists adds the lists that allow. A missing one allows nothing.
func (c *compiler) allowLists(uses []ListUse) {
	for i := range uses {
		entry := Entry{AllowLists, i}
		if c.usable(entry, &uses[i]) {
			c.lists = append(c.lists, listRule{uses[i].List, precedenceAllowList, entry})
		}
	}
}

// denyLists adds the lists that deny. If one is missing and not optional, it is unknown what the policy denies, so the
// policy becomes not enforceable.
func (c *compiler) denyLists(uses []ListUse) {
	for i := range uses {
		entry := Entry{DenyLists, i}
		switch {
		case c.usable(entry, &uses[i]):
			c.lists = append(c.lists, listRule{uses[i].List, precedenceDenyList, entry})
		case !uses[i].Optional:
			c.enforceable = false
		}
	}
}

// usable reports whether a list can be used. If not, it rejects the entry, unless the list is optional and its
// ConfigMap does not exist. An optional list that exists and is broken is rejected.
func (c *compiler) usable(entry Entry, use *ListUse) bool {
	switch {
	case use.List != nil && use.List.Fault() == "":
		return true
	case use.List != nil:
		c.rejectFor(CauseListInvalid, entry.String(), fmt.Sprintf("list %s: %s", use, use.List.Fault()))
	case use.OverBudget:
		c.rejectFor(CauseOverBudget, entry.String(), fmt.Sprintf("list %s: %s", use, use.Missing))
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

// setProfileOn sets the request types for which Okta gets the policy's profile. It rejects an unknown one.
func (c *compiler) setProfileOn(requests []RequestType) {
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

func (c *compiler) setProfile(attributes []ProfileAttribute) {
	var values []ProfileAttribute
	for i, attribute := range attributes {
		value, ok := canonicalValue(attribute.Value)
		if !ok {
			c.reject(fmt.Sprintf("spec.profile[%d].value", i), "write a string, number, boolean, or a list of strings")
			value = disputed
		}
		values = append(values, ProfileAttribute{strings.Clone(attribute.Name), value})
	}
	c.profile = slices.Clip(mergeProfiles(values))
	c.sent = sendable(c.profile)
}

// disputed is the value of an attribute for which there are several values, or one that is not valid. Okta gets no
// value for this attribute, even if another policy that allows the call has a valid one.
const disputed = ""

// mergeProfiles returns each attribute once, sorted by name. An attribute with several values gets the value disputed.
func mergeProfiles(attributes []ProfileAttribute) []ProfileAttribute {
	sorted := slices.Clone(attributes)
	slices.SortFunc(sorted, func(a, b ProfileAttribute) int {
		return cmp.Or(strings.Compare(a.Name, b.Name), strings.Compare(a.Value, b.Value))
	})
	var merged []ProfileAttribute
	for _, a := range slices.Compact(sorted) {
		if last := len(merged) - 1; last >= 0 && merged[last].Name == a.Name {
			merged[last].Value = disputed
			continue
		}
		merged = append(merged, a)
	}
	return merged
}

// sendable returns the merged attributes without the disputed ones, which are never sent.
func sendable(merged []ProfileAttribute) []ProfileAttribute {
	var sent []ProfileAttribute
	for _, a := range merged {
		if a.Value != disputed {
			sent = append(sent, a)
		}
	}
	return sent
}

// canonicalValue returns the canonical spelling of a JSON scalar or array of strings, so that equal strings are equal
// texts however they were escaped. It returns false for any other JSON, and for invalid JSON.
func canonicalValue(text string) (string, bool) {
	if !json.Valid([]byte(text)) { // Decode alone ignores text after the value
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

// contentDigest hashes, in canonical form, all parts of the policy that a decision or its texts depend on. The spelling
// and the order of the entries do not change the digest.
func (c *compiler) contentDigest() [sha256.Size]byte {
	statements := make([][]byte, 0, c.ruleCount+len(c.sources)+len(c.lists)+len(c.profile))
	buf := make([]byte, 0, len(c.rules)) // enough: a rule is three bytes and its key in buf, and no shorter in c.rules
	for rule := range c.rules.all {
		begin := len(buf)
		buf = append(buf, 'r', byte(rule.traits.precedence()), byte(rule.traits&(matchesSelf|matchesBelow)))
		buf = append(buf, rule.key...)
		statements = append(statements, buf[begin:len(buf):len(buf)])
	}
	for _, source := range c.sources {
		statements = append(statements, fmt.Appendf(nil, "source=%s", source))
	}
	for _, rule := range c.lists {
		statements = append(statements, fmt.Appendf(nil, "list=%d %s", rule.precedence, rule.list.Digest()))
	}
	for _, attribute := range c.profile {
		statements = append(statements, fmt.Appendf(nil, "profile=%d %s %s", c.profileOn, attribute.Name, attribute.Value))
	}
	slices.SortFunc(statements, bytes.Compare)
	statements = slices.CompactFunc(statements, bytes.Equal)

	hash := sha256.New()
	write := func(text []byte) { // the length comes first: otherwise "ab", "c" and "a", "bc" would hash alike
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		hash.Write(length[:])
		hash.Write(text)
	}
	write([]byte(c.name.Namespace))
	write([]byte(c.name.Name))
	write(fmt.Appendf(nil, "mode=%s enforceable=%t requests=%d hasAllow=%t", c.mode, c.enforceable, c.requests, c.hasAllow))
	write([]byte(c.message))
	for _, statement := range statements {
		write(statement)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
