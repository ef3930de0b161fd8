package lint

import (
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
)

// warnOfProfiles warns of profile attributes for which two policies have different values, if both policies can allow
// the same address in the same call. Okta gets neither value then.
func (l *linter) warnOfProfiles() {
	type pair struct{ a, b int32 }
	seen := map[pair]bool{}
	type attribute struct{ policy, index int32 }
	conflicts := map[attribute][]*policy{}
	compare := func(i, j int32) {
		both := pair{min(i, j), max(i, j)}
		if i == j || seen[both] {
			return
		}
		seen[both] = true
		p, q := &l.policies[i], &l.policies[j]
		if p.requests&p.profileOn&q.requests&q.profileOn == 0 || !p.sharesSource(q) {
			return
		}
		for _, a := range p.profile {
			for _, b := range q.profile {
				if a.Name == b.Name && a.Value != b.Value && a.Value != "" && b.Value != "" { // "" is never sent
					at, other := attribute{i, p.attribute(a.Name)}, attribute{j, q.attribute(a.Name)}
					conflicts[at] = append(conflicts[at], q)
					conflicts[other] = append(conflicts[other], p)
				}
			}
		}
	}
	l.eachOverlap(compare)
	for at, others := range conflicts {
		p := &l.policies[at.policy]
		slices.SortFunc(others, func(a, b *policy) int { return a.name.Compare(b.name) })
		var names []string
		for _, q := range others {
			names = append(names, q.name.String())
		}
		p.warn(ProfileConflict, fmt.Sprintf("spec.profile[%d]", at.index),
			"another value than that of policy %s, and both can allow the same address: neither is sent then; "+
				"write the same value in both, or let only one of them allow", examples(names))
	}
}

// attribute returns the index of an attribute in the policy's spec.profile.
func (p *policy) attribute(name string) int32 {
	//nolint:gosec // the schema permits at most 50 attributes
	return int32(slices.IndexFunc(p.source.Profile, func(a rules.ProfileAttribute) bool { return a.Name == name }))
}

// eachOverlap calls visit for pairs of policies that have a profile and both allow some address. It finds most such
// pairs, not all: it compares each entry with at most maxCompared others. It may visit a pair more than once.
func (l *linter) eachOverlap(visit func(p, q int32)) {
	counts := func(p *policy) bool {
		return p.enforceable && !p.audit && len(p.profile) > 0 && p.hasAllow
	}
	allow, keys := nameIndex{}, map[string][]reference{}
	var withLists []int32
	for i := range l.policies {
		p := &l.policies[i]
		if !counts(p) {
			continue
		}
		for j := range p.entries {
			e, ref := &p.entries[j], reference{int32(i), int32(j)}
			switch {
			case e.ineffective || e.effect.denies():
			case len(e.keys) > 0:
				withSubAddresses := address.SubAddressesKey(e.keys[0])
				keys[withSubAddresses] = append(keys[withSubAddresses], ref)
			default:
				allow.add(e, ref)
			}
		}
		if p.usesList(rules.AllowLists) && len(withLists) < maxCompared {
			withLists = append(withLists, int32(i))
		}
	}
	for i := range l.policies {
		p := &l.policies[i]
		if !counts(p) {
			continue
		}
		number := int32(i)
		for j := range p.entries {
			e := &p.entries[j]
			if e.ineffective || e.effect.denies() {
				continue
			}
			if len(e.keys) > 0 {
				key := e.keys[0]
				same := keys[address.SubAddressesKey(key)]
				for _, ref := range same[:min(len(same), maxCompared)] {
					_, other := l.entry(ref)
					// Both entries have the same base address, as jo@, jo+x@ and jo+*@ have. They match an address in common
					// only if they are equal, or if one of them is jo+*@.
					if key == other.keys[0] || address.IsSubAddressesKey(key) || address.IsSubAddressesKey(other.keys[0]) {
						visit(number, ref.policy)
					}
				}
			}
			for ref := range allow.at(e.patterns[0].Name) {
				// Only q can still deny e: if e's own policy denied it, e would be ineffective, and skipped above.
				if q, by := l.entry(ref); by.covers(e) && !q.deniesDomain(e, l.deny, ref.policy) {
					visit(number, ref.policy)
				}
			}
			for _, other := range withLists {
				if l.policies[other].listAllows(e) {
					visit(number, other)
				}
			}
		}
		for _, other := range withLists {
			if p.sharesAllowList(&l.policies[other]) {
				visit(number, other)
			}
		}
	}
}

// deniesDomain reports whether a domain entry of the policy denies every address that e allows. number is the index of
// the policy in linter.policies. For an address entry, deniesDomain returns false without a comparison: the author may
// then get a needless warning.
func (p *policy) deniesDomain(e *entry, deny nameIndex, number int32) bool {
	if len(e.keys) > 0 {
		return false
	}
	for ref := range deny.at(e.patterns[0].Name) {
		if ref.policy == number && p.entries[ref.entry].covers(e) && !p.allowsAddressOf(e) {
			return true
		}
	}
	return false
}

// listAllows reports whether a list of the policy allows an address that e allows. It may miss one if e is a wildcard:
// it then finds only the same or a wider wildcard of the list, and no single names below the wildcard.
func (p *policy) listAllows(e *entry) bool {
	return slices.ContainsFunc(p.lists, func(used rules.UsedList) bool {
		return used.Entry.Field == rules.AllowLists && (e.effect == allowAny || verdictOn(used.List, e).Allows())
	})
}

func (p *policy) sharesAllowList(q *policy) bool {
	return slices.ContainsFunc(p.lists, func(a rules.UsedList) bool {
		return a.Entry.Field == rules.AllowLists && slices.ContainsFunc(q.lists, func(b rules.UsedList) bool {
			return b.Entry.Field == rules.AllowLists && a.List.Digest() == b.List.Digest()
		})
	})
}
