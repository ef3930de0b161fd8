package analysis

import (
	"encoding/binary"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// verdicts are those of the policies of both sides on the addresses of one class, as far as a call with two addresses
// depends on them.
type verdicts [2]sideVerdicts

// sideVerdicts are the verdicts of the policies of one side: the old or the new ones.
type sideVerdicts struct {
	denier   int // the first policy that denies, or noPolicy
	allowing int // the number of the set of policies that allow; noPolicy if one denies, because then it does not matter
}

const noPolicy = -1

// class holds the addresses of one context on which all policies have the same verdicts.
type class struct {
	verdicts
	witness Witness
	kinds   uint8 // of the changes of a call with one address of the class, as bits
}

// meaning is a result without its cause.
type meaning struct {
	outcome          rules.Outcome
	reason           rules.Reason
	message, profile string
}

// pairs finds the changes of calls with two addresses that differ from the changes of a call with either of the two.
//
// A policy must allow both addresses, so the answer depends on the set of policies that allow both. The cost is that of
// the classes squared, in each context: there are as many classes as different verdicts, not as many as entries.
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
		decided := map[joint]string{} // the first addresses of the pairs that were decided
		var order []cause
		for pair := range p.changed(p.classes()) {
			// Pairs with the same joint verdicts have the same cause: only a shorter one is a better example.
			joint := joint{pair.joint(&p, 0), pair.joint(&p, 1)}
			witness := []Witness{pair[0].witness, pair[1].witness}
			if first, known := decided[joint]; known && !shorter(witness[0], Witness{Address: first}) {
				continue
			}
			decided[joint] = witness[0].Address
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

// pairing compares the pairs of classes in one context.
type pairing struct {
	*comparison
	context int
	sets    policySets
	known   [2]map[sideVerdicts]meaning
}

// pair is two classes whose pairs of addresses are decided differently.
type pair [2]*class

// classes returns the classes of the context, in the order of the states.
func (p *pairing) classes() []*class {
	var all []*class
	byVerdicts := map[verdicts]*class{}
	for state := range p.space.states.count() {
		witness := p.space.witness[state]
		if witness.Address == "" {
			continue
		}
		v := p.verdictsOn(stateID(state))
		known := byVerdicts[v]
		if known == nil {
			known = &class{v, witness, p.kinds[stateInContext{stateID(state), p.context}]}
			byVerdicts[v] = known
			all = append(all, known)
		}
		if shorter(witness, known.witness) {
			known.witness = witness
		}
	}
	return all
}

// verdictsOn returns the verdicts of the policies that apply on the addresses of a state.
func (p *pairing) verdictsOn(state stateID) verdicts {
	type ofPolicy struct {
		policy, precedence int
		denies             bool
	}
	var first [2][]ofPolicy
	for _, number := range p.space.states.sets[state] {
		for _, r := range p.space.sources[number].rules {
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
				continue // the match before has precedence
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

// changed yields each pair of classes for which a call with one address of each class changes in a way in which a call
// with either address alone does not.
func (p *pairing) changed(classes []*class) func(yield func(pair) bool) {
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

// kind returns how the answer changes for a call with two addresses, one of each class of the pair.
func (pair pair) kind(p *pairing) Kind {
	was, now := pair.meaning(p, 0), pair.meaning(p, 1)
	if was == now {
		return 0
	}
	return kindOf(
		&Result{Outcome: was.outcome, Reason: was.reason, Message: was.message, Profile: was.profile},
		&Result{Outcome: now.outcome, Reason: now.reason, Message: now.message, Profile: now.profile})
}

// meaning returns the meaning of the decision on a call with an address of each class. It follows from the first policy
// that denies either address, or from the policies that allow both; so one pair is decided for all with the same.
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

// joint returns the verdicts of one side on an address of each class together.
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

// policySets are sets of policies, each kept once, by number.
type policySets struct {
	sets          [][]int
	known         map[string]int
	intersections map[[2]int]int
}

func newPolicySets() policySets {
	return policySets{known: map[string]int{}, intersections: map[[2]int]int{}}
}

// number returns the number of a sorted set.
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

// intersection returns the number of the policies that are in both sets.
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
