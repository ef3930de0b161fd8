// Package lint warns of parts of policies that are valid, but probably not what their author meant. Its warnings have
// no influence on decisions.
package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/pattern"
)

// maxWarnings is the maximum number of warnings of one policy. Once their author has fixed these, the others appear.
const maxWarnings = 50

// maxCompared is the maximum number of entries at one name that one entry is compared with. Without it, a thousand
// policies with the same entry would cost a million comparisons. Warnings about the first 64 are enough for an author.
const maxCompared = 64

// maxLinted is the maximum number of readings of entries, of all policies together, that are compared. Each takes some
// 270 bytes of memory. Entries of lists do not count: they are looked up in the compiled list and not copied.
const maxLinted = 100_000

// Warning is a part of a policy that is valid and in force, but probably not what was meant.
type Warning struct {
	// Policy is the policy that the part belongs to.
	Policy rules.PolicyName
	// Path names the part in the object, for example spec.allow.domains[3].
	Path string
	// Message says what looks wrong and how to fix it. It never contains a local part.
	Message string
	// ID is the kind of warning.
	ID ID
}

// Policy is a policy as its author wrote it, with its compiled form.
type Policy struct {
	rules.Policy
	// Compiled is what [rules.CompilePolicy] returned for the policy, or nil. [Warnings] compiles a policy without it.
	Compiled *rules.Compiled
}

// Warnings returns what looks wrong in each policy and between policies, sorted by policy and path. For each policy, it
// returns the first 50 warnings and then one that counts the others. The result does not depend on the order of the
// policies. A policy that is not enforceable gets no warnings, since its rejections must be fixed first.
//
// A policy in mode Audit gets the warnings that it would get in mode Enforce. It causes no warnings of other policies,
// except about domains that look alike.
func Warnings(policies []Policy) []Warning {
	l := newLinter(policies)
	for i := range l.policies {
		p := &l.policies[i]
		if !p.enforceable {
			continue
		}
		p.warnOfLists()
		p.warnOfOpenEntries()
		p.warnOfUnusedParts()
		p.warnOfCovered()
	}
	l.warnOfDeniedElsewhere()
	l.warnOfDuplicates()
	l.warnOfUnlimitedAny()
	l.warnOfProfiles()
	l.warnOfLookAlikes()

	var all []Warning
	for i := range l.policies {
		all = append(all, l.policies[i].sorted()...)
	}
	return all
}

// linter holds all policies, and indexes by which their entries are compared.
type linter struct {
	policies []policy               // sorted by name
	allow    nameIndex              // the domain entries that allow
	deny     nameIndex              // the domain entries that deny, of policies in mode Enforce
	keys     map[string][]reference // the address entries that allow, by their key
}

// reference identifies an entry by the index of its policy in linter.policies and its index in policy.entries.
type reference struct{ policy, entry int32 }

// nameIndex has domain entries by the name in their pattern: acme.com for *.acme.com, "" for "*". An entry with several
// patterns is at several names.
type nameIndex map[string][]reference

// policy is a policy with what the warnings need to know about it.
type policy struct {
	name        rules.PolicyName
	source      *rules.Policy // as written
	enforceable bool
	audit       bool
	hasAllow    bool
	requests    requestSet // the request types that it applies to
	sources     []string   // sorted; empty means all
	profileOn   requestSet
	profile     []rules.ProfileAttribute // with canonical values
	lists       []rules.UsedList         // the lists that are not missing and have no fault

	entries []entry // those in force
	// allowed has the keys of the address entries that allow, with the value true. For the key of jo@acme.com or
	// jo+x@acme.com, it also has the key of jo+*@acme.com, with the value false unless it is an entry too. allowsSomeOf
	// can then tell whether the policy allows some of jo+*@acme.com.
	allowed        map[string]bool
	allowedDomains *nameTree // the domains of allowed addresses; nil if there are none
	warnings       []Warning
}

