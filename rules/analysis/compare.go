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

// Change is a set of calls whose answer changes in one way, for one cause.
type Change struct {
	Kind Kind
	// Was and Now are the decisions under the two sets of policies.
	Was, Now Result
	// Calls are the calls in which the answer changes.
	Calls []Calls
	// Region holds the addresses in question: a call with one address of it changes. It is empty for a change of pairs.
	Region Region
	// Witness is a short example: one address, or the two addresses of a call. The answer to a call with either of the
	// two alone does not change in this way.
	Witness []Witness
}

// Compare returns the changes from one set of policies to another: first those that widen, then those that narrow, then
// the others. No change means that both sets decide every call with one or two addresses alike.
//
// It fails only if a decision contradicts the computed one, which is a fault of this package.
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

// cause returns the result whose policy and entry explain the change best: the new one, unless no policy gave it.
func (c *Change) cause() *Result {
	if c.Now.Policy == (rules.PolicyName{}) {
		return &c.Was
	}
	return &c.Now
}

// comparison is the state of one [Compare].
type comparison struct {
	problem
	// changed holds for each policy of each side whether the other side has not the same one.
	changed [2][]bool
	// kinds are those of the changes found for a state of the space, in each context, as bits.
	kinds   map[stateInContext]uint8
	changes []*change
}

// change is a Change while it is collected.
type change struct {
	Change
	states []stateID
}

type stateInContext struct {
	state   stateID
	context int
}

// kindOf returns how the answer changes, or 0 if it does not.
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

// findChanged sets changed. The policies of both sides are sorted by name.
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

// matchedByChanged reports whether an entry that matches the addresses of a state is of a policy that is not the same on
// both sides.
func (c *comparison) matchedByChanged(state stateID) bool {
	return slices.ContainsFunc(c.space.states.sets[state], func(number int32) bool {
		return slices.ContainsFunc(c.space.sources[number].rules, func(r rule) bool { return c.changed[r.side][r.policy] })
	})
}

// single finds the changes of calls with one address. It leaves out those contexts in which no policy has changed, and
// does not decide an address for which neither a matching policy nor the decision without a match has changed.
func (c *comparison) single() {
	type answers struct{ was, now Result }
	type cause struct {
		answers
		contexts string
	}
	found := map[cause]*change{}
	var matching []byte
	for state := range c.space.states.count() {
		witness := c.space.witness[state]
		if witness.Address == "" {
			continue // no address is in this class
		}
		changed := c.matchedByChanged(stateID(state))
		in := map[answers][]int{}
		var order []answers
		decided := map[string]answers{}
		for i := range c.contexts {
			if !c.contexts[i].changes || !changed && !c.contexts[i].changesWithoutMatch {
				continue
			}
			matching = c.contexts[i].appendMatching(matching[:0], c.space, stateID(state))
			a, known := decided[string(matching)]
			if !known {
				a = answers{c.decide(0, i, witness), c.decide(1, i, witness)}
				decided[string(matching)] = a
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
