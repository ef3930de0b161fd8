package rules

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
)

// Snapshot is what a set of policies says, ready to decide by. It is immutable, and safe for use by any number of callers at
// the same time. Its zero value has no policies.
//
// Policies that apply to the same calls share a scope. A decision looks only into the scopes of its call, and there only at
// the entries that match: what it costs does not depend on policies that cannot match.
type Snapshot struct {
	policies  []policyFacts
	anySource []*scope            // the scopes of policies that apply to every source
	bySource  map[string][]*scope // the scopes of policies that name the source
	digest    string
}

// policyFacts are what a decision says of a policy. Their place in Snapshot.policies is the policy's number, and by name.
type policyFacts struct {
	PolicySummary
	message string
	scope   *scope
	profile []ProfileAttribute // settled
	sent    []ProfileAttribute // what is sent of it where no other policy has a say
	sentOn  requestSet
}

// PolicySummary describes one policy of a snapshot.
type PolicySummary struct {
	PolicyName
	Mode Mode
	// Enforceable is false for a policy that could not be understood.
	Enforceable bool
}

// scope holds the rules of all policies with the same appliesTo.
type scope struct {
	requests requestSet
	sources  []string // sorted; empty means all

	enforcing   int     // policies in mode Enforce
	allowing    int     // those of them that have an allow
	allowingOne int32   // one of those
	blocking    []int32 // policies that are not enforceable, in order, those in mode Audit included

	domains   map[string]domainSpan
	addresses map[string]span
	lists     []listUses
	postings  []posting
}

// posting says that an entry of a policy matches.
type posting struct {
	policy int32
	index  int32
	field  EntryField
	rung   rung
}

// span is a part of scope.postings: from begin to before end.
type span struct{ begin, end uint32 }

// domainSpan holds what matches a name itself, then what matches the names below it.
type domainSpan struct{ begin, middle, end uint32 }

// listUses are the postings of all policies of a scope that use one list.
type listUses struct {
	list *List
	span
}

// Digest names the rules: "sha256:" and 64 hexadecimal digits. It is the same for the same policies in every process of one
// version of the operator, and another one where a decision, or a text for a person, could differ.
func (s *Snapshot) Digest() string { return s.digest }

// Policies returns the policies of the snapshot, by name.
func (s *Snapshot) Policies() []PolicySummary {
	summaries := make([]PolicySummary, len(s.policies))
	for i := range s.policies {
		summaries[i] = s.policies[i].PolicySummary
	}
	return summaries
}

// newSnapshot builds a snapshot of policies that are sorted by name.
func newSnapshot(compiled []compiledPolicy) *Snapshot {
	s := &Snapshot{bySource: map[string][]*scope{}, digest: digestOf(compiled)}
	builders := map[string]*scopeBuilder{}
	var order []*scopeBuilder
	for i := range compiled {
		c := &compiled[i]
		mode := Enforce
		if c.audit {
			mode = Audit
		}
		s.policies = append(s.policies, policyFacts{
			PolicySummary: PolicySummary{c.name, mode, c.enforceable}, message: c.message,
			profile: c.profile, sent: undisputed(c.profile), sentOn: c.profileOn,
		})

		key := fmt.Sprintf("%d %q", c.requests, c.sources) // quoted: a source may be empty, or hold any separator
		b := builders[key]
		if b == nil {
			b = newScopeBuilder(c)
			builders[key] = b
			order = append(order, b)
			if len(c.sources) == 0 {
				s.anySource = append(s.anySource, b.scope)
			}
			for _, source := range c.sources {
				s.bySource[source] = append(s.bySource[source], b.scope)
			}
		}
		s.policies[i].scope = b.scope
		b.add(int32(i), c)
	}
	for _, b := range order {
		b.finish()
	}
	return s
}

// scopeBuilder collects the rules of a scope before they are laid out.
type scopeBuilder struct {
	scope     *scope
	self      map[string][]posting
	below     map[string][]posting
	addresses map[string][]posting
	lists     map[string][]posting // by digest
	known     []*List              // one for each of these, in order
}

