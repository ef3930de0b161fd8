package rules

import "slices"

// usualPolicies is how many matching policies a decision can hold without allocating.
const usualPolicies = 8

// matchedPolicies is the set of policies with an entry that matches some address of a call.
type matchedPolicies struct {
	snapshot *Snapshot
	count    int
	first    [usualPolicies]int32
	rest     []int32
}

// add adds each policy of the matches once. The matches are sorted by policy.
func (m *matchedPolicies) add(s *Snapshot, matches []match) {
	m.snapshot = s
	for i, match := range matches {
		if i > 0 && match.policy() == matches[i-1].policy() {
			continue
		}
		if m.count == usualPolicies {
			m.rest = make([]int32, 0, countOfPolicies(matches[i:]))
		}
		m.put(match.policy())
	}
}

// countOfPolicies returns how many policies there are in matches that are sorted by policy.
func countOfPolicies(matches []match) int {
	count := 0
	for i := range matches {
		if i == 0 || matches[i].policy() != matches[i-1].policy() {
			count++
		}
	}
	return count
}

func (m *matchedPolicies) put(policy int32) {
	if m.count < usualPolicies {
		m.first[m.count] = policy
	} else {
		m.rest = append(m.rest, policy)
	}
	m.count++
}

// join adds the policies of o that m does not have.
func (m *matchedPolicies) join(o *matchedPolicies) {
	known := slices.Concat(m.first[:min(m.count, usualPolicies)], m.rest)
	for _, policy := range slices.Concat(o.first[:min(o.count, usualPolicies)], o.rest) {
		if !slices.Contains(known, policy) {
			m.put(policy)
		}
	}
}

func (m *matchedPolicies) names(yield func(PolicyName) bool) {
	for _, policy := range m.first[:min(m.count, usualPolicies)] {
		if !yield(m.snapshot.policies[policy].name) {
			return
		}
	}
	for _, policy := range m.rest {
		if !yield(m.snapshot.policies[policy].name) {
			return
		}
	}
}
