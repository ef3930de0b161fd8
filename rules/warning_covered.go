package rules

import (
	"slices"
	"strings"
)

// warnOfCovered warns of entries that an entry of the same policy makes idle: without them, the policy would say the
// same. Of several that make each other idle, the first is not warned of, so that all that are can be removed at once.
func (p *warnedPolicy) warnOfCovered() {
	index, byKey := entryIndex{}, map[string][]int32{}
	for i := range p.entries {
		e := &p.entries[i]
		if len(e.keys) > 0 {
			byKey[e.keys[0]] = append(byKey[e.keys[0]], int32(i))
		} else {
			index.add(e, entryRef{0, int32(i)})
		}
	}
	for i := range p.entries {
		e := &p.entries[i]
		if len(e.keys) > 0 {
			p.warnOfCoveredAddress(i, index, byKey)
			continue
		}
		if !e.rung.denies() {
			if by := p.coveredBy(index, i, rungDenyDomain); by != nil {
				e.dead = true
				p.warn(e.String(), "%s is denied by %s (%s) of this policy, and deny goes before: nobody comes in by this entry; remove one "+
					"of the two, or name single people in spec.allow.addresses", e.text(), by, by.text())
				continue
			}
		}
		by := p.coveredBy(index, i, e.rung)
		if by == nil && e.rung == rungAllowDomain && len(p.source.Deny.Lists) == 0 {
			by = p.coveredBy(index, i, rungAllowAny) // before deny lists, "*" comes last, and the entry is an exception from them
		}
		if by != nil {
			p.warnOfIdle(e, by)
		}
	}
	p.warnOfCoveredLists()
}

func (p *warnedPolicy) warnOfIdle(e, by *warnedEntry) {
	verb := "allows"
	if e.rung.denies() {
		verb = "denies"
	}
	if len(e.keys) == 0 && by.covers(e) && e.covers(by) {
		p.warn(e.String(), "%s is the same entry as this one (%s); remove one of them", by, by.text())
		return
	}
	p.warn(e.String(), "%s (%s) %s all of this already; remove this entry, or that one if it says too much", by, by.text(), verb)
}

// coveredBy returns an entry on a rung that matches all that the i-th entry does. Of two that match the same, only the
// later one is covered.
func (p *warnedPolicy) coveredBy(index entryIndex, i int, rung rung) *warnedEntry {
	e := &p.entries[i]
	for ref := range index.at(e.patterns[0].name) {
		by := &p.entries[ref.entry]
		if by.rung == rung && int(ref.entry) != i && by.covers(e) && (len(e.keys) > 0 || int(ref.entry) < i || !e.covers(by)) {
			return by
		}
	}
	return nil
}

// warnOfCoveredAddress is the same for a whole address. One that is an exception from an entry of the other sort, or
// stands before one, is not idle.
func (p *warnedPolicy) warnOfCoveredAddress(i int, index entryIndex, byKey map[string][]int32) {
	e := &p.entries[i]
	candidates := byKey[e.keys[0]]
	if !isSubAddressesKey(e.keys[0]) {
		candidates = slices.Concat(candidates, byKey[subAddressesKey(e.keys[0])])
	}
	for _, other := range candidates {
		by := &p.entries[other]
		switch {
		case by.keys[0] != e.keys[0] && e.rung == rungAllowAddress && by.rung == rungDenyAddress:
			e.dead = true
			p.warn(e.String(), "%s denies this address with all its sub-addresses, and deny goes before: nobody comes in by this entry; remove "+
				"one of the two", by)
			return
		case by.keys[0] != e.keys[0] && e.rung == by.rung && e.hasSubAddressesOf(by):
			p.warn(e.String(), "%s means this address with all its sub-addresses; remove this entry, or that one if it says too much", by)
			return
		case by.keys[0] != e.keys[0]:
		case e.rung == rungAllowAddress && by.rung == rungDenyAddress:
			e.dead = true
			p.warn(e.String(), "%s denies the same address, and deny goes before: nobody comes in by this entry; remove one of the two", by)
			return
		case e.rung == by.rung && int(other) < i && slices.Equal(e.keys, by.keys):
			p.warn(e.String(), "%s is the same address; remove one of them", by)
			return
		}
	}
	denied := p.coveredBy(index, i, rungDenyDomain)
	if e.rung == rungDenyAddress {
		if denied != nil && !slices.ContainsFunc(e.keys, p.allowsSomeOf) {
			p.warnOfIdle(e, denied)
		}
		return
	}
	if p.touchedByDeny(index, e) {
		return
	}
	by := p.coveredBy(index, i, rungAllowDomain)
	if by == nil && len(p.source.Deny.Lists) == 0 {
		by = p.coveredBy(index, i, rungAllowAny)
	}
	if by != nil {
		p.warnOfIdle(e, by)
	}
}

// hasSubAddressesOf says that another entry means each of the addresses of an entry, as sub-addresses of one.
func (e *warnedEntry) hasSubAddressesOf(by *warnedEntry) bool {
	return !slices.ContainsFunc(e.keys, func(key string) bool { return !slices.Contains(by.keys, subAddressesKey(key)) })
}

// touchedByDeny says that a domain that the policy denies matches an address, be it only by one of several readings.
func (p *warnedPolicy) touchedByDeny(index entryIndex, e *warnedEntry) bool {
	denies := func(ref entryRef) bool {
		by := &p.entries[ref.entry]
		return by.rung == rungDenyDomain && slices.ContainsFunc(by.patterns, e.patterns[0].coveredBy)
	}
	for name := e.patterns[0].name; ; _, name, _ = strings.Cut(name, ".") {
		if slices.ContainsFunc(index[name], denies) { // all of them: one that is missed would make the warning wrong
			return true
		}
		if name == "" {
			return false
		}
	}
}

// warnOfCoveredLists compares lists with each other, and with a deny of everything.
func (p *warnedPolicy) warnOfCoveredLists() {
	everything := slices.IndexFunc(p.entries, func(e warnedEntry) bool {
		return e.rung == rungDenyDomain && slices.Contains(e.patterns, pattern{below: true})
	})
	for i := range p.lists {
		e := &p.lists[i]
		if everything >= 0 {
			p.warn(e.entry.String(), `%s ("*") denies everything, and goes before lists: this list has no effect; remove one of the two`,
				&p.entries[everything])
			continue
		}
		for j := range p.lists {
			by := &p.lists[j]
			switch {
			case by.list.digest != e.list.digest || i == j:
				continue
			case by.rung == rungDenyList && e.rung == rungAllowList:
				p.warn(e.entry.String(), "%s denies by the same list, and deny goes before: nobody comes in by this one; remove one of the two", by.entry)
			case by.rung == e.rung && by.entry.Index < e.entry.Index:
				p.warn(e.entry.String(), "%s is the same list; remove one of them", by.entry)
			default:
				continue
			}
			break
		}
	}
}