// newScopeBuilder returns the builder of the scope that c belongs to.
func newScopeBuilder(c *compiledPolicy) *scopeBuilder {
	return &scopeBuilder{
		scope:     &scope{requests: c.requests, sources: c.sources},
		self:      map[string][]posting{},
		below:     map[string][]posting{},
		addresses: map[string][]posting{},
		lists:     map[string][]posting{},
	}
}

func (b *scopeBuilder) add(policy int32, c *compiledPolicy) {
	if !c.audit {
		b.scope.enforcing++
		if c.hasAllow {
			b.scope.allowing++
			b.scope.allowingOne = policy
		}
	}
	if !c.enforceable {
		b.scope.blocking = append(b.scope.blocking, policy)
		return // its rules are not to be relied on: neither its allows, nor the exceptions from its denies
	}
	for _, rule := range c.domains {
		p := postingOf(policy, rule.entry, rule.rung)
		if rule.self {
			b.self[rule.name] = append(b.self[rule.name], p)
		}
		if rule.below {
			b.below[rule.name] = append(b.below[rule.name], p)
		}
	}
	for _, rule := range c.addresses {
		p := postingOf(policy, rule.entry, rule.rung)
		b.addresses[rule.key] = append(b.addresses[rule.key], p)
	}
	for _, rule := range c.lists {
		digest := rule.list.digest
		if _, known := b.lists[digest]; !known {
			b.known = append(b.known, rule.list)
		}
		b.lists[digest] = append(b.lists[digest], postingOf(policy, rule.entry, rule.rung))
	}
}

// finish lays the rules out: one map, and one array without pointers for the collector to follow.
func (b *scopeBuilder) finish() {
	s := b.scope
	place := func(postings []posting) uint32 {
		s.postings = append(s.postings, postings...)
		return uint32(len(s.postings)) //nolint:gosec // 2³² postings take 48 GiB
	}
	s.domains = make(map[string]domainSpan, len(b.self)+len(b.below))
	for name, postings := range b.self {
		begin := place(nil)
		s.domains[name] = domainSpan{begin, place(postings), place(b.below[name])}
	}
	for name, postings := range b.below {
		if _, placed := s.domains[name]; !placed {
			begin := place(nil)
			s.domains[name] = domainSpan{begin, begin, place(postings)}
		}
	}
	s.addresses = make(map[string]span, len(b.addresses))
	for key, postings := range b.addresses {
		begin := place(nil)
		s.addresses[key] = span{begin, place(postings)}
	}
	for _, list := range b.known {
		begin := place(nil)
		s.lists = append(s.lists, listUses{list, span{begin, place(b.lists[list.digest])}})
	}
	s.postings = slices.Clip(s.postings)
}

// digestOf hashes what the policies say. Every text is preceded by its length, so that no two sets read alike.
func digestOf(compiled []compiledPolicy) string {
	hash := sha256.New()
	write := func(text string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(text)))
		hash.Write(length[:])
		hash.Write([]byte(text))
	}
	for i := range compiled {
		write(compiled[i].name.Namespace)
		write(compiled[i].name.Name)
		write(strings.Repeat("*", len(compiled[i].canon)))
		for _, word := range compiled[i].canon {
			write(word)
		}
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

func postingOf(policy int32, entry Entry, rung rung) posting {
	return posting{policy, int32(entry.Index), entry.Field, rung} //nolint:gosec // a list has 1,000 items at most
}

func (p posting) entry() Entry { return Entry{p.field, int(p.index)} }

// compare orders what matched: by policy, and for one policy as the ladder has it.
func (p posting) compare(o posting) int {
	return cmp.Or(cmp.Compare(p.policy, o.policy), cmp.Compare(p.rung, o.rung),
		cmp.Compare(p.field, o.field), cmp.Compare(p.index, o.index))
}
