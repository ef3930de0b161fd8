package analysis

import (
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
)

// space divides all addresses into classes by the entries that match them. A class is named by its state, the set of
// those entries. Names are kept as a tree: a node is a name that some entry mentions.
type space struct {
	sources []source
	states  states
	nodes   []node // by key, so that a node stands before the nodes below it
	// addresses are the classes of whole addresses, by the index of the node of their domain.
	addresses map[int][]addressClass
	// witness has a short address for each state; its Address is "" if the state has no valid address.
	witness []Witness
}

// source is an entry, or all entries of one list in its use for one verdict. What matches one of its names matches all
// of its rules.
type source struct {
	rules []rule
}

// rule is an entry of a policy of one side.
type rule struct {
	side       int
	policy     int // its index in side.policies
	entry      rules.Entry
	denies     bool
	precedence int
}

// node is a name that entries mention. The root is the node of all names.
type node struct {
	key    string
	parent int
	// self is the state of the addresses at this name, and below that of the addresses at names below, unless a node
	// below says otherwise.
	self, below stateID
}

// addressClass holds the addresses of one domain that an entry of an address matches.
type addressClass struct {
	local string // folded; with the suffix +* for an address with its sub-addresses
	state stateID
}

// mention is a name or an address in an entry.
type mention struct {
	key         string // see keyOf
	source      int
	self, below bool
}

const (
	labelEnd     = "\x02" // ends a label in a key
	addressBegin = "\x01" // begins a local part in a key, so that it sorts before the names below the domain
)

// keyOf returns the sort key of a name or an address: its labels from the last to the first, then the local part.
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

// nameOf returns the name of a key without a local part.
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

// mentionsOf returns all names and addresses of all sides. A list that several policies use is read once.
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
				number := len(s.sources)
				s.sources = append(s.sources, source{[]rule{{i, j, r.Entry, r.Denies, r.Precedence}}})
				mentions = append(mentions, mention{keyOf(r.Key()), number, r.Self, r.Below})
			}
			for l := range policy.ListsInForce() {
				use := listUse{l.List.Digest(), l.Denies}
				number, known := lists[use]
				if !known {
					number = len(s.sources)
					lists[use] = number
					s.sources = append(s.sources, source{})
					mentions = slices.Grow(mentions, l.List.Entries())
					for r := range l.List.Readings(l.Denies) {
						mentions = append(mentions, mention{keyOf(r.Key), number, r.Self, r.Below})
					}
				}
				s.sources[number].rules = append(s.sources[number].rules, rule{i, j, l.Entry, l.Denies, l.Precedence})
			}
		}
	}
	return mentions
}

// build builds the nodes from sorted mentions.
func (s *space) build(mentions []mention) {
	s.nodes = append(s.nodes, node{parent: -1})
	var path []int // the last node and its ancestors, without the root
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

// completeAddresses adds two kinds of entries to the state of each address. The first match all addresses of its domain.
// The second match sub-addresses: jo+*@acme.com matches jo@acme.com and jo+x@acme.com.
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

// stateID is a state of a space. The zero value is the state without entries.
type stateID int32

// states are sets of sources, each kept once.
type states struct {
	sets   [][]int32
	known  map[string]stateID
	unions map[[2]stateID]stateID
}

func (s *states) init() {
	s.sets, s.known, s.unions = [][]int32{nil}, map[string]stateID{"": 0}, map[[2]stateID]stateID{}
}

func (s *states) count() int { return len(s.sets) }

// of returns the state for the sources of some mentions: with self, those that match the name itself, else those that
// match the names below it.
func (s *states) of(mentions []mention, self bool) stateID {
	var set []int32
	for i := range mentions {
		if self && mentions[i].self || !self && mentions[i].below {
			set = append(set, int32(mentions[i].source)) //nolint:gosec // fewer than 2³¹ entries
		}
	}
	return s.intern(set)
}

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
