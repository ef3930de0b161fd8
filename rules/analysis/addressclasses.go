package analysis

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
)

// space divides all addresses into classes. A state is a set of matchers, and identifies a class: exactly these matchers
// match each of its addresses. The domains that entries name form a tree of nodes.
type space struct {
	matchers []matcher
	states   states
	nodes    []node // sorted by key, so that a node comes before the nodes below it
	// addresses are the classes of single addresses that entries name, by the index of the node of their domain.
	addresses map[int][]addressClass
	// witness has a short address for each state; its Address is "" if no valid address has this state.
	witness []Witness
}

// matcher is one reading of an entry, or a list that policies use to allow or to deny. An entry has one rule. A list
// has a rule for each policy that uses it in the same way, because it matches the same addresses for all of them.
type matcher struct {
	rules []rule
}

// rule is an entry of a policy, by which the policy allows or denies.
type rule struct {
	side       int // the set of policies with this one: its index in problem.sides
	policy     int // the index of the policy in side.policies
	entry      rules.Entry
	denies     bool
	precedence int
}

// node is a domain that an entry names, alone or in an address. The first node is the root: its domain is "", and all
// domains are below it.
type node struct {
	key    string // see keyOf
	parent int
	// self is the state of the addresses at this domain: the matchers that match them. below is the state of the
	// addresses at its subdomains. A subdomain with a node of its own has its own states; below does not apply to it,
	// nor to the names below it.
	self, below stateID
}

// addressClass is a class within one domain: an address that entries name. The class of jo+*@ has jo@ and its
// sub-addresses, such as jo+x@, except those with a class of their own.
type addressClass struct {
	local string  // the local part with A–Z in lower case, or jo+*
	state stateID // the matchers that match the addresses of the class
}

// mention is a domain or an address that a matcher names.
type mention struct {
	key         string // see keyOf
	matcher     int    // the index in space.matchers
	self, below bool   // see [rules.Reading]
}

const (
	labelEnd     = "\x02" // ends a label in a key
	addressBegin = "\x01" // begins a local part in a key, so that it sorts before the names below the domain
)

// keyOf returns the sort key of a domain or an address: the labels from the last to the first, then the local part.
func keyOf(text string) string {
	local, name, isAddress := strings.Cut(text, "@")
	if !isAddress {
		name = text
	}
	var key strings.Builder
	key.Grow(len(text) + len(labelEnd))
	for name != "" {
		dot := strings.LastIndexByte(name, '.')
		key.WriteString(name[dot+1:])
		key.WriteString(labelEnd)
		name = name[:max(dot, 0)]
	}
	if isAddress {
		key.WriteString(addressBegin)
		key.WriteString(local)
	}
	return key.String()
}

// nameOf returns the domain from its key, which must not have a local part.
func nameOf(key string) string {
	labels := strings.Split(strings.TrimSuffix(key, labelEnd), labelEnd)
	slices.Reverse(labels)
	return strings.Join(labels, ".")
}

func newSpace(sides []side) *space {
	s := &space{addresses: map[int][]addressClass{}}
	s.states.init()
	mentions := s.mentionsOf(sides)
	slices.SortFunc(mentions, func(a, b mention) int { return strings.Compare(a.key, b.key) })
	s.build(mentions)
	s.findWitnesses()
	return s
}

// mentionsOf sets s.matchers, and returns every domain and address that the matchers name. A list that several policies
// use to deny, or several use to allow, is read only once.
func (s *space) mentionsOf(sides []side) []mention {
	type listUse struct {
		digest string
		denies bool
	}
	var mentions []mention
	lists := map[listUse]int{}
	for i := range sides {
		for j, policy := range sides[i].policies {
			for r := range policy.Readings() {
				number := len(s.matchers)
				s.matchers = append(s.matchers, matcher{[]rule{{i, j, r.Entry, r.Denies, r.Precedence}}})
				mentions = append(mentions, mention{keyOf(r.Key()), number, r.Self, r.Below})
			}
			for l := range policy.ListsInForce() {
				use := listUse{l.List.Digest(), l.Denies}
				number, known := lists[use]
				if !known {
					number = len(s.matchers)
					lists[use] = number
					s.matchers = append(s.matchers, matcher{})
					mentions = slices.Grow(mentions, l.List.Entries())
					for r := range l.List.Readings(l.Denies) {
						mentions = append(mentions, mention{keyOf(r.Key), number, r.Self, r.Below})
					}
				}
				s.matchers[number].rules = append(s.matchers[number].rules, rule{i, j, l.Entry, l.Denies, l.Precedence})
			}
		}
	}
	return mentions
}