// entry is one entry of a policy: of a domain, or of an address. A deny entry may have several readings, see
// [rules.Reading].
type entry struct {
	rules.Entry
	effect   effect
	patterns []pattern.Pattern // for each reading: the domain pattern, or the domain of the address
	keys     []string          // for each reading of an address entry: the canonical address
	// ineffective: the entry can never allow anyone, and has a warning that says why.
	ineffective bool
}

// effect is what an entry does: it allows or denies an address or a domain, or allows everything.
type effect uint8

const (
	denyAddress effect = iota
	allowAddress
	denyDomain
	allowDomain
	allowAny // the entry "*"
)

func effectOf(r *rules.Reading, key string) effect {
	switch {
	case r.Field == rules.DenyAddresses:
		return denyAddress
	case r.Field == rules.AllowAddresses:
		return allowAddress
	case r.Field == rules.DenyDomains:
		return denyDomain
	case key == "":
		return allowAny
	default:
		return allowDomain
	}
}

func (e effect) denies() bool { return e == denyAddress || e == denyDomain }

// requestSet is a set of request types, as bits.
type requestSet uint8

const (
	signUps requestSet = 1 << iota
	profileUpdates
	allRequests = signUps | profileUpdates
)

// requestBits returns the set with one request type. It returns the empty set for an unknown type.
func requestBits(request rules.RequestType) requestSet {
	switch request {
	case rules.SelfServiceRegistration:
		return signUps
	case rules.ProgressiveProfile:
		return profileUpdates
	default:
		return 0
	}
}

// appliesTo returns the request types that a policy applies to. A policy that names none, or an unknown one, applies to
// all.
func appliesTo(requests []rules.RequestType) requestSet {
	var set requestSet
	for _, request := range requests {
		bits := requestBits(request)
		if bits == 0 {
			return allRequests
		}
		set |= bits
	}
	if set == 0 {
		return allRequests
	}
	return set
}

// profileOn returns the request types on which a policy sends its profile, from its field profileOn.
func profileOn(requests []rules.RequestType) requestSet {
	if len(requests) == 0 {
		return signUps
	}
	var set requestSet
	for _, request := range requests {
		set |= requestBits(request)
	}
	return set
}

func newLinter(policies []Policy) *linter {
	l := &linter{policies: make([]policy, len(policies)), allow: nameIndex{}, deny: nameIndex{}, keys: map[string][]reference{}}
	compiled := sortedByName(policies)
	left := lintShares(compiled)
	for i := range compiled {
		c := &compiled[i]
		l.policies[i] = newPolicy(c)
		p := &l.policies[i]
		if !p.enforceable {
			continue
		}
		if c.readings > left[c.Name().Namespace] {
			// From here on the policy counts as not enforceable, so that no comparison with it is made.
			p.enforceable = false
			p.warn(NotCompared, "spec", "no warnings are given of this policy: all policies together have more than %d entries, and those of this "+
				"namespace before it, by name, use up its share; move entries to lists", maxLinted)
			continue
		}
		left[c.Name().Namespace] -= c.readings
		p.readEntries(c.Compiled)
	}
	for i := range l.policies {
		p := &l.policies[i]
		for j := range p.entries {
			e, ref := &p.entries[j], reference{int32(i), int32(j)}
			switch {
			case e.effect == allowAddress:
				l.keys[e.keys[0]] = append(l.keys[e.keys[0]], ref)
			case e.effect == allowDomain || e.effect == allowAny:
				l.allow.add(e, ref)
			case e.effect == denyDomain && !p.audit:
				l.deny.add(e, ref)
			}
		}
	}
	return l
}

// compiledPolicy is a compiled policy with the policy that it was compiled from.
type compiledPolicy struct {
	*rules.Compiled
	source   *rules.Policy
	readings int // the number of readings of all its entries, see [rules.Reading]
}

// sortedByName returns the policies sorted by name. It compiles those that are not compiled yet.
func sortedByName(policies []Policy) []compiledPolicy {
	compiled := make([]compiledPolicy, len(policies))
	for i := range policies {
		compiled[i] = compiledPolicy{Compiled: policies[i].Compiled, source: &policies[i].Policy}
		if compiled[i].Compiled == nil {
			compiled[i].Compiled = rules.CompilePolicy(policies[i].Policy)
		}
		for range compiled[i].Readings() {
			compiled[i].readings++
		}
	}
	slices.SortFunc(compiled, func(a, b compiledPolicy) int {
		if c := a.Name().Compare(b.Name()); c != 0 {
			return c
		}
		return strings.Compare(rules.DigestOf([]*rules.Compiled{a.Compiled}), rules.DigestOf([]*rules.Compiled{b.Compiled}))
	})
	return compiled
}

