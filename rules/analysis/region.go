package analysis

import (
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// maxParts bounds the parts of a region that are kept.
const maxParts = 10_000

// Region is a set of addresses. The last of its parts that matches an address says whether the region has it; without a
// matching part, it does not.
type Region struct {
	// Parts add and take away addresses, in the order of the names from the top-level domain down.
	Parts []Part
	// More is how many further parts are not kept.
	More int
}

// Part adds addresses to a region, or takes them away.
type Part struct {
	// Except: the addresses are taken away.
	Except bool
	// Name is a domain, or "" for all of them. Self means the addresses at the name, and Below those at the names below.
	Name        string
	Self, Below bool
	// Local is set for a part that is one address at the name: its local part, folded. One that ends in +* stands for
	// an address and all of its sub-addresses. It is personal: print it only if the reader asks for it.
	Local string
}

// regionsOf returns the region of each set of states, built in one pass over the nodes.
func (s *space) regionsOf(sets [][]stateID) []Region {
	r := regionBuilder{space: s, regions: make([]Region, len(sets)), of: map[stateID][]int{}}
	for number, states := range sets {
		for _, state := range states {
			r.of[state] = append(r.of[state], number)
		}
	}
	if len(r.of) == 0 {
		return r.regions
	}
	r.effective = make([]stateID, len(s.nodes))
	for at := range s.nodes {
		r.addNode(at)
	}
	return r.regions
}

// regionBuilder builds regions.
type regionBuilder struct {
	space     *space
	regions   []Region
	of        map[stateID][]int // the sorted numbers of the regions that a state is in
	effective []stateID         // for each node, the state that addNode took for the names below it
}

// noState is the state around the root: no region has it.
const noState stateID = -1

// addNode adds the parts of a node and of the addresses at it. A part is needed where a region begins or ends.
func (r *regionBuilder) addNode(at int) {
	n := &r.space.nodes[at]
	around := noState
	if at > 0 {
		around = r.effective[n.parent]
	}
	self, below := n.self, n.below
	// Without an address in one class, the region is the simplest that is right for the other.
	if r.differ(below, around) && r.space.witnessBelow(at).Address == "" {
		below = around
		if !r.differ(self, around) || r.space.witnessAt(at).Address != "" {
			below = self
		}
	}
	if r.differ(self, below) && r.space.witnessAt(at).Address == "" {
		self = below
	}
	r.effective[at] = below
	name := func() string { return nameOf(n.key) }
	for number := range r.among(self, below, around) {
		inSelf, inBelow, inAround := r.has(self, number), r.has(below, number), r.has(around, number)
		switch {
		case inSelf == inBelow && inSelf != inAround:
			r.add(number, Part{Except: inAround, Name: name(), Self: true, Below: true})
		case inSelf != inAround:
			r.add(number, Part{Except: inAround, Name: name(), Self: true})
		case inBelow != inAround:
			r.add(number, Part{Except: inAround, Name: name(), Below: true})
		}
	}
	r.addAddresses(at, self)
}

// addAddresses adds the parts of the addresses at a node: first those with their sub-addresses, which the others may be
// exceptions to.
func (r *regionBuilder) addAddresses(at int, domain stateID) {
	classes := r.space.addresses[at]
	around := map[string]stateID{}
	add := func(i int, around stateID) {
		if !r.differ(classes[i].state, around) {
			return
		}
		for number := range r.among(classes[i].state, around) {
			if in := r.has(around, number); in != r.has(classes[i].state, number) {
				r.add(number, Part{Except: in, Name: nameOf(r.space.nodes[at].key), Local: classes[i].local})
			}
		}
	}
	for i := range classes {
		if base, found := strings.CutSuffix(classes[i].local, address.SubAddresses); found {
			around[base] = domain
			if r.space.witnessOf(at, i).Address != "" {
				around[base] = classes[i].state
				add(i, domain)
			}
		}
	}
	for i := range classes {
		if strings.HasSuffix(classes[i].local, address.SubAddresses) {
			continue
		}
		base, _, _ := strings.Cut(classes[i].local, "+")
		state, found := around[base]
		if !found {
			state = domain
		}
		add(i, state)
	}
}

// differ reports whether two states are in different regions.
func (r *regionBuilder) differ(a, b stateID) bool { return a != b && !slices.Equal(r.of[a], r.of[b]) }

func (r *regionBuilder) has(state stateID, number int) bool {
	_, found := slices.BinarySearch(r.of[state], number)
	return found
}

// among returns the numbers of the regions that have at least one of these states.
func (r *regionBuilder) among(states ...stateID) map[int]bool {
	var numbers map[int]bool
	for _, state := range states {
		for _, number := range r.of[state] {
			if numbers == nil {
				numbers = map[int]bool{}
			}
			numbers[number] = true
		}
	}
	return numbers
}

func (r *regionBuilder) add(number int, part Part) {
	region := &r.regions[number]
	if len(region.Parts) == maxParts {
		region.More++
		return
	}
	region.Parts = append(region.Parts, part)
}
