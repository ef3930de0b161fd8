package rules

import (
	"fmt"
	"slices"
)

// warnOfDeniedElsewhere warns of allow entries by which nobody can come in, because another policy in mode Enforce
// denies all that they allow, in every call to which their own policy applies.
func (w *warner) warnOfDeniedElsewhere() {
	everything, byList := w.denyEverything(), w.denyByList()
	for i := range w.policies {
		p := &w.policies[i]
		if !p.enforceable || !p.hasAllow {
			continue
		}
		if q := firstOf(everything, p); q != nil {
			p.warn("spec.allow", `policy %s denies "*" in all calls to which this policy applies: nobody comes in by this policy; `+
				"correct one of the two", q.name)
			for j := range p.entries {
				p.entries[j].dead = !p.entries[j].rung.denies() || p.entries[j].dead
			}
			continue
		}
		for j := range p.entries {
			if e := &p.entries[j]; !e.rung.denies() && !e.dead {
				w.warnOfDenied(p, e, byList)
			}
		}
	}
}

// firstOf returns the first of some policies that another one cannot pass by: it applies to all of its calls.
func firstOf(some []*warnedPolicy, p *warnedPolicy) *warnedPolicy {
	for _, q := range some[:min(len(some), maxCompared)] {
		if q != p && q.includes(p) {
			return q
		}
	}
	return nil
}

// denyEverything returns the policies in mode Enforce that deny "*" without an exception.
func (w *warner) denyEverything() []*warnedPolicy {
	var found []*warnedPolicy
	for _, ref := range w.deny[""] {
		q, e := w.entry(ref)
		if slices.Contains(e.patterns, pattern{below: true}) && len(q.allowing) == 0 && !slices.Contains(found, q) {
			found = append(found, q)
		}
	}
	return found
}

// denyByList returns the policies in mode Enforce that deny by a list, and allow nothing by hand that would go before
// it.
func (w *warner) denyByList() []*warnedPolicy {
	var found []*warnedPolicy
	for i := range w.policies {
		q := &w.policies[i]
		byHand := slices.ContainsFunc(q.entries, func(e warnedEntry) bool { return !e.rung.denies() && e.rung != rungAllowAny })
		deniesByList := slices.ContainsFunc(q.lists, func(l listRule) bool { return l.rung == rungDenyList })
		if q.enforceable && q.mode != Audit && !byHand && deniesByList {
			found = append(found, q)
		}
	}
	return found
}

func (w *warner) warnOfDenied(p *warnedPolicy, e *warnedEntry, byList []*warnedPolicy) {
	dead := func(q *warnedPolicy, by Entry) {
		e.dead = true
		p.warn(e.String(), "policy %s denies all of this (%s) in all calls to which this policy applies, and no other policy can make an "+
			"exception: nobody comes in by this entry; correct one of the two", q.name, by)
	}
	for ref := range w.deny.at(e.patterns[0].name) {
		q, by := w.entry(ref)
		if q != p && by.covers(e) && q.includes(p) && !q.excepts(e) {
			dead(q, by.Entry)
			return
		}
	}
	name := e.patterns[0].name
	if name == "" {
		return
	}
	for _, q := range byList[:min(len(byList), maxCompared)] {
		for _, rule := range q.lists {
			if q != p && rule.rung == rungDenyList && rule.list.deniesAll(e) && q.includes(p) {
				dead(q, rule.entry)
				return
			}
		}
	}
}

// deniesAll says that a policy which denies by the list denies all that an allow entry, which is not "*", matches.
func (l *List) deniesAll(e *warnedEntry) bool {
	p := e.patterns[0]
	return l.verdictOn(e)&denyKinds != 0 || !p.self && l.table.find(p.name)&denyBelow != 0
}

// verdictOn is verdict for an entry of one name or address.
func (l *List) verdictOn(e *warnedEntry) listKinds {
	if len(e.keys) == 0 {
		return l.verdict(nil, nil, e.patterns[0].name)
	}
	return l.verdict([]byte(e.keys[0]), []byte(subAddressesKey(e.keys[0])), e.patterns[0].name)
}

// excepts says that the policy allows an address that an allow entry matches. Such an address goes before domains that
// it denies.
func (p *warnedPolicy) excepts(e *warnedEntry) bool {
	if len(e.keys) > 0 {
		return p.allowsSomeOf(e.keys[0])
	}
	return p.excepted.within(e.patterns[0])
}

