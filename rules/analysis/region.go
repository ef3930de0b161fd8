package analysis

import (
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// maxParts is the maximum number of parts in a Region.
const maxParts = 10_000

// Region describes a set of addresses, such as those of the calls of a [Change]. Its parts apply in order: each adds
// addresses to the set, or removes some again.
type Region struct {
	// Parts are sorted by domain, from the top-level domain down: a part comes before the exceptions from it.
	Parts []Part
	// More is the number of further parts, which were dropped because there are too many.
	More int
}

// Part adds addresses to the set that a [Region] describes, or removes them from it. These are the addresses at a
// domain, those at its subdomains, or both, or one address with or without its sub-addresses.
type Part struct {
	// Except: the part removes the addresses that the other fields describe. Otherwise it adds them.
	Except bool
	// Name is a domain, or "" for all domains. Self: the part has the addresses at the domain itself. Below: it has the
	// addresses at the subdomains.
	Name        string
	Self, Below bool
	// Local is set if the part has a single address at the domain. It is the local part, with A–Z in lower case; jo+*
	// means jo and all its sub-addresses, such as jo+x. It may be personal: print it only if the reader asks for it.
	Local string
}

// regionsOf returns a region for each element of sets, which is a set of states. The region has the addresses with one
// of these states.
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

// regionBuilder builds all regions in one pass over the nodes. The nodes have the order of Region.Parts: a node comes
// before the nodes below it. So each new part is appended.
type regionBuilder struct {
	space     *space
	regions   []Region
	of        map[stateID][]int // for each state, the sorted indexes of the regions that have the addresses with it
	effective []stateID         // for each node, the state that addNode chose for the addresses at the subdomains
}

// noState is in place of the state around the root node, which has no parent. No region has addresses with it.
const noState stateID = -1

// addNode adds parts to the regions: for the domain of a node, for its subdomains, and for single addresses at it. The
// parts of the parent node also cover this domain, as one of the parent's subdomains. So addNode adds a part to a
// region only if the parent's parts are wrong here: they include addresses that the region must not have, or lack some.
func (r *regionBuilder) addNode(at int) {
	n := &r.space.nodes[at]
	around := noState
	if at > 0 {
		around = r.effective[n.parent]
	}
	self, below := n.self, n.below
	// The domain itself, or its subdomains, may have no valid address. Any state is then correct for them: take the one
	// that needs the fewest parts.
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

// addAddresses adds the parts for the single addresses at the domain of a node. The other addresses at the domain have
// the state in the parameter domain. Parts such as jo+* come first, because a part for jo+x may be an exception from
// them.
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

// differ reports whether some region has the addresses with one of two states, but not those with the other.
func (r *regionBuilder) differ(a, b stateID) bool { return a != b && !slices.Equal(r.of[a], r.of[b]) }

// has reports whether the region with the index number has the addresses with a state.
func (r *regionBuilder) has(state stateID, number int) bool {
	_, found := slices.BinarySearch(r.of[state], number)
	return found
}

// among returns the indexes of the regions that contain the addresses of one or more of these states.
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

// add appends a part to the region with the index number, or only counts it if the region has maxParts already.
func (r *regionBuilder) add(number int, part Part) {
	region := &r.regions[number]
	if len(region.Parts) == maxParts {
		region.More++
		return
	}
	region.Parts = append(region.Parts, part)
}