// lintShares returns how many readings of each namespace are compared. All namespaces have equal shares of maxLinted,
// and what a namespace does not need of its share goes to the others. Without shares, one namespace with many entries
// could use up maxLinted, and the others would get no warnings.
func lintShares(policies []compiledPolicy) map[string]int {
	shares := map[string]int{}
	for i := range policies {
		if c := &policies[i]; c.Enforceable() {
			shares[c.Name().Namespace] += c.readings
		}
	}
	left := maxLinted
	byNeed := slices.SortedFunc(maps.Keys(shares), func(a, b string) int { return cmp.Compare(shares[a], shares[b]) })
	for i, namespace := range byNeed {
		shares[namespace] = min(shares[namespace], left/(len(byNeed)-i))
		left -= shares[namespace]
	}
	return shares
}

func newPolicy(c *compiledPolicy) policy {
	allow := &c.source.Allow
	p := policy{
		name: c.Name(), source: c.source, enforceable: c.Enforceable(), audit: c.source.Mode == rules.Audit,
		hasAllow:  len(allow.Domains)+len(allow.PublicSuffixes)+len(allow.Addresses)+len(allow.Lists) > 0,
		requests:  appliesTo(c.source.RequestTypes),
		sources:   slices.Sorted(slices.Values(c.source.Sources)),
		profileOn: profileOn(c.source.ProfileOn),
		profile:   c.Profile(),
	}
	for _, used := range c.source.UsedLists() {
		if used.List != nil && used.List.Fault() == "" {
			p.lists = append(p.lists, used)
		}
	}
	return p
}

// readEntries sets the fields entries, allowed and allowedDomains.
func (p *policy) readEntries(compiled *rules.Compiled) {
	p.allowed = map[string]bool{}
	for r := range compiled.Readings() {
		key := r.Key()
		if last := len(p.entries) - 1; last < 0 || p.entries[last].Entry != r.Entry {
			p.entries = append(p.entries, entry{Entry: r.Entry, effect: effectOf(&r, key)})
		}
		e := &p.entries[len(p.entries)-1]
		if e.effect == denyAddress || e.effect == allowAddress {
			_, domain, _ := strings.Cut(key, "@")
			e.keys = append(e.keys, key)
			e.patterns = append(e.patterns, pattern.Pattern{Name: domain, Self: true})
		} else {
			e.patterns = append(e.patterns, pattern.Pattern{Name: key, Self: r.Self, Below: r.Below})
		}
	}
	for i := range p.entries {
		if e := &p.entries[i]; e.effect == allowAddress {
			withSubAddresses := address.SubAddressesKey(e.keys[0])
			if !p.allowed[withSubAddresses] { // it is true if an earlier entry has exactly this key
				p.allowed[withSubAddresses] = false
			}
			p.allowed[e.keys[0]] = true
			if p.allowedDomains == nil {
				p.allowedDomains = newNameTree()
			}
			p.allowedDomains.add(e.patterns[0].Name)
		}
	}
}

// allowsSomeOf reports whether an address entry of the policy allows the address of a key. For a key such as that of
// jo+*@acme.com, one of its addresses is enough.
func (p *policy) allowsSomeOf(key string) bool {
	all, some := p.allowed[address.SubAddressesKey(key)]
	return p.allowed[key] || all || some && address.IsSubAddressesKey(key)
}

func (x nameIndex) add(e *entry, ref reference) {
	for _, p := range e.patterns {
		x[p.Name] = append(x[p.Name], ref)
	}
}