// warnOfDuplicates warns of what two policies in mode Enforce allow both: who takes it out of one still lets it in by
// the other.
func (w *warner) warnOfDuplicates() {
	lists := map[string][]entryRef{}
	for i := range w.policies {
		for j, rule := range w.policies[i].lists {
			if rule.rung == rungAllowList && w.policies[i].enforceable {
				lists[rule.list.digest] = append(lists[rule.list.digest], entryRef{int32(i), int32(j)})
			}
		}
	}
	for i := range w.policies {
		p := &w.policies[i]
		if p.mode == Audit || !p.enforceable {
			continue
		}
		for j := range p.entries {
			e := &p.entries[j]
			var same []entryRef
			switch e.rung {
			case rungAllowAddress:
				same = w.keys[e.keys[0]]
			case rungAllowDomain, rungAllowAny:
				same = w.allow[e.patterns[0].name]
			default:
				continue
			}
			for _, ref := range same[:min(len(same), maxCompared)] {
				q, other := w.entry(ref)
				if q != p && q.mode != Audit && other.patterns[0] == e.patterns[0] && p.overlaps(q) {
					p.warnOfDuplicate(e.Entry, q, other.Entry)
					break
				}
			}
		}
		for _, rule := range p.lists {
			same := lists[rule.list.digest]
			for _, ref := range same[:min(len(same), maxCompared)] {
				if q := &w.policies[ref.policy]; rule.rung == rungAllowList && q != p && q.mode != Audit && p.overlaps(q) {
					p.warnOfDuplicate(rule.entry, q, q.lists[ref.entry].entry)
					break
				}
			}
		}
	}
}

func (p *warnedPolicy) warnOfDuplicate(entry Entry, q *warnedPolicy, other Entry) {
	p.warn(entry.String(), "policy %s allows the same (%s), for some of the same calls: taken out of one of the two, it still comes in by "+
		"the other; keep it in one", q.name, other)
}

// warnOfOpenDoors warns of "*" where no policy in mode Enforce denies anything.
func (w *warner) warnOfOpenDoors() {
	denying := map[string]requestSet{}
	var always requestSet
	for i := range w.policies {
		p := &w.policies[i]
		if p.mode == Audit || p.enforceable && !p.denies() {
			continue
		}
		if len(p.sources) == 0 {
			always |= p.requests
		}
		for _, source := range p.sources {
			denying[source] |= p.requests
		}
	}
	for i := range w.policies {
		p := &w.policies[i]
		open := p.enforceable && len(p.sources) == 0 && p.requests&^always != 0
		for _, source := range p.sources {
			open = open || p.enforceable && p.requests&^(always|denying[source]) != 0
		}
		if !open || p.mode == Audit && p.denies() {
			continue
		}
		for j := range p.entries {
			if e := &p.entries[j]; e.rung == rungAllowAny {
				p.warn(e.String(), `"*" allows every address, and no policy in mode Enforce denies any in some of these calls: `+
					"everybody may sign up; name the domains that are meant, or add spec.deny")
			}
		}
	}
}

func (p *warnedPolicy) denies() bool {
	return slices.ContainsFunc(p.entries, func(e warnedEntry) bool { return e.rung.denies() }) ||
		slices.ContainsFunc(p.lists, func(l listRule) bool { return l.rung == rungDenyList })
}

// warnOfProfiles warns of attributes for which two policies have different values, where both can allow the same
// address in the same call: neither value is sent then.
func (w *warner) warnOfProfiles() {
	type pair struct{ p, q int32 }
	seen := map[pair]bool{}
	conflicts := map[pair][]*warnedPolicy{} // by policy and index of the attribute
	meet := func(i, j int32) {
		if i > j {
			i, j = j, i
		}
		if i == j || seen[pair{i, j}] {
			return
		}
		seen[pair{i, j}] = true
		p, q := &w.policies[i], &w.policies[j]
		if p.requests&p.profileOn&q.requests&q.profileOn == 0 || !p.sharesSource(q) {
			return
		}
		for _, a := range p.profile {
			for _, b := range q.profile {
				if a.Name == b.Name && a.Value != b.Value && a.Value != disputed && b.Value != disputed {
					at, other := pair{i, p.attribute(a.Name)}, pair{j, q.attribute(a.Name)}
					conflicts[at] = append(conflicts[at], q)
					conflicts[other] = append(conflicts[other], p)
				}
			}
		}
	}
	w.meetings(meet)
	for at, others := range conflicts {
		p := &w.policies[at.p]
		slices.SortFunc(others, func(a, b *warnedPolicy) int { return a.name.Compare(b.name) })
		var names []string
		for _, q := range others {
			names = append(names, q.name.String())
		}
		p.warn(fmt.Sprintf("spec.profile[%d]", at.q), "another value than that of policy %s, and both can allow the same address: neither is sent then; "+
			"write the same value in both, or let only one of them allow", examples(names))
	}
}

