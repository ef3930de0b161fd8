package rules

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxWarnings is how many warnings of one policy are given. Nobody fixes more at once; the others follow then.
const maxWarnings = 50

// maxCompared bounds how many entries of other policies one entry is compared with, so that a thousand policies which
// all say the same are not compared a million times. Where so many collide, there are warnings enough.
const maxCompared = 64

// maxLinted bounds the entries that are compared with each other, and with them the memory that this takes: some 270 bytes an
// entry. Lists do not count, since their entries are looked up and never copied.
const maxLinted = 100_000

// Warning is a part of a policy that is legal, and usually not what was meant. All of it is in force nevertheless.
type Warning struct {
	// Policy is the policy that the part belongs to.
	Policy PolicyName
	// Path names the part in the object, for example spec.allow.domains[3].
	Path string
	// Message says what looks wrong and how to fix it. It never holds a local part.
	Message string
}

// Warnings returns what looks wrong in policies, each by itself and all of them together, sorted by policy and path. Of
// each policy it gives a bounded number, and then how many more there are. The result depends on the set of policies
// only, not on their order. Of a policy that is not enforceable it says nothing: that is a fault of its own.
//
// A policy in mode Audit is warned of as if it were in Enforce. Others are warned because of it only of names that look
// alike.
func Warnings(policies []Policy) []Warning {
	w := newWarner(policies)
	for i := range w.policies {
		p := &w.policies[i]
		if !p.enforceable {
			continue
		}
		p.warnOfLists()
		p.warnOfOpenEntries()
		p.warnOfIdleParts()
		p.warnOfCovered()
	}
	w.warnOfDeniedElsewhere()
	w.warnOfDuplicates()
	w.warnOfOpenDoors()
	w.warnOfProfiles()
	w.warnOfLookAlikes()

	var all []Warning
	for i := range w.policies {
		all = append(all, w.policies[i].sorted()...)
	}
	return all
}

// warner holds all policies in the form in which they are compared.
type warner struct {
	policies []warnedPolicy // by name
	allow    entryIndex     // the domains that policies allow
	deny     entryIndex     // the domains that policies in mode Enforce deny
	keys     map[string][]entryRef
}

// entryRef is an entry of a policy, by their places.
type entryRef struct{ policy, entry int32 }

// entryIndex finds entries by the name in one of their patterns.
type entryIndex map[string][]entryRef

// warnedPolicy is a policy with its entries as they are in force.
type warnedPolicy struct {
	*Compiled
	entries  []warnedEntry
	allowing map[string]bool // the keys of the addresses that it allows; false: some of the sub-addresses of one
	excepted *nameTree       // their domains; nil without any
	warnings []Warning
}

// warnedEntry is one entry. It has patterns, or keys and the names of their domains; a deny entry may have several.
type warnedEntry struct {
	Entry
	rung     rung
	patterns []pattern
	keys     []string
	dead     bool // it can never let anybody in: there is a warning that says why
}

func newWarner(policies []Policy) *warner {
	w := &warner{policies: make([]warnedPolicy, len(policies)), allow: entryIndex{}, deny: entryIndex{}, keys: map[string][]entryRef{}}
	compiled := make([]*Compiled, len(policies))
	for i := range policies {
		compiled[i] = CompilePolicy(policies[i])
	}
	slices.SortFunc(compiled, (*Compiled).compare)
	left := lintShares(compiled)
	for i, c := range compiled {
		p := &w.policies[i]
		if c.enforceable && c.ruleCount > left[c.name.Namespace] {
			// As a policy that is not enforceable, it takes no part, and gives rise to no warning of others.
			unread := *c
			unread.enforceable = false
			p.Compiled = &unread
			p.warn("spec", "no warnings are given of this policy: all policies together have more than %d entries, and those of this "+
				"namespace before it, by name, use up its share; move entries to lists", maxLinted)
			continue
		}
		if c.enforceable {
			left[c.name.Namespace] -= c.ruleCount
		}
		p.Compiled = c
		p.readEntries()
	}
	for i := range w.policies {
		p := &w.policies[i]
		if !p.enforceable {
			continue
		}
		for j := range p.entries {
			e, ref := &p.entries[j], entryRef{int32(i), int32(j)}
			switch {
			case e.rung == rungAllowAddress:
				w.keys[e.keys[0]] = append(w.keys[e.keys[0]], ref)
			case e.rung == rungAllowDomain || e.rung == rungAllowAny:
				w.allow.add(e, ref)
			case e.rung == rungDenyDomain && p.mode != Audit:
				w.deny.add(e, ref)
			}
		}
	}
	return w
}

// lintShares returns how many entries of each namespace are compared. A namespace with less than an equal share leaves the rest of
// it to the others, so that no tenant takes the warnings of another.
func lintShares(policies []*Compiled) map[string]int {
	shares := map[string]int{}
	for _, c := range policies {
		if c.enforceable {
			shares[c.name.Namespace] += c.ruleCount
		}
	}
	left := maxLinted
	byWant := slices.SortedFunc(maps.Keys(shares), func(a, b string) int { return cmp.Compare(shares[a], shares[b]) })
	for i, namespace := range byWant {
		shares[namespace] = min(shares[namespace], left/(len(byWant)-i))
		left -= shares[namespace]
	}
	return shares
}

