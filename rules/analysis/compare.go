package analysis

import (
	"cmp"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// Kind says how the answer to a call changes.
type Kind uint8

const (
	// Widened: a call that was denied is allowed.
	Widened Kind = iota + 1
	// Narrowed: a call that was allowed is denied.
	Narrowed
	// OtherText: a call that was denied is denied for another reason, or with another text.
	OtherText
	// OtherProfile: a call that was allowed is allowed with other profile attributes.
	OtherProfile
)

// Change is a set of calls whose decision changes in the same way.
type Change struct {
	Kind Kind
	// Was is the decision under the old policies, and Now is the decision under the new ones.
	Was, Now Result
	// Calls are the request types and the sources of the calls that change.
	Calls []Calls
	// Region has the addresses of the calls, if these have one address. It is empty for calls with two addresses.
	Region Region
	// Witness is a short example: the address of a call, or its two addresses. With two addresses, a call with only one
	// of them does not have a change of this Kind.
	Witness []Witness
}

// Compare returns the changes from one set of policies to another, in the order of their [Kind]. If there are none,
// both sets decide every call with one or two addresses alike.
//
// It fails only if [rules.Snapshot.Decide] does not confirm a computed change: that is a bug in this package.
func Compare(before, after []rules.Policy) ([]Change, error) {
	c := &comparison{problem: newProblem(nil, before, after), kinds: map[stateInContext]uint8{}}
	c.findChanged()
	c.single()
	if err := c.pairs(); err != nil {
		return nil, err
	}
	states := make([][]stateID, len(c.changes))
	for i, found := range c.changes {
		states[i] = found.states
	}
	changes := make([]Change, len(c.changes))
	for i, region := range c.space.regionsOf(states) {
		changes[i] = c.changes[i].Change
		changes[i].Region = region
	}
	slices.SortStableFunc(changes, func(a, b Change) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(len(a.Witness), len(b.Witness)),
			a.cause().Policy.Compare(b.cause().Policy), cmp.Compare(a.cause().Entry.Field, b.cause().Entry.Field),
			cmp.Compare(a.cause().Entry.Index, b.cause().Entry.Index))
	})
	return changes, nil
}

// cause returns the decision by whose policy and entry a change is sorted: the new decision, or the old one if no
// policy gave the new decision.
func (c *Change) cause() *Result {
	if c.Now.Policy == (rules.PolicyName{}) {
		return &c.Was
	}
	return &c.Now
}

// comparison is what one [Compare] works on. Side 0 has the old policies, and side 1 the new ones.
type comparison struct {
	problem
	// changed[i][j] reports whether the policy with index j in sides[i].policies is missing or different on the other
	// side.
	changed [2][]bool
	// kinds says how calls with one address change, for each state and each context: bit k is set for Kind k. A state
	// stands for the class of the addresses that have it.
	kinds   map[stateInContext]uint8
	changes []*change
}

// change is a Change that is not complete yet: it lacks Region.
type change struct {
	Change
	states []stateID // the states of the addresses found so far; Region is made from them
}

// stateInContext identifies the calls of one context with an address that has this state.
type stateInContext struct {
	state   stateID
	context int // the index in problem.contexts
}

// kindOf returns how the answer to a call changes, or 0 if it does not change.
func kindOf(was, now *Result) Kind {
	switch {
	case was.Outcome != now.Outcome && now.Outcome == rules.Allow:
		return Widened
	case was.Outcome != now.Outcome:
		return Narrowed
	case was.Outcome == rules.Deny && (was.Reason != now.Reason || was.Message != now.Message):
		return OtherText
	case was.Outcome == rules.Allow && was.Profile != now.Profile:
		return OtherProfile
	default:
		return 0
	}
}

// findChanged sets c.changed. It goes through both sides at once, because their policies are sorted by name.
func (c *comparison) findChanged() {
	old, now := c.sides[0].policies, c.sides[1].policies
	c.changed = [2][]bool{make([]bool, len(old)), make([]bool, len(now))}
	i, j := 0, 0
	for i < len(old) || j < len(now) {
		switch {
		case j == len(now) || i < len(old) && old[i].Name().Compare(now[j].Name()) < 0:
			c.changed[0][i] = true
			i++
		case i == len(old) || old[i].Name() != now[j].Name():
			c.changed[1][j] = true
			j++
		default:
			different := !old[i].Same(now[j])
			c.changed[0][i], c.changed[1][j] = different, different
			i++
			j++
		}
	}
}

// matchedByChanged reports whether a changed policy has an entry or a list that matches the addresses with a state.
func (c *comparison) matchedByChanged(state stateID) bool {
	return slices.ContainsFunc(c.space.states.sets[state], func(number int32) bool {
		return slices.ContainsFunc(c.space.matchers[number].rules, func(r rule) bool { return c.changed[r.side][r.policy] })
	})
}

// single finds the changes of calls with one address. To save decisions, it skips each context in which no policy has
// changed. It also skips an address that no changed policy matches, unless the decision without a match has changed.
func (c *comparison) single() {
	type answers struct{ was, now Result }
	type cause struct {
		answers
		contexts string
	}
	found := map[cause]*change{}
	var decisionKey []byte
	for state := range c.space.states.count() {
		witness := c.space.witness[state]
		if witness.Address == "" {
			continue // no valid address has this state
		}
		changed := c.matchedByChanged(stateID(state))
		in := map[answers][]int{}
		var order []answers
		decided := map[string]answers{}
		for i := range c.contexts {
			if !c.contexts[i].changes || !changed && !c.contexts[i].changesWithoutMatch {
				continue
			}
			decisionKey = c.contexts[i].appendDecisionKey(decisionKey[:0], c.space, stateID(state))
			a, known := decided[string(decisionKey)]
			if !known {
				a = answers{c.decide(0, i, witness), c.decide(1, i, witness)}
				decided[string(decisionKey)] = a
			}
			kind := kindOf(&a.was, &a.now)
			if kind == 0 {
				continue
			}
			c.kinds[stateInContext{stateID(state), i}] |= 1 << kind
			if in[a] == nil {
				order = append(order, a)
			}
			in[a] = append(in[a], i)
		}
		for _, a := range order {
			key := cause{a, fmt.Sprint(in[a])}
			ch := found[key]
			if ch == nil {
				ch = &change{Change: Change{Kind: kindOf(&a.was, &a.now), Was: a.was, Now: a.now, Calls: c.callsOf(in[a])}}
				ch.Witness = []Witness{witness}
				found[key] = ch
				c.changes = append(c.changes, ch)
			}
			ch.states = append(ch.states, stateID(state))
			if shorter(witness, ch.Witness[0]) {
				ch.Witness[0] = witness
			}
		}
	}
}