// meetings calls meet with policies that have a profile and allow some of the same addresses, as far as their entries
// tell.
func (w *warner) meetings(meet func(p, q int32)) {
	counts := func(p *warnedPolicy) bool {
		return p.enforceable && p.mode != Audit && len(p.profile) > 0 && p.hasAllow
	}
	allow, keys := entryIndex{}, map[string][]entryRef{}
	var listing []int32
	for i := range w.policies {
		p := &w.policies[i]
		if !counts(p) {
			continue
		}
		for j := range p.entries {
			e, ref := &p.entries[j], entryRef{int32(i), int32(j)}
			switch {
			case e.dead || e.rung.denies():
			case len(e.keys) > 0:
				family := subAddressesKey(e.keys[0])
				keys[family] = append(keys[family], ref)
			default:
				allow.add(e, ref)
			}
		}
		if slices.ContainsFunc(p.lists, func(l listRule) bool { return l.rung == rungAllowList }) && len(listing) < maxCompared {
			listing = append(listing, int32(i))
		}
	}
	for i := range w.policies {
		p := &w.policies[i]
		if !counts(p) {
			continue
		}
		number := int32(i)
		for j := range p.entries {
			e := &p.entries[j]
			if e.dead || e.rung.denies() {
				continue
			}
			if len(e.keys) > 0 {
				same := keys[subAddressesKey(e.keys[0])]
				for _, ref := range same[:min(len(same), maxCompared)] {
					if _, other := w.entry(ref); keysMeet(e.keys[0], other.keys[0]) {
						meet(number, ref.policy)
					}
				}
			}
			for ref := range allow.at(e.patterns[0].name) {
				q, by := w.entry(ref)
				denied := p.deniesDomain(e, w.deny, number) || q.deniesDomain(e, w.deny, ref.policy)
				if by.covers(e) && !denied {
					meet(number, ref.policy)
				}
			}
			for _, other := range listing {
				if w.policies[other].listAllows(e) {
					meet(number, other)
				}
			}
		}
		for _, other := range listing {
			if p.sharesList(&w.policies[other]) {
				meet(number, other)
			}
		}
	}
}

// deniesDomain says that a policy denies all that an allow entry does, unless that is a whole address.
func (p *warnedPolicy) deniesDomain(e *warnedEntry, deny entryIndex, number int32) bool {
	if len(e.keys) > 0 {
		return false
	}
	for ref := range deny.at(e.patterns[0].name) {
		if ref.policy == number && p.entries[ref.entry].covers(e) && !p.excepts(e) {
			return true
		}
	}
	return false
}

// listAllows says that a list of the policy allows some of what an entry does. Of a wildcard it can be told for a list
// only that has the same one, or a wider one.
func (p *warnedPolicy) listAllows(e *warnedEntry) bool {
	pattern := e.patterns[0]
	return slices.ContainsFunc(p.lists, func(l listRule) bool {
		switch {
		case l.rung != rungAllowList:
			return false
		case pattern.name == "":
			return true
		case pattern.below:
			return l.list.verdict(nil, nil, "x."+pattern.name)&allowKinds != 0
		default:
			return l.list.verdictOn(e)&allowKinds != 0
		}
	})
}

func (p *warnedPolicy) sharesList(q *warnedPolicy) bool {
	return slices.ContainsFunc(p.lists, func(a listRule) bool {
		return a.rung == rungAllowList && slices.ContainsFunc(q.lists, func(b listRule) bool {
			return b.rung == rungAllowList && a.list.digest == b.list.digest
		})
	})
}

// attribute returns the place of an attribute in the object.
func (p *warnedPolicy) attribute(name string) int32 {
	return int32(slices.Index(p.written.profile, name)) //nolint:gosec // at most 50
}