// at yields the entries at a name, and then those at each parent of the name, up to the root "". At each name, it
// yields at most maxCompared entries.
func (x nameIndex) at(name string) func(yield func(reference) bool) {
	return func(yield func(reference) bool) {
		for {
			refs := x[name]
			for _, ref := range refs[:min(len(refs), maxCompared)] {
				if !yield(ref) {
					return
				}
			}
			if name == "" {
				return
			}
			_, name, _ = strings.Cut(name, ".")
		}
	}
}

func (l *linter) entry(ref reference) (*policy, *entry) {
	p := &l.policies[ref.policy]
	return p, &p.entries[ref.entry]
}

// covers reports whether e matches every domain that o matches. Of address entries, it compares only the domains.
func (e *entry) covers(o *entry) bool {
	for _, covered := range o.patterns {
		if !e.coversPattern(covered) {
			return false
		}
	}
	return true
}

func (e *entry) coversPattern(covered pattern.Pattern) bool {
	return slices.ContainsFunc(e.patterns, func(p pattern.Pattern) bool { return p.Covers(covered) })
}

// deniesAll reports whether the entry is a deny of "*".
func (e *entry) deniesAll() bool {
	return e.effect == denyDomain && slices.Contains(e.patterns, pattern.Any)
}

// text returns the entry as its author would write it. For an address, it returns only the domain.
func (e *entry) text() string {
	if e.patterns[0].Name == "" {
		return `"*"`
	}
	return e.patterns[0].String()
}

// nameTree is a set of domains and their parents. anyMatches uses the parents to tell whether a wildcard matches one of
// the domains.
type nameTree struct{ names, parents map[string]bool }

func newNameTree() *nameTree { return &nameTree{map[string]bool{}, map[string]bool{}} }

func (t *nameTree) add(name string) {
	t.names[name] = true
	for name != "" {
		_, name, _ = strings.Cut(name, ".")
		t.parents[name] = true
	}
}

func (t *nameTree) anyMatches(p pattern.Pattern) bool {
	return t != nil && (p.Self && t.names[p.Name] || p.Below && t.parents[p.Name])
}

func (p *policy) warn(id ID, path, format string, values ...any) {
	p.warnings = append(p.warnings, Warning{p.name, path, fmt.Sprintf(format, values...), id})
}

// sorted returns the policy's first maxWarnings warnings, sorted by path, and then one that counts the others.
func (p *policy) sorted() []Warning {
	slices.SortFunc(p.warnings, func(a, b Warning) int {
		fieldA, indexA := splitPath(a.Path)
		fieldB, indexB := splitPath(b.Path)
		return cmp.Or(strings.Compare(fieldA, fieldB), cmp.Compare(indexA, indexB), strings.Compare(a.Message, b.Message))
	})
	p.warnings = slices.Compact(p.warnings)
	if more := len(p.warnings) - maxWarnings; more > 0 {
		return append(p.warnings[:maxWarnings:maxWarnings], Warning{p.name, "spec", fmt.Sprintf("and %d more", more), More})
	}
	return p.warnings
}

// splitPath splits the path of an entry, such as spec.allow.domains[3], into its field and its index. The index is 0 for
// a path without one.
func splitPath(path string) (field string, index int) {
	field, rest, _ := strings.Cut(path, "[")
	number, _, _ := strings.Cut(rest, "]")
	index, _ = strconv.Atoi(number)
	return field, index
}

// overlaps reports whether there are calls that both policies apply to.
func (p *policy) overlaps(o *policy) bool { return p.requests&o.requests != 0 && p.sharesSource(o) }

func (p *policy) sharesSource(o *policy) bool {
	return len(p.sources) == 0 || len(o.sources) == 0 || slices.ContainsFunc(p.sources, o.namesSource)
}

// includes reports whether p applies to every call that o applies to.
func (p *policy) includes(o *policy) bool {
	if o.requests&^p.requests != 0 {
		return false
	}
	if len(p.sources) == 0 {
		return true
	}
	return len(o.sources) > 0 &&
		!slices.ContainsFunc(o.sources, func(source string) bool { return !p.namesSource(source) })
}

func (p *policy) namesSource(source string) bool {
	_, found := slices.BinarySearch(p.sources, source)
	return found
}