// build builds the nodes and the classes of addresses from mentions, which are sorted by key.
func (s *space) build(mentions []mention) {
	s.nodes = append(s.nodes, node{parent: -1})
	var path []int // the indexes of the last node and its ancestors, without the root
	last := func() int {
		if len(path) == 0 {
			return 0
		}
		return path[len(path)-1]
	}
	for len(mentions) > 0 {
		n := 1
		for n < len(mentions) && mentions[n].key == mentions[0].key {
			n++
		}
		same := mentions[:n]
		mentions = mentions[n:]
		key, local, isAddress := strings.Cut(same[0].key, addressBegin)
		for len(path) > 0 && !strings.HasPrefix(key, s.nodes[last()].key) {
			path = path[:len(path)-1]
		}
		if s.nodes[last()].key != key {
			below := s.nodes[last()].below
			s.nodes = append(s.nodes, node{key, last(), below, below})
			path = append(path, len(s.nodes)-1)
		}
		at := &s.nodes[last()]
		if isAddress {
			s.addresses[last()] = append(s.addresses[last()], addressClass{local, s.states.of(same, true)})
			continue
		}
		at.self = s.states.union(at.self, s.states.of(same, true))
		at.below = s.states.union(at.below, s.states.of(same, false))
	}
	for _, at := range slices.Sorted(maps.Keys(s.addresses)) {
		s.completeAddresses(s.nodes[at].self, s.addresses[at])
	}
}

// completeAddresses adds to the state of each class of addresses the matchers that match more than this class: those
// of the whole domain, and jo+*@acme.com for the classes of jo@acme.com and jo+x@acme.com. The parameter domain is the
// state of the whole domain.
func (s *space) completeAddresses(domain stateID, classes []addressClass) {
	withSubAddresses := map[string]stateID{}
	for _, class := range classes {
		if base, found := strings.CutSuffix(class.local, address.SubAddresses); found {
			withSubAddresses[base] = class.state
		}
	}
	for i := range classes {
		base, _, _ := strings.Cut(classes[i].local, "+")
		state := s.states.union(domain, classes[i].state)
		classes[i].state = s.states.union(state, withSubAddresses[base])
	}
}

// stateID identifies a state, which is a set of matchers. It is the index in states.sets. 0 is the empty set: the state
// of the addresses that nothing matches.
type stateID int32

// states stores each different state once, as the sorted indexes of its matchers in space.matchers.
type states struct {
	sets   [][]int32
	known  map[string]stateID     // by the bytes of the indexes
	unions map[[2]stateID]stateID // the results of union so far
}

func (s *states) init() {
	s.sets, s.known, s.unions = [][]int32{nil}, map[string]stateID{"": 0}, map[[2]stateID]stateID{}
}

func (s *states) count() int { return len(s.sets) }

// of returns the state with the matchers of some mentions, which all have the same key. With self, it takes the
// matchers that match the domain or address itself; otherwise it takes those that match the names below the domain.
func (s *states) of(mentions []mention, self bool) stateID {
	var set []int32
	for i := range mentions {
		if self && mentions[i].self || !self && mentions[i].below {
			set = append(set, int32(mentions[i].matcher)) //nolint:gosec // an index of matchers: 2³¹ would not fit in memory
		}
	}
	return s.intern(set)
}

// intern returns the state with the matchers of a set, and stores it if it is new.
func (s *states) intern(set []int32) stateID {
	slices.Sort(set)
	set = slices.Compact(set)
	key := make([]byte, 0, 4*len(set))
	for _, number := range set {
		key = binary.LittleEndian.AppendUint32(key, uint32(number)) //nolint:gosec // not negative
	}
	id, found := s.known[string(key)]
	if !found {
		id = stateID(len(s.sets)) //nolint:gosec // fewer than 2³¹ states fit into memory
		s.sets = append(s.sets, slices.Clip(set))
		s.known[string(key)] = id
	}
	return id
}

// union returns the state with the matchers of both states.
func (s *states) union(a, b stateID) stateID {
	if a == b || b == 0 {
		return a
	}
	if a == 0 {
		return b
	}
	pair := [2]stateID{min(a, b), max(a, b)}
	id, found := s.unions[pair]
	if !found {
		id = s.intern(slices.Concat(s.sets[a], s.sets[b]))
		s.unions[pair] = id
	}
	return id
}
