package analysis

import (
	"encoding/binary"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// verdicts has the verdicts of the old policies (side 0) and of the new policies (side 1) on one address.
type verdicts [2]sideVerdicts

// sideVerdicts sums up the verdicts of the policies of one side on an address. It holds only what the decision on a
// call with two addresses depends on.
type sideVerdicts struct {
	denier   int // the index of the first policy that denies, or noPolicy
	allowing int // identifies the set of policies that allow: its index in policySets.sets; noPolicy if a policy denies
}

const noPolicy = -1

// verdictClass joins the classes of addresses with the same verdicts in one context.
type verdictClass struct {
	verdicts
	witness Witness
	kinds   uint8 // how a call with one address of the class changes: bit k is Kind k
}

// meaning is a [Result] without its Policy and Entry.
type meaning struct {
	outcome          rules.Outcome
	reason           rules.Reason
	message, profile string
}

// pairs finds the changes of calls with two addresses. It leaves out a change if a call with only one of the two
// addresses has a change of the same Kind.
//
// Unless a policy denies one of the addresses, the set of policies that allow both decides a call. The cost in each
// context grows with the square of the number of verdict classes, of which there are usually far fewer than entries.
func (c *comparison) pairs() error {
	type cause struct {
		was, now                 meaning
		wasDecidedBy, nowDecided rules.PolicyName
	}
	type joint [2]sideVerdicts
	type example struct {
		cause
		witness [2]Witness
	}
	changes := map[example]*change{}
	contexts := map[*change][]int{}
	for i := range c.contexts {
		if !c.contexts[i].changes {
			continue
		}
		p := pairing{comparison: c, context: i, sets: newPolicySets()}
		inContext := map[cause]Change{}
		// shortest has, for each combination of joint verdicts, the first address of the shortest pair of addresses
		// that was decided. Pairs are compared by their first address only.
		shortest := map[joint]string{}
		var order []cause
		for pair := range p.changed(p.classes()) {
			// Pairs with the same joint verdicts are decided alike, so a further one only matters as a shorter example.
			joint := joint{pair.joint(&p, 0), pair.joint(&p, 1)}
			witness := []Witness{pair[0].witness, pair[1].witness}
			if first, known := shortest[joint]; known && !shorter(witness[0], Witness{Address: first}) {
				continue
			}
			shortest[joint] = witness[0].Address
			was, now := c.decide(0, i, witness...), c.decide(1, i, witness...)
			kind := kindOf(&was, &now)
			if kind != pair.kind(&p) {
				return fmt.Errorf("the computed change of a call with two addresses is not the decided one: %d, not %d", pair.kind(&p), kind)
			}
			key := cause{meaningOf(&was), meaningOf(&now), was.Policy, now.Policy}
			known, found := inContext[key]
			if !found {
				order = append(order, key)
			}
			if !found || shorter(witness[0], known.Witness[0]) {
				inContext[key] = Change{Kind: kind, Was: was, Now: now, Witness: witness}
			}
		}
		for _, key := range order {
			in := inContext[key]
			e := example{key, [2]Witness(in.Witness)}
			if changes[e] == nil {
				changes[e] = &change{Change: in}
				c.changes = append(c.changes, changes[e])
			}
			contexts[changes[e]] = append(contexts[changes[e]], i)
		}
	}
	for ch, in := range contexts {
		ch.Calls = c.callsOf(in)
	}
	return nil
}

func meaningOf(r *Result) meaning { return meaning{r.Outcome, r.Reason, r.Message, r.Profile} }

// pairing compares the decisions of the two sides on pairs of verdict classes, in one context.
type pairing struct {
	*comparison
	context int
	sets    policySets
	known   [2]map[sideVerdicts]meaning // the decisions of each side so far, by joint verdicts
}

// pair stands for the calls with one address of each of two verdict classes.
type pair [2]*verdictClass

// classes returns the verdict classes of the context. They are sorted by the first state whose addresses have these
// verdicts, so that their order is the same in each run.
func (p *pairing) classes() []*verdictClass {
	var all []*verdictClass
	byVerdicts := map[verdicts]*verdictClass{}
	for state := range p.space.states.count() {
		witness := p.space.witness[state]
		if witness.Address == "" {
			continue
		}
		v := p.verdictsOn(stateID(state))
		known := byVerdicts[v]
		if known == nil {
			known = &verdictClass{v, witness, p.kinds[stateInContext{stateID(state), p.context}]}
			byVerdicts[v] = known
			all = append(all, known)
		}
		if shorter(witness, known.witness) {
			known.witness = witness
		}
	}
	return all
}

// verdictsOn returns the verdicts on the addresses with a state, by the policies that apply in the context.
func (p *pairing) verdictsOn(state stateID) verdicts {
	type ofPolicy struct {
		policy, precedence int
		denies             bool
	}
	var first [2][]ofPolicy
	for _, number := range p.space.states.sets[state] {
		for _, r := range p.space.matchers[number].rules {
			if p.contexts[p.context].applies[r.side][r.policy] {
				first[r.side] = append(first[r.side], ofPolicy{r.policy, r.precedence, r.denies})
			}
		}
	}
	var v verdicts
	for side := range first {
		slices.SortFunc(first[side], func(a, b ofPolicy) int {
			if a.policy != b.policy {
				return a.policy - b.policy
			}
			return a.precedence - b.precedence
		})
		v[side] = sideVerdicts{noPolicy, noPolicy}
		var allowing []int
		for i, of := range first[side] {
			if i > 0 && first[side][i-1].policy == of.policy {
				continue // an earlier match of the same policy has precedence
			}
			if of.denies {
				v[side].denier = of.policy
				break
			}
			allowing = append(allowing, of.policy)
		}
		if v[side].denier == noPolicy {
			v[side].allowing = p.sets.number(allowing)
		}
	}
	return v
}

// changed yields the pairs whose calls change. It leaves out a pair if a call with only one of the two addresses has a
// change of the same Kind.
func (p *pairing) changed(classes []*verdictClass) func(yield func(pair) bool) {
	return func(yield func(pair) bool) {
		for i, a := range classes {
			for _, b := range classes[:i] {
				pair := pair{a, b}
				if kind := pair.kind(p); kind != 0 && (a.kinds|b.kinds)&(1<<kind) == 0 && !yield(pair) {
					return
				}
			}
		}
	}
}

// kind returns how the answer to the calls of the pair changes, or 0 if it does not change.
func (pair pair) kind(p *pairing) Kind {
	was, now := pair.meaning(p, 0), pair.meaning(p, 1)
	if was == now {
		return 0
	}
	return kindOf(
		&Result{Outcome: was.outcome, Reason: was.reason, Message: was.message, Profile: was.profile},
		&Result{Outcome: now.outcome, Reason: now.reason, Message: now.message, Profile: now.profile})
}

// meaning returns the meaning of one side's decision on the calls of the pair. The decision depends only on the joint
// verdicts, so it is made once for all pairs with the same joint verdicts.
func (pair pair) meaning(p *pairing, side int) meaning {
	joint := pair.joint(p, side)
	m, known := p.known[side][joint]
	if !known {
		r := p.decide(side, p.context, pair[0].witness, pair[1].witness)
		m = meaningOf(&r)
		if p.known[side] == nil {
			p.known[side] = map[sideVerdicts]meaning{}
		}
		p.known[side][joint] = m
	}
	return m
}

// joint returns the verdicts of one side on a call of the pair: the first policy that denies one of the two addresses,
// or the policies that allow both.
func (pair pair) joint(p *pairing, side int) sideVerdicts {
	a, b := pair[0].verdicts[side], pair[1].verdicts[side]
	joint := sideVerdicts{noPolicy, noPolicy}
	switch {
	case a.denier == noPolicy && b.denier == noPolicy:
		joint.allowing = p.sets.intersection(a.allowing, b.allowing)
	case a.denier == noPolicy:
		joint.denier = b.denier
	case b.denier == noPolicy:
		joint.denier = a.denier
	default:
		joint.denier = min(a.denier, b.denier)
	}
	return joint
}

// policySets stores sets of policies. It stores each different set once. The number of a set is its index in sets.
type policySets struct {
	sets          [][]int
	known         map[string]int
	intersections map[[2]int]int
}

func newPolicySets() policySets {
	return policySets{known: map[string]int{}, intersections: map[[2]int]int{}}
}

// number returns the number of a set, which must be sorted. It stores the set if it is new.
func (s *policySets) number(set []int) int {
	key := make([]byte, 0, 4*len(set))
	for _, policy := range set {
		key = binary.LittleEndian.AppendUint32(key, uint32(policy)) //nolint:gosec // not negative, and below 2³²
	}
	number, found := s.known[string(key)]
	if !found {
		number = len(s.sets)
		s.sets = append(s.sets, set)
		s.known[string(key)] = number
	}
	return number
}

// intersection returns the number of the set of the policies that are in both sets a and b.
func (s *policySets) intersection(a, b int) int {
	if a == b {
		return a
	}
	pair := [2]int{min(a, b), max(a, b)}
	number, found := s.intersections[pair]
	if !found {
		var both []int
		for _, policy := range s.sets[a] {
			if _, in := slices.BinarySearch(s.sets[b], policy); in {
				both = append(both, policy)
			}
		}
		number = s.number(both)
		s.intersections[pair] = number
	}
	return number
}
