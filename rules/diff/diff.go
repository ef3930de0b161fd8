// Package diff compares two sets of policies by their meaning: it finds every call that they decide differently.
//
// The result is complete, not sampled. The entries of both sets divide all addresses into a finite number of classes:
// two addresses that the same entries match are decided alike. For each class the package decides one address, the
// witness, under both sets with [rules.Snapshot.Decide]. Calls with two addresses follow from the verdicts of the
// policies on each class, and each reported pair is decided in the same way.
//
// Data flows one way: policies → [space], the classes of addresses → [context], the kinds of calls → changes of one
// address, changes of pairs → [Change] values, each with a [Region].
package diff

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

// Result is the meaning of a decision, and its cause.
type Result struct {
	// Outcome and Reason are as in [rules.Decision].
	Outcome rules.Outcome
	Reason  rules.Reason
	// Policy and Entry are the cause: see [rules.Decision].
	Policy rules.PolicyName
	Entry  rules.Entry
	// Message is the policy's text for the person; "" means the built-in text for the reason.
	Message string
	// Profile is the JSON object of the attributes that Okta sets, or "".
	Profile string
}

// Calls are the calls of one request type from some sources.
type Calls struct {
	// Request is the request type.
	Request rules.RequestType
	// AnySource: all sources. Otherwise Sources are meant, and with OtherSources also those that no policy names.
	AnySource    bool
	Sources      []string
	OtherSources bool
}

// Witness is an address of a class.
type Witness struct {
	// Address is one that a call can have.
	Address string
	// Personal: the local part comes from an entry of a policy or a list. Otherwise it is made up.
	Personal bool
}

// Compare returns the changes from one set of policies to another: first those that widen, then those that narrow, then
// the others. No change means that both sets decide every call with one or two addresses alike.
//
// It fails only if a decision contradicts the computed one, which is a fault of this package.
func Compare(before, after []rules.Policy) ([]Change, error) {
	c := newComparison(before, after)
	c.single()
	if err := c.pairs(); err != nil {
		return nil, err
	}
	c.regions()
	changes := make([]Change, len(c.changes))
	for i, found := range c.changes {
		changes[i] = found.Change
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
	sides    [2]side
	space    *space
	contexts []context
	// kinds are those of the changes found for a state of the space, in each context, as bits.
	kinds   map[stateInContext]uint8
	changes []*change
}

// side is one of the two sets of policies.
type side struct {
	snapshot *rules.Snapshot
	policies []*rules.Compiled // those in mode Enforce, by name
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

func newComparison(before, after []rules.Policy) *comparison {
	c := &comparison{kinds: map[stateInContext]uint8{}}
	for i, policies := range [2][]rules.Policy{before, after} {
		compiled := make([]*rules.Compiled, len(policies))
		for j := range policies {
			compiled[j] = rules.CompilePolicy(policies[j])
		}
		c.sides[i].snapshot = rules.Assemble(nil, compiled)
		for _, p := range compiled {
			if p.Mode() == rules.Enforce {
				c.sides[i].policies = append(c.sides[i].policies, p)
			}
		}
		slices.SortStableFunc(c.sides[i].policies, func(a, b *rules.Compiled) int { return a.Name().Compare(b.Name()) })
	}
	c.space = newSpace(&c.sides)
	c.contexts = contextsOf(&c.sides)
	return c
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

// single finds the changes of calls with one address.
func (c *comparison) single() {
	type answers struct{ was, now Result }
	type cause struct {
		answers
		contexts string
	}
	found := map[cause]*change{}
	for state := range c.space.states.count() {
		witness := c.space.witness[state]
		if witness.Address == "" {
			continue // no address is in this class
		}
		in := map[answers][]int{}
		var order []answers
		decided := map[string]answers{}
		for i := range c.contexts {
			key := c.contexts[i].matching(c.space, stateID(state))
			a, known := decided[key]
			if !known {
				a = answers{c.decide(0, i, witness), c.decide(1, i, witness)}
				decided[key] = a
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

// decide decides a call with these addresses in a context, under one side.
func (c *comparison) decide(side, context int, witnesses ...Witness) Result {
	d := c.sides[side].snapshot.Decide(c.contexts[context].call(witnesses))
	return Result{
		Outcome: d.Outcome, Reason: d.Reason, Policy: d.Policy, Entry: d.Entry, Message: d.Message, Profile: profileText(d.Profile),
	}
}
