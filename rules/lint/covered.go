package lint

import (
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
)

// warnOfCovered warns of entries that other entries of the same policy make redundant. Of several entries that mean the
// same, the first gets no warning: the author can remove every entry that has one, and nothing changes.
func (p *policy) warnOfCovered() {
	index, byKey := nameIndex{}, map[string][]int32{}
	for i := range p.entries {
		e := &p.entries[i]
		if len(e.keys) > 0 {
			byKey[e.keys[0]] = append(byKey[e.keys[0]], int32(i))
		} else {
			index.add(e, reference{0, int32(i)})
		}
	}
	for i := range p.entries {
		e := &p.entries[i]
		if len(e.keys) > 0 {
			p.warnOfCoveredAddress(i, index, byKey)
			continue
		}
		if !e.effect.denies() {
			if by := p.coveredBy(index, i, denyDomain); by != nil {
				e.ineffective = true
				p.warn(DeniedHere, e.String(),
					"%s is denied by %s (%s) of this policy, and deny goes before: this entry then allows nobody; remove one "+
						"of the two, or name single people in spec.allow.addresses", e.text(), by, by.text())
				continue
			}
		}
		by := p.coveredBy(index, i, e.effect)
		if by == nil && e.effect == allowDomain && len(p.source.Deny.Lists) == 0 {
			// In a policy with deny lists, e is not redundant beside "*": e has precedence over the lists, and "*" has not.
			by = p.coveredBy(index, i, allowAny)
		}
		if by != nil {
			p.warnOfRedundant(e, by)
		}
	}
	p.warnOfCoveredLists()
}

func (p *policy) warnOfRedundant(e, by *entry) {
	verb := "allows"
	if e.effect.denies() {
		verb = "denies"
	}
	if len(e.keys) == 0 && by.covers(e) && e.covers(by) {
		p.warn(Redundant, e.String(), "%s is the same entry as this one (%s); remove one of them", by, by.text())
		return
	}
	p.warn(Redundant, e.String(), "%s (%s) %s all of this already; remove this entry, or that one if it says too much", by, by.text(), verb)
}

// coveredBy returns another entry with the given effect that matches everything that the i-th entry matches, or nil. If
// two domain entries match the same, only the later one counts as covered, so that not both get a warning.
func (p *policy) coveredBy(index nameIndex, i int, effect effect) *entry {
	e := &p.entries[i]
	for ref := range index.at(e.patterns[0].Name) {
		by := &p.entries[ref.entry]
		if by.effect == effect && int(ref.entry) != i && by.covers(e) && (len(e.keys) > 0 || int(ref.entry) < i || !e.covers(by)) {
			return by
		}
	}
	return nil
}

// warnOfCoveredAddress does for an address entry what warnOfCovered does for a domain entry.
//
// An entry that allows an address is not redundant if the policy denies the domain of the address: it is an exception.
// An entry that denies an address is not redundant if another address entry allows the address: deny has precedence.
func (p *policy) warnOfCoveredAddress(i int, index nameIndex, byKey map[string][]int32) {
	e := &p.entries[i]
	candidates := byKey[e.keys[0]]
	if !address.IsSubAddressesKey(e.keys[0]) {
		candidates = slices.Concat(candidates, byKey[address.SubAddressesKey(e.keys[0])])
	}
	for _, other := range candidates {
		by := &p.entries[other]
		switch {
		case by.keys[0] != e.keys[0] && e.effect == allowAddress && by.effect == denyAddress:
			e.ineffective = true
			p.warn(DeniedHere, e.String(),
				"%s denies this address with all its sub-addresses, and deny goes before: this entry then allows nobody; remove "+
					"one of the two", by)
			return
		case by.keys[0] != e.keys[0] && e.effect == by.effect && e.isSubAddressOf(by):
			p.warn(Redundant, e.String(), "%s means this address with all its sub-addresses; remove this entry, or that one if it says too much", by)
			return
		case by.keys[0] != e.keys[0]:
		case e.effect == allowAddress && by.effect == denyAddress:
			e.ineffective = true
			p.warn(DeniedHere, e.String(),
				"%s denies the same address, and deny goes before: this entry then allows nobody; remove one of the two", by)
			return
		case e.effect == by.effect && int(other) < i && slices.Equal(e.keys, by.keys):
			p.warn(Redundant, e.String(), "%s is the same address; remove one of them", by)
			return
		}
	}
	denied := p.coveredBy(index, i, denyDomain)
	if e.effect == denyAddress {
		if denied != nil && !slices.ContainsFunc(e.keys, p.allowsSomeOf) {
			p.warnOfRedundant(e, denied)
		}
		return
	}
	if p.deniesSomeReading(index, e) {
		return
	}
	by := p.coveredBy(index, i, allowDomain)
	if by == nil && len(p.source.Deny.Lists) == 0 {
		by = p.coveredBy(index, i, allowAny)
	}
	if by != nil {
		p.warnOfRedundant(e, by)
	}
}

// isSubAddressOf reports whether by, an entry such as jo+*@acme.com, matches each address that e matches.
func (e *entry) isSubAddressOf(by *entry) bool {
	return !slices.ContainsFunc(e.keys, func(key string) bool { return !slices.Contains(by.keys, address.SubAddressesKey(key)) })
}

// deniesSomeReading reports whether a domain entry of the policy denies the address of e. A deny entry can mean several
// domains (see [rules.Reading]): it is enough that one of them has the address.
func (p *policy) deniesSomeReading(index nameIndex, e *entry) bool {
	denies := func(ref reference) bool {
		by := &p.entries[ref.entry]
		return by.effect == denyDomain && by.coversPattern(e.patterns[0])
	}
	for name := e.patterns[0].Name; ; _, name, _ = strings.Cut(name, ".") {
		// This looks at every entry, and not only at maxCompared of them as nameIndex.at does: if it missed one, the
		// author would be told to remove an exception.
		if slices.ContainsFunc(index[name], denies) {
			return true
		}
		if name == "" {
			return false
		}
	}
}

// warnOfCoveredLists warns of lists that have no effect: another list of the policy has the same text, or the policy
// denies "*".
func (p *policy) warnOfCoveredLists() {
	everything := slices.IndexFunc(p.entries, func(e entry) bool { return e.deniesAll() })
	for i := range p.lists {
		l := &p.lists[i]
		if everything >= 0 {
			p.warn(DeniedHere, l.Entry.String(),
				`%s ("*") denies everything, and goes before lists: this list has no effect; remove one of the two`,
				&p.entries[everything])
			continue
		}
		for j := range p.lists {
			by := &p.lists[j]
			switch {
			case by.List.Digest() != l.List.Digest() || i == j:
				continue
			case by.Entry.Field == rules.DenyLists && l.Entry.Field == rules.AllowLists:
				p.warn(DeniedHere, l.Entry.String(),
					"%s denies by the same list, and deny goes before: this list then allows nobody; remove one of the two", by.Entry)
			case by.Entry.Field == l.Entry.Field && by.Entry.Index < l.Entry.Index:
				p.warn(Redundant, l.Entry.String(), "%s is the same list; remove one of them", by.Entry)
			default:
				continue
			}
			break
		}
	}
}
