package lint

import (
	"slices"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/list"
)

// warnOfDeniedElsewhere warns of allow entries that can never allow anyone, because another policy in mode Enforce
// denies all that they allow, in every call that their own policy applies to.
func (l *linter) warnOfDeniedElsewhere() {
	everything, byList := l.denyEverything(), l.denyByList()
	for i := range l.policies {
		p := &l.policies[i]
		if !p.enforceable || !p.hasAllow {
			continue
		}
		if q := firstIncluding(everything, p); q != nil {
			p.warn(DeniedElsewhere, "spec.allow",
				`policy %s denies "*" in all calls to which this policy applies: this policy then allows nobody; `+
					"correct one of the two", q.name)
			for j := range p.entries {
				p.entries[j].ineffective = !p.entries[j].effect.denies() || p.entries[j].ineffective
			}
			continue
		}
		for j := range p.entries {
			if e := &p.entries[j]; !e.effect.denies() && !e.ineffective {
				l.warnOfDenied(p, e, byList)
			}
		}
	}
}

// firstIncluding returns the first of some policies that applies to every call that p applies to, or nil. It ignores p
// itself.
func firstIncluding(some []*policy, p *policy) *policy {
	for _, q := range some[:min(len(some), maxCompared)] {
		if q != p && q.includes(p) {
			return q
		}
	}
	return nil
}

// denyEverything returns the policies in mode Enforce that deny "*", and have no address entry as an exception from it.
func (l *linter) denyEverything() []*policy {
	var found []*policy
	for _, ref := range l.deny[""] {
		q, _ := l.entry(ref)
		if len(q.allowed) == 0 && !slices.Contains(found, q) {
			found = append(found, q)
		}
	}
	return found
}

// denyByList returns the policies in mode Enforce that deny by a list, and that have no allow entry with precedence
// over the list.
func (l *linter) denyByList() []*policy {
	var found []*policy
	for i := range l.policies {
		q := &l.policies[i]
		allowsByName := slices.ContainsFunc(q.entries, func(e entry) bool { return !e.effect.denies() && e.effect != allowAny })
		if q.enforceable && !q.audit && !allowsByName && q.usesList(rules.DenyLists) {
			found = append(found, q)
		}
	}
	return found
}

func (p *policy) usesList(field rules.EntryField) bool {
	return slices.ContainsFunc(p.lists, func(used rules.UsedList) bool { return used.Entry.Field == field })
}

func (l *linter) warnOfDenied(p *policy, e *entry, byList []*policy) {
	deniedBy := func(q *policy, by rules.Entry) {
		e.ineffective = true
		p.warn(DeniedElsewhere, e.String(),
			"policy %s denies all of this (%s) in all calls to which this policy applies, and no other policy can make an "+
				"exception: this entry then allows nobody; correct one of the two", q.name, by)
	}
	for ref := range l.deny.at(e.patterns[0].Name) {
		q, by := l.entry(ref)
		if q != p && by.covers(e) && q.includes(p) && !q.allowsAddressOf(e) {
			deniedBy(q, by.Entry)
			return
		}
	}
	if e.effect == allowAny {
		return
	}
	for _, q := range byList[:min(len(byList), maxCompared)] {
		for _, used := range q.lists {
			if q != p && used.Entry.Field == rules.DenyLists && verdictOn(used.List, e).Denies() && q.includes(p) {
				deniedBy(q, used.Entry)
				return
			}
		}
	}
}

// verdictOn returns what a list says about everything that an allow entry matches. The entry must not be "*".
func verdictOn(l *rules.List, e *entry) list.Verdict {
	p := e.patterns[0]
	switch {
	case len(e.keys) > 0:
		return l.Verdict([]byte(e.keys[0]), []byte(address.SubAddressesKey(e.keys[0])), p.Name)
	case p.Self:
		return l.Verdict(nil, nil, p.Name)
	default:
		return l.Below(p.Name)
	}
}

// allowsAddressOf reports whether an address entry of the policy allows some of the addresses that e allows. e is an
// entry of another policy. Such an address is an exception from the domains that the policy denies.
func (p *policy) allowsAddressOf(e *entry) bool {
	if len(e.keys) > 0 {
		return p.allowsSomeOf(e.keys[0])
	}
	return p.allowedDomains.anyMatches(e.patterns[0])
}

// warnOfDuplicates warns of entries that two policies in mode Enforce have in common: if the author of one removes it,
// the other still allows the same addresses.
func (l *linter) warnOfDuplicates() {
	lists := map[string][]reference{}
	for i := range l.policies {
		for j, used := range l.policies[i].lists {
			if used.Entry.Field == rules.AllowLists && l.policies[i].enforceable {
				lists[used.List.Digest()] = append(lists[used.List.Digest()], reference{int32(i), int32(j)})
			}
		}
	}
	for i := range l.policies {
		p := &l.policies[i]
		if p.audit || !p.enforceable {
			continue
		}
		for j := range p.entries {
			e := &p.entries[j]
			var same []reference
			switch e.effect {
			case allowAddress:
				same = l.keys[e.keys[0]]
			case allowDomain, allowAny:
				same = l.allow[e.patterns[0].Name]
			default:
				continue
			}
			for _, ref := range same[:min(len(same), maxCompared)] {
				q, other := l.entry(ref)
				if q != p && !q.audit && other.patterns[0] == e.patterns[0] && p.overlaps(q) {
					p.warnOfDuplicate(e.Entry, q, other.Entry)
					break
				}
			}
		}
		for _, used := range p.lists {
			same := lists[used.List.Digest()]
			for _, ref := range same[:min(len(same), maxCompared)] {
				if q := &l.policies[ref.policy]; used.Entry.Field == rules.AllowLists && q != p && !q.audit && p.overlaps(q) {
					p.warnOfDuplicate(used.Entry, q, q.lists[ref.entry].Entry)
					break
				}
			}
		}
	}
}

func (p *policy) warnOfDuplicate(entry rules.Entry, q *policy, other rules.Entry) {
	p.warn(InSeveralPolicies, entry.String(),
		"policy %s allows the same (%s), for some of the same calls: taken out of one of the two, it is still allowed by "+
			"the other; keep it in one", q.name, other)
}

// warnOfUnlimitedAny warns of a policy that allows "*", if it applies to calls for which no policy in mode Enforce
// denies anything.
func (l *linter) warnOfUnlimitedAny() {
	denying := map[string]requestSet{} // by source: the request types for which a policy that names the source denies
	var always requestSet              // the request types for which a policy that applies to all sources denies
	for i := range l.policies {
		p := &l.policies[i]
		if p.audit || p.enforceable && !p.denies() {
			continue
		}
		if len(p.sources) == 0 {
			always |= p.requests
		}
		for _, source := range p.sources {
			denying[source] |= p.requests
		}
	}
	for i := range l.policies {
		p := &l.policies[i]
		open := p.enforceable && len(p.sources) == 0 && p.requests&^always != 0
		for _, source := range p.sources {
			open = open || p.enforceable && p.requests&^(always|denying[source]) != 0
		}
		if !open || p.audit && p.denies() {
			continue
		}
		for j := range p.entries {
			if e := &p.entries[j]; e.effect == allowAny {
				p.warn(Everybody, e.String(), `"*" allows every address, and no policy in mode Enforce denies any in some of these calls: `+
					"everybody may sign up; name the domains that are meant, or add spec.deny")
			}
		}
	}
}

func (p *policy) denies() bool {
	return slices.ContainsFunc(p.entries, func(e entry) bool { return e.effect.denies() }) || p.usesList(rules.DenyLists)
}