// readEntries groups the compiled rules by the entry that they come from, in the order of paths.
func (p *warnedPolicy) readEntries() {
	for rule := range p.rules.all {
		if !rule.further {
			p.entries = append(p.entries, warnedEntry{Entry: rule.entry(), rung: rule.traits.rung()})
		}
		e := &p.entries[len(p.entries)-1]
		key := string(rule.key)
		if e.rung == rungDenyAddress || e.rung == rungAllowAddress {
			e.keys = append(e.keys, key)
			_, domain, _ := strings.Cut(key, "@")
			e.patterns = append(e.patterns, pattern{name: domain, self: true})
		} else {
			e.patterns = append(e.patterns, pattern{key, rule.traits&matchesSelf != 0, rule.traits&matchesBelow != 0})
		}
	}
	p.allowing = map[string]bool{}
	for i := range p.entries {
		if e := &p.entries[i]; e.rung == rungAllowAddress {
			family := subAddressesKey(e.keys[0])
			if !p.allowing[family] { // known, and not written so
				p.allowing[family] = false
			}
			p.allowing[e.keys[0]] = true
			if p.excepted == nil {
				p.excepted = newNameTree()
			}
			p.excepted.add(e.patterns[0].name)
		}
	}
}

// allowsSomeOf says that the policy allows an address that a key means.
func (p *warnedPolicy) allowsSomeOf(key string) bool {
	all, some := p.allowing[subAddressesKey(key)]
	return p.allowing[key] || all || some && isSubAddressesKey(key)
}

// keysMeet says that there is an address that both keys mean.
func keysMeet(a, b string) bool {
	return a == b || isSubAddressesKey(a) && a == subAddressesKey(b) || isSubAddressesKey(b) && b == subAddressesKey(a)
}

func (x entryIndex) add(e *warnedEntry, ref entryRef) {
	for _, pattern := range e.patterns {
		x[pattern.name] = append(x[pattern.name], ref)
	}
}

// at returns the entries at a name itself, and then at each name above it, the root "" included.
func (x entryIndex) at(name string) func(yield func(entryRef) bool) {
	return func(yield func(entryRef) bool) {
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

func (w *warner) entry(ref entryRef) (*warnedPolicy, *warnedEntry) {
	p := &w.policies[ref.policy]
	return p, &p.entries[ref.entry]
}

// covers says that whatever o matches, p matches.
func (p pattern) covers(o pattern) bool {
	if p.name == o.name {
		return (p.self || !o.self) && (p.below || !o.below)
	}
	return p.below && (p.name == "" || strings.HasSuffix(o.name, "."+p.name))
}

// covers says the same of all patterns of two entries of domains.
func (e *warnedEntry) covers(o *warnedEntry) bool {
	for _, pattern := range o.patterns {
		if !slices.ContainsFunc(e.patterns, pattern.coveredBy) {
			return false
		}
	}
	return true
}

func (p pattern) coveredBy(o pattern) bool { return o.covers(p) }

// text returns a pattern as one would write it. Only the domain of an address is given.
func (e *warnedEntry) text() string {
	p := e.patterns[0]
	switch {
	case p.name == "":
		return `"*"`
	case p.self:
		return p.name
	default:
		return "*." + p.name
	}
}

// nameTree holds names, and tells whether there is one in a pattern.
type nameTree struct{ self, below map[string]bool }

func newNameTree() *nameTree { return &nameTree{map[string]bool{}, map[string]bool{}} }

func (t *nameTree) add(name string) {
	t.self[name] = true
	for name != "" {
		_, name, _ = strings.Cut(name, ".")
		t.below[name] = true
	}
}

func (t *nameTree) within(p pattern) bool {
	return t != nil && (p.self && t.self[p.name] || p.below && t.below[p.name])
}

func (p *warnedPolicy) warn(path, format string, values ...any) {
	p.warnings = append(p.warnings, Warning{p.name, path, fmt.Sprintf(format, values...)})
}

// sorted returns the first warnings by path, and says how many there are besides.
func (p *warnedPolicy) sorted() []Warning {
	slices.SortFunc(p.warnings, func(a, b Warning) int {
		listA, indexA := splitPath(a.Path)
		listB, indexB := splitPath(b.Path)
		return cmp.Or(strings.Compare(listA, listB), cmp.Compare(indexA, indexB), strings.Compare(a.Message, b.Message))
	})
	p.warnings = slices.Compact(p.warnings)
	if more := len(p.warnings) - maxWarnings; more > 0 {
		return append(p.warnings[:maxWarnings:maxWarnings], Warning{p.name, "spec", fmt.Sprintf("and %d more", more)})
	}
	return p.warnings
}

func splitPath(path string) (list string, index int) {
	list, rest, _ := strings.Cut(path, "[")
	number, _, _ := strings.Cut(rest, "]")
	index, err := strconv.Atoi(number)
	if err != nil {
		return list, -1
	}
	return list, index
}

// overlaps says that there are calls to which both policies apply.
func (p *warnedPolicy) overlaps(o *warnedPolicy) bool {
	return p.requests&o.requests != 0 && p.sharesSource(o)
}

func (p *warnedPolicy) sharesSource(o *warnedPolicy) bool {
	return len(p.sources) == 0 || len(o.sources) == 0 ||
		slices.ContainsFunc(p.sources, func(s string) bool { _, found := slices.BinarySearch(o.sources, s); return found })
}

// includes says that p applies to every call to which o applies.
func (p *warnedPolicy) includes(o *warnedPolicy) bool {
	if o.requests&^p.requests != 0 {
		return false
	}
	if len(p.sources) == 0 {
		return true
	}
	return len(o.sources) > 0 &&
		!slices.ContainsFunc(o.sources, func(s string) bool { _, found := slices.BinarySearch(p.sources, s); return !found })
}
