package rules

import (
	"iter"
	"sort"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// match is an entry of a policy that matches an address of a call. It is packed into a number, because numbers are
// sorted several times faster than structs. From the highest bits down, it has the policy, the address, the precedence
// of the entry, whether the entry is in spec.allow.publicSuffixes, and the index of the entry in its field. So, of the
// matches of one policy with one address, the lowest number decides.
type match uint64

const (
	indexBits      = 24 // for maxEntryIndex
	suffixesBit    = indexBits
	precedenceBit  = suffixesBit + 1
	precedenceBits = 3
	subjectBit     = precedenceBit + precedenceBits
	subjectBits    = 5 // for maxAddresses
	policyBit      = subjectBit + subjectBits
)

// policy returns the index of the policy in Snapshot.policies.
func (m match) policy() int32 { return int32(m >> policyBit) }

// subject returns the number of the address in the call.
func (m match) subject() uint8 { return uint8(m >> subjectBit & (1<<subjectBits - 1)) }

func (m match) precedence() precedence {
	return precedence(m >> precedenceBit & (1<<precedenceBits - 1))
}

func (m match) entry() Entry { return Entry{m.field(), int(m & maxEntryIndex)} }

func (m match) field() EntryField {
	switch m.precedence() {
	case precedenceDenyAddress:
		return DenyAddresses
	case precedenceAllowAddress:
		return AllowAddresses
	case precedenceDenyDomain:
		return DenyDomains
	case precedenceDenyList:
		return DenyLists
	case precedenceAllowList:
		return AllowLists
	default: // precedenceAllowDomain, precedenceAllowAny
		if m>>suffixesBit&1 != 0 {
			return AllowPublicSuffixes
		}
		return AllowDomains
	}
}

func (s *Snapshot) matchOf(r ruleRef, subject uint8) match {
	t := r.traits()
	m := match(s.policyAt[r.slot])<<policyBit | match(subject)<<subjectBit | match(t.precedence())<<precedenceBit | match(r.index())
	if t.field() == AllowPublicSuffixes {
		m |= 1 << suffixesBit
	}
	return m
}

// callPolicies finds the policies that apply to a call as one request type, and their entries that match.
type callPolicies struct {
	snapshot *Snapshot
	request  requestSet
	// groups are the policies that name no source, and the policies that name the source of the call. Each may be nil.
	groups [2]*applicable
}

func (s *Snapshot) policiesFor(request requestSet, source string) callPolicies {
	ofSource, _ := s.bySource.get(source)
	return callPolicies{s, request, [2]*applicable{s.everySource, ofSource}}
}

// includes reports whether a policy of one of the groups, given by its slot, applies to the request type.
func (c *callPolicies) includes(slot uint32) bool {
	return c.snapshot.scopes[c.snapshot.scopeAt[slot]].requests&c.request != 0
}

// blocking yields the policies of a group that are not enforceable, by their indexes in Snapshot.policies.
func (c *callPolicies) blocking(group *applicable) iter.Seq[int32] {
	return func(yield func(int32) bool) {
		for _, slot := range group.blocking {
			if c.includes(slot) && !yield(int32(c.snapshot.policyAt[slot])) { //nolint:gosec // fewer than 2³¹ policies
				return
			}
		}
	}
}

// match appends the entries that match an address. It looks up the address, the entry that means the address with all
// its sub-addresses (jo+*@acme.com), the domain, and each parent of the domain.
func (c *callPolicies) match(matches []match, subject uint8, addr Address) []match {
	if c.groups == ([2]*applicable{}) {
		return matches
	}
	matches = c.matchWhole(matches, subject, addr)
	side := matchesSelf
	for name := addr.Domain().String(); ; _, name, _ = strings.Cut(name, ".") { // up to the root "", which has the rules of "*"
		matches = c.appendMatches(matches, subject, side, find(c.snapshot, nameHash(c.snapshot.seed, name), name))
		if name == "" {
			return matches
		}
		side = matchesBelow
	}
}

// matchWhole appends the entries that match the whole address, and the entries for lists that match the address or its
// domain.
func (c *callPolicies) matchWhole(matches []match, subject uint8, addr Address) []match {
	addresses, lists := false, false
	for _, group := range c.groups {
		if group != nil {
			addresses, lists = addresses || group.addresses > 0, lists || len(group.lists) > 0
		}
	}
	if !addresses && !lists {
		return matches
	}
	var keyBuf, subAddressesBuf [address.MaxKey]byte
	key, subAddressesKey := address.AppendKey(keyBuf[:0], addr), address.AppendSubAddressesKey(subAddressesBuf[:0], addr)
	if addresses {
		s := c.snapshot
		matches = c.appendMatches(matches, subject, matchesSelf, find(s, keyHash(s.seed, key), key))
		if len(subAddressesKey) > 0 {
			matches = c.appendMatches(matches, subject, matchesSelf, find(s, keyHash(s.seed, subAddressesKey), subAddressesKey))
		}
	}
	for _, group := range c.groups {
		if group != nil {
			matches = c.matchLists(matches, group, subject, key, subAddressesKey, addr.Domain().String())
		}
	}
	return matches
}

// matchLists appends the entries for lists that match an address, from the policies of one group. It looks the address
// up once in each list, even if several policies use the list.
func (c *callPolicies) matchLists(
	matches []match, group *applicable, subject uint8, key, subAddressesKey []byte, name string,
) []match {
	for i := range group.lists {
		l := &group.lists[i]
		verdict := l.list.Verdict(key, subAddressesKey, name)
		if verdict == 0 {
			continue
		}
		for i, ref := range l.refs {
			counts := verdict.Allows()
			if ref.traits().precedence().denies() {
				counts = verdict.Denies()
			}
			if counts && c.includes(ref.slot) {
				matches = append(withRoom(matches, len(l.refs)-i), c.snapshot.matchOf(ref, subject))
			}
		}
	}
	return matches
}

// appendMatches appends the postings of a name whose policies apply to the call. side is matchesSelf if the name is the
// domain of the address, and matchesBelow if the name is a parent of that domain.
func (c *callPolicies) appendMatches(matches []match, subject uint8, side traits, postings []posting) []match {
	if len(postings) == 0 {
		return matches
	}
	for _, group := range c.groups {
		if group != nil {
			matches = c.appendMatchesOf(group.scopes, matches, subject, side, postings)
		}
	}
	return matches
}

// appendMatchesOf appends the postings whose policies have one of the given scopes. Postings and scopes are sorted by
// scope, and both may be long: 1,000 policies may have the same entry, and 1,000 scopes the same source. It therefore
// walks both at once, and countBefore skips a run that only one of them has. The cost depends on the shorter slice.
func (c *callPolicies) appendMatchesOf(scopes []uint32, matches []match, subject uint8, side traits, postings []posting) []match {
	scopeAt := c.snapshot.scopeAt
	for len(postings) > 0 && len(scopes) > 0 {
		switch scope := scopeAt[postings[0].slot]; {
		case scope < scopes[0]:
			wanted := scopes[0]
			postings = postings[countBefore(len(postings), func(i int) bool { return scopeAt[postings[i].slot] < wanted }):]
		case scope > scopes[0]:
			scopes = scopes[countBefore(len(scopes), func(i int) bool { return scopes[i] < scope }):]
		default:
			if ref := postings[0].ruleRef; ref.traits()&side != 0 && c.includes(ref.slot) {
				matches = append(withRoom(matches, len(postings)), c.snapshot.matchOf(ref, subject))
			}
			postings = postings[1:]
		}
	}
	return matches
}

// withRoom returns matches with capacity for at least one more. The parameter more is how many the caller may still
// append, which limits the growth. append grows by a smaller factor: it would copy the slice seven times on the way to
// 1,000 matches.
func withRoom(matches []match, more int) []match {
	const factor = 8
	if len(matches) < cap(matches) {
		return matches
	}
	grown := make([]match, len(matches), len(matches)+min(more, max(1, factor*len(matches))))
	copy(grown, matches)
	return grown
}

// countBefore returns how many of n sorted items come before some value. The first item must be one of them. It tries
// the items 1, 2, 4, 8 and so on, and does a binary search between the last two: a small count is found at once, and a
// large one without a look at every item.
func countBefore(n int, before func(int) bool) int {
	high := 1
	for high < n && before(high) {
		high *= 2
	}
	low := high/2 + 1
	return low + sort.Search(min(high, n)-low, func(i int) bool { return !before(low + i) })
}
