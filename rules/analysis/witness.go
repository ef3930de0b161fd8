package analysis

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
)

// findWitnesses sets the witness of each state: the shortest of the addresses with this state that witnessAt,
// witnessBelow and witnessOf find. Other addresses with this state may be shorter.
func (s *space) findWitnesses() {
	s.witness = make([]Witness, s.states.count())
	for at := range s.nodes {
		n := &s.nodes[at]
		s.offer(n.self, s.witnessAt(at))
		s.offer(n.below, s.witnessBelow(at))
		for i := range s.addresses[at] {
			s.offer(s.addresses[at][i].state, s.witnessOf(at, i))
		}
	}
}

// offer makes w the witness of a state if the state has no witness yet, or a longer one.
func (s *space) offer(state stateID, w Witness) {
	if w.Address != "" && (s.witness[state].Address == "" || shorter(w, s.witness[state])) {
		s.witness[state] = w
	}
}

func shorter(a, b Witness) bool {
	return cmp.Or(cmp.Compare(len(a.Address), len(b.Address)), strings.Compare(a.Address, b.Address)) < 0
}

// usualLocal and usualDomains are a local part and domains that a reader recognises as examples (RFC 2606).
const usualLocal = "user"

var usualDomains = []string{"example.com", "example.org", "example.net"}

// witnessAt returns an address at the domain of a node. It is an address that no entry for an address matches.
func (s *space) witnessAt(at int) Witness {
	name := nameOf(s.nodes[at].key)
	if _, err := rules.ParseDomain(name); err != nil {
		return Witness{}
	}
	classes := s.addresses[at]
	for local := range candidates(usualLocal, ofLocals, min(address.MaxLength-len("@")-len(name), maxLocalPart), len(classes)) {
		if !matchedBy(classes, local) && valid(local, name) {
			return Witness{Address: local + "@" + name}
		}
	}
	return Witness{}
}

// witnessBelow returns an address at a subdomain of a node's domain. The subdomain is not at or below another node that
// is below this one.
func (s *space) witnessBelow(at int) Witness {
	if at == 0 {
		for _, name := range usualDomains {
			if s.innermost(name) == 0 {
				return Witness{Address: usualLocal + "@" + name}
			}
		}
		for top := range candidates("test", ofLabels, maxLabel, len(s.nodes)) {
			if name := "a." + top; s.innermost(name) == 0 && valid(usualLocal, name) {
				return Witness{Address: usualLocal + "@" + name}
			}
		}
	}
	name := nameOf(s.nodes[at].key)
	longest := address.MaxLength - len("u@.") - len(name)
	for label := range candidates("a", ofLabels, min(longest, maxLabel), len(s.nodes)) {
		below := label + "." + name
		local := usualLocal[:min(len(usualLocal), 1+longest-len(label))]
		if s.innermost(below) == at && valid(local, below) {
			return Witness{Address: local + "@" + below}
		}
	}
	return Witness{}
}

// witnessOf returns an address of one of the classes of addresses at a node.
func (s *space) witnessOf(at, class int) Witness {
	name, classes := nameOf(s.nodes[at].key), s.addresses[at]
	base, subAddresses := strings.CutSuffix(classes[class].local, address.SubAddresses)
	if !subAddresses {
		if valid(base, name) {
			return Witness{base + "@" + name, true}
		}
		return Witness{}
	}
	listed := func(local string) bool {
		return slices.ContainsFunc(classes, func(c addressClass) bool { return c.local == local })
	}
	if !listed(base) && valid(base, name) {
		return Witness{base + "@" + name, true}
	}
	longest := min(address.MaxLength-len("@")-len(name), maxLocalPart) - len("+") - len(base)
	for detail := range candidates("a", ofLocals, longest, len(classes)) {
		local := base + "+" + detail
		if !listed(local) && valid(local, name) {
			return Witness{local + "@" + name, true}
		}
	}
	return Witness{}
}

// innermost returns the deepest node whose domain is the name, or a parent of it.
func (s *space) innermost(name string) int {
	for ; name != ""; _, name, _ = strings.Cut(name, ".") {
		at, found := slices.BinarySearchFunc(s.nodes, keyOf(name), func(n node, key string) int { return strings.Compare(n.key, key) })
		if found {
			return at
		}
	}
	return 0
}

// matchedBy reports whether one of the classes of addresses of a domain has the address with this local part.
func matchedBy(classes []addressClass, local string) bool {
	base, _, _ := strings.Cut(local, "+")
	return slices.ContainsFunc(classes, func(c addressClass) bool {
		return c.local == local || c.local == base+address.SubAddresses
	})
}

// valid reports whether two things hold: a call can have this address, and name is in the canonical form of a domain.
func valid(local, name string) bool {
	parsed, err := rules.ParseAddress(local + "@" + name)
	return err == nil && parsed.Domain().String() == name
}

// The characters of labels, and of local parts in lower case. Not every sequence of them is valid.
const (
	ofLabels = "abcdefghijklmnopqrstuvwxyz0123456789-"
	ofLocals = ofLabels + "_.#$&'*+/=?^{|}~"
)

const (
	maxLabel     = 63 // bytes: RFC 1035 2.3.4
	maxLocalPart = 64 // bytes: RFC 5321 4.5.3.1.1
)

// candidates yields labels or local parts for a witness. The first is the text in the parameter preferred. Then come
// all texts of the characters in alphabet, shorter ones before longer ones. None has more than maxBytes bytes. The
// caller skips invalid texts, and those that entries mention: at most as many as the parameter mentioned says.
//
// candidates stops after 2*mentioned+200 texts. Of the texts that no entry mentions, nearly all are valid or none is,
// so a caller that has skipped so many would skip all others too.
func candidates(preferred, alphabet string, maxBytes, mentioned int) iter.Seq[string] {
	return func(yield func(string) bool) {
		if len(preferred) <= maxBytes && !yield(preferred) {
			return
		}
		left := 2*mentioned + 200
		texts := []string{""}
		for range maxBytes {
			var longer []string
			for _, text := range texts {
				for _, c := range alphabet {
					if left--; left < 0 {
						return
					}
					longer = append(longer, text+string(c))
					if !yield(text + string(c)) {
						return
					}
				}
			}
			texts = longer
		}
	}
}
