package analysis

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

// Set is a set of calls, each with exactly one address.
type Set struct {
	// Addresses and Except are entries as in spec.allow: acme.com, *.acme.com, "*", jo@acme.com, or jo+*@acme.com. Public
	// suffixes are valid too. An address is in the set if an entry of Addresses matches it, and no entry of Except does.
	Addresses []string
	Except    []string
	// Requests are the request types of the calls; empty means all.
	Requests []rules.RequestType
	// Sources are the sources of the calls; empty means all, including those that no policy names.
	Sources []string
}

// Decided is a group of calls of a [Set]. All of them have this Result.
type Decided struct {
	Result
	// Calls are the request types and the sources of the calls. Region has their addresses.
	Calls  []Calls
	Region Region
	// Witness is a short example of an address in Region.
	Witness Witness
	// Verdicts are the entries that gave the verdict of their policy on one of these calls. They include entries of
	// policies that did not decide the call, but not those of policies in mode Audit.
	Verdicts map[Verdict]bool
}

// Verdict identifies an entry that gave the verdict of its policy.
type Verdict struct {
	// Policy is the policy, and Entry is its entry.
	Policy rules.PolicyName
	Entry  rules.Entry
}

// Every decides each call of a set, and returns the calls in groups with the same decision. It fails if an entry of the
// set is not valid, or if the set has no address.
func Every(policies []rules.Policy, set Set) ([]Decided, error) {
	included, err := marker("addresses", set.Addresses)
	excepted, exceptErr := marker("except", set.Except)
	if err := errors.Join(err, exceptErr); err != nil {
		return nil, err
	}
	const decides, include, except = 0, 1, 2 // the indexes in p.sides of the three sets of policies below
	p := newProblem(set.Sources, policies, included, excepted)

	type part struct {
		Result
		contexts string
	}
	var parts []Decided
	var states [][]stateID
	numbers := map[part]int{}
	var decisionKey []byte
	for state := range p.space.states.count() {
		witness := p.space.witness[state]
		if witness.Address == "" || !p.space.mentionedBy(stateID(state), include) || p.space.mentionedBy(stateID(state), except) {
			continue
		}
		in := map[Result][]int{}
		var order []Result
		decided := map[string]Result{}
		for i := range p.contexts {
			if !set.has(&p.contexts[i]) {
				continue
			}
			decisionKey = p.contexts[i].appendDecisionKey(decisionKey[:0], p.space, stateID(state))
			result, known := decided[string(decisionKey)]
			if !known {
				result = p.decide(decides, i, witness)
				decided[string(decisionKey)] = result
			}
			if in[result] == nil {
				order = append(order, result)
			}
			in[result] = append(in[result], i)
		}
		for _, result := range order {
			key := part{result, fmt.Sprint(in[result])}
			number, known := numbers[key]
			if !known {
				number = len(parts)
				numbers[key] = number
				parts = append(parts, Decided{Result: result, Calls: p.callsOf(in[result]), Witness: witness, Verdicts: map[Verdict]bool{}})
				states = append(states, nil)
			}
			states[number] = append(states[number], stateID(state))
			p.addVerdicts(parts[number].Verdicts, decides, stateID(state), in[result])
			if shorter(witness, parts[number].Witness) {
				parts[number].Witness = witness
			}
		}
	}
	if len(parts) == 0 {
		return nil, errors.New("there is no address in the set")
	}
	for number, region := range p.space.regionsOf(states) {
		parts[number].Region = region
	}
	return parts, nil
}

// addVerdicts adds for each policy of a side the entry that gives its verdict on the addresses with a state. It leaves
// out policies that apply in none of the contexts.
func (p *problem) addVerdicts(verdicts map[Verdict]bool, side int, state stateID, contexts []int) {
	first := map[int]rule{}
	for _, number := range p.space.states.sets[state] {
		for _, r := range p.space.matchers[number].rules {
			before, found := first[r.policy]
			if r.side == side && (!found || cmp.Or(cmp.Compare(r.precedence, before.precedence),
				cmp.Compare(r.entry.Field, before.entry.Field), cmp.Compare(r.entry.Index, before.entry.Index)) < 0) {
				first[r.policy] = r
			}
		}
	}
	for policy, r := range first {
		if slices.ContainsFunc(contexts, func(i int) bool { return p.contexts[i].applies[side][policy] }) {
			verdicts[Verdict{p.sides[side].policies[policy].Name(), r.entry}] = true
		}
	}
}

// marker returns one policy with these entries. A problem has it as one of its sides, beside the policies that decide.
// It decides nothing: it only lets mentionedBy find the addresses that the entries match.
func marker(field string, entries []string) ([]rules.Policy, error) {
	var all rules.AllowRules
	var errs []error
	for i, entry := range entries {
		var one rules.AllowRules
		if strings.Contains(entry, "@") {
			one.Addresses = []string{entry}
		} else {
			one.PublicSuffixes = []string{entry}
		}
		for _, rejection := range rules.CompilePolicy(rules.Policy{Allow: one}).Rejections() {
			errs = append(errs, fmt.Errorf("%s[%d]: %s", field, i, rejection.Message))
		}
		all.PublicSuffixes = append(all.PublicSuffixes, one.PublicSuffixes...)
		all.Addresses = append(all.Addresses, one.Addresses...)
	}
	return []rules.Policy{{Allow: all}}, errors.Join(errs...)
}

// has reports whether the set includes calls of the request type and the sources of a context.
func (s *Set) has(c *context) bool {
	return (len(s.Requests) == 0 || slices.Contains(s.Requests, c.request)) &&
		(len(s.Sources) == 0 || slices.ContainsFunc(c.sources, func(source string) bool { return slices.Contains(s.Sources, source) }))
}

// mentionedBy reports whether an entry of a side matches the addresses with a state.
func (s *space) mentionedBy(state stateID, side int) bool {
	return slices.ContainsFunc(s.states.sets[state], func(number int32) bool {
		return slices.ContainsFunc(s.matchers[number].rules, func(r rule) bool { return r.side == side })
	})
}
