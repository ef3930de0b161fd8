package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"slices"
)

// Snapshot is a compiled set of policies, ready to decide calls. It is immutable, and safe for concurrent use. Its zero
// value has no policies.
//
// A decision finds the entries that match by a hash of the domain, in one index of all policies. It leaves out the
// entries of policies that do not apply to its call. Policies that apply to the same calls share a scope, and the
// entries of one domain are sorted by scope, so that a decision can skip whole ranges of them.
//
// [Assemble] derives a snapshot from an earlier one. A policy that is in both has the same slot in both, so the
// snapshots can share all data that refer to policies by their slots.
type Snapshot struct {
	policies    []*Compiled // sorted by name
	slots       []uint32    // for each index in policies, the slot: the number by which a posting refers to the policy
	policyAt    []uint32    // for each slot, the index in policies, or noPolicy
	scopeAt     []uint32    // for each slot, the number of the scope of its policy
	seed        maphash.Seed
	index       index
	scopes      []*scope                // by the number of the scope; nil if the number is unused
	scopeOf     shardedMap[uint32]      // for each Compiled.scope, the number of the scope
	everySource *applicable             // the policies that name no source; nil if there are none
	bySource    shardedMap[*applicable] // for each source, the policies that name the source
	digest      string
}

// noPolicy is the value in policyAt of an unused slot.
const noPolicy = 1<<32 - 1

// PolicySummary describes one policy of a snapshot.
type PolicySummary struct {
	PolicyName
	Mode Mode
	// Enforceable is false for a policy that was not understood, or that lacks a list by which it denies.
	Enforceable bool
}

// scope is the appliesTo that one or more policies have in common. It is immutable.
type scope struct {
	requests requestSet
	sources  []string // sorted; empty means all
	policies int      // how many policies have this scope
}

// applicable holds what a decision needs to know of all policies that name one source, or of all policies that name
// none, besides their entries in the index. It is immutable.
type applicable struct {
	scopes    []uint32  // the numbers of the scopes of these policies, sorted
	totals    [2]totals // for each request type: see applicable.of
	addresses uint32    // how many rules are about an address, not a domain
	*rareParts
}

// rareParts are the parts of an applicable that are empty for most sources. They are behind a pointer, so that a source
// without them takes less memory: a snapshot may have tens of thousands of sources.
type rareParts struct {
	blocking []uint32   // the slots of the policies that are not enforceable, in either mode
	lists    []listRefs // the lists that the policies name
}

// noRareParts is shared by all sources that have none of the parts in rareParts. Most sources have none.
var noRareParts = &rareParts{}

// totals counts policies in mode Enforce.
type totals struct {
	enforcing uint32
	allowing  uint32 // how many of the enforcing policies have allow entries
	// allowingSlots is the slot of the allowing policy if allowing is 1 (see Snapshot.slots). In general it is the sum
	// of the slots of the allowing policies, so that an edit only adds or subtracts the slot of a policy.
	allowingSlots uint32
}

// of returns the totals of one request type. request must not be a set of both types.
func (a *applicable) of(request requestSet) *totals { return &a.totals[request>>1] }

// listRefs is a list, and the entries of policies that name it.
type listRefs struct {
	list *List
	refs []ruleRef
}

// Digest identifies the rules: "sha256:" and 64 hexadecimal digits. Every process of one version of the operator has
// the same digest for the same policies. If a decision, or a policy's message to a person, could differ, the digest
// differs.
func (s *Snapshot) Digest() string { return s.digest }

// Policies returns the policies of the snapshot, sorted by name.
func (s *Snapshot) Policies() []PolicySummary {
	summaries := make([]PolicySummary, len(s.policies))
	for i, c := range s.policies {
		summaries[i] = c.summary()
	}
	return summaries
}

// digestOf hashes the digests of sorted policies.
func digestOf(policies []*Compiled) string {
	hash := sha256.New()
	for _, c := range policies {
		hash.Write(c.digest[:])
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

// DigestOf returns the digest of the snapshot that [Assemble] would make of compiled policies.
func DigestOf(policies []*Compiled) string {
	if !slices.IsSortedFunc(policies, (*Compiled).compare) {
		policies = slices.SortedFunc(slices.Values(policies), (*Compiled).compare)
	}
	return digestOf(policies)
}

// Assemble returns the snapshot of compiled policies, which may be in any order. It decides the same and has the same
// digest as the snapshot that [Compile] returns for the policies that they were compiled from.
//
// before is an earlier snapshot, or nil; Assemble does not change it. The result shares with it the data of policies
// that are in both as the same *Compiled, so that these policies cost next to nothing. Assemble takes less time if the
// policies are already sorted by name.
func Assemble(before *Snapshot, policies []*Compiled) *Snapshot {
	if before == nil {
		before = &Snapshot{}
	}
	sorted := slices.Clone(policies)
	if !isSorted(before.policies, sorted) {
		slices.SortFunc(sorted, (*Compiled).compare)
	}
	if len(before.policies) == 0 {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{added: indexes(len(sorted))})
	}
	d := differenceOf(before.policies, sorted)
	// A whole new snapshot costs less than an edit of more than half of the policies, and has no unused slots.
	if changed := len(d.added) + len(d.removed); changed > len(sorted)/2+1 || len(before.policyAt) > 2*len(sorted)+shardSize {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{added: indexes(len(sorted))})
	}
	return assembleFrom(before, sorted, d)
}

// isSorted reports whether policies are sorted by name. known are sorted policies. A beginning and an end that both have
// in common are not compared again: looking at the name of each of many policies takes longer than a small edit.
func isSorted(known, policies []*Compiled) bool {
	shorter := min(len(known), len(policies))
	first := 0
	for first < shorter && known[first] == policies[first] {
		first++
	}
	last := 0
	for last < shorter-first && known[len(known)-1-last] == policies[len(policies)-1-last] {
		last++
	}
	return slices.IsSortedFunc(policies[max(0, first-1):min(len(policies), len(policies)-last+1)], (*Compiled).compare)
}

// difference lists the changes from one sorted set of policies, the first, to another, the second. A changed policy is
// in removed and in added.
type difference struct {
	removed []int // indexes in the first set
	added   []int // indexes in the second set
	// previous has for each policy of the second set the index of its name in the first, or -1. It is nil if both sets
	// have the same names.
	previous []int
}

// indexes returns the numbers from 0 to count-1.
func indexes(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

// differenceOf returns the changes between two sets of policies, each sorted by name.
func differenceOf(before, after []*Compiled) difference {
	var d difference
	i, j := 0, 0
	for j < len(after) || i < len(before) {
		if j < len(after) && i < len(before) && (before[i] == after[j] || before[i].name == after[j].name) {
			if before[i] != after[j] {
				d.removed, d.added = append(d.removed, i), append(d.added, j)
			}
			if d.previous != nil {
				d.previous[j] = i
			}
			i, j = i+1, j+1
			continue
		}
		if d.previous == nil {
			// This is the first policy name that is in only one of the two sets. So far, each policy has had the same
			// index in both sets, and previous was not needed.
			d.previous = indexes(len(after))
		}
		if j == len(after) || i < len(before) && before[i].name.Compare(after[j].name) < 0 {
			d.removed = append(d.removed, i)
			i++
		} else {
			d.added = append(d.added, j)
			d.previous[j] = -1
			j++
		}
	}
	return d
}

func assembleFrom(before *Snapshot, sorted []*Compiled, d difference) *Snapshot {
	assembled := *before
	s := &assembled
	s.policies, s.digest = sorted, digestOf(sorted)
	e := snapshotEdit{snapshot: s, scopes: map[uint32]*scope{}, bySource: map[string]*applicableEdit{}}
	if len(before.policies) == 0 || d.previous != nil {
		s.assignSlots(before, d)
		e.ownsScopeAt = true
	}
	removed, added := make([]slottedPolicy, len(d.removed)), make([]slottedPolicy, len(d.added))
	for n, i := range d.removed {
		removed[n] = slottedPolicy{before.slots[i], before.policies[i]}
		e.remove(removed[n])
	}
	for n, j := range d.added {
		added[n] = slottedPolicy{s.slots[j], sorted[j]}
		e.add(added[n])
	}
	e.finish()
	s.index = before.index.edited(s, removed, added)
	return s
}

// assignSlots assigns a slot to each policy. A policy whose name was in the earlier snapshot keeps its slot.
func (s *Snapshot) assignSlots(before *Snapshot, d difference) {
	policyAt := make([]uint32, len(before.policyAt), max(len(before.policyAt), len(s.policies)))
	for slot := range policyAt {
		policyAt[slot] = noPolicy
	}
	slots := make([]uint32, len(s.policies))
	for j := range slots {
		slots[j] = noPolicy
		if d.previous != nil && d.previous[j] >= 0 {
			slots[j] = before.slots[d.previous[j]]
			policyAt[slots[j]] = uint32(j)
		}
	}
	next := 0
	for j := range slots {
		if slots[j] != noPolicy {
			continue
		}
		for next < len(policyAt) && policyAt[next] != noPolicy {
			next++
		}
		if next == len(policyAt) {
			policyAt = append(policyAt, noPolicy)
		}
		slots[j], policyAt[next] = uint32(next), uint32(j)
	}
	scopeAt := make([]uint32, len(policyAt))
	copy(scopeAt, before.scopeAt)
	s.slots, s.policyAt, s.scopeAt = slots, policyAt, scopeAt
}

// snapshotEdit edits the scopes of a new snapshot, and what it holds for each source, for [Assemble]. It copies data of
// the earlier snapshot before the first change to the data.
type snapshotEdit struct {
	snapshot    *Snapshot
	scopes      map[uint32]*scope // copies of the scopes of changed policies, by number
	everySource *applicableEdit
	bySource    map[string]*applicableEdit
	scopeOf     *mapEdit[uint32]
	ownsScopes  bool // snapshot.scopes is not shared with the earlier snapshot, so it may be changed
	ownsScopeAt bool // the same for snapshot.scopeAt
	nextFree    int  // all scope numbers below this one are in use
}

func (e *snapshotEdit) remove(p slottedPolicy) {
	e.scope(e.snapshot.scopeAt[p.slot]).policies--
	e.eachApplicable(p.policy.sources, func(a *applicableEdit) { a.remove(p) })
}

func (e *snapshotEdit) add(p slottedPolicy) {
	s := e.snapshot
	number := e.numberFor(p.policy)
	e.scope(number).policies++
	e.eachApplicable(p.policy.sources, func(a *applicableEdit) { a.add(p) })
	if s.scopeAt[p.slot] != number {
		if !e.ownsScopeAt {
			s.scopeAt, e.ownsScopeAt = slices.Clone(s.scopeAt), true
		}
		s.scopeAt[p.slot] = number
	}
}

// eachApplicable calls edit for each source of a policy, or once if the policy names none.
func (e *snapshotEdit) eachApplicable(sources []string, edit func(*applicableEdit)) {
	if len(sources) == 0 {
		if e.everySource == nil {
			e.everySource = editApplicable(e.snapshot.everySource)
		}
		edit(e.everySource)
	}
	for _, source := range sources {
		if e.bySource[source] == nil {
			known, _ := e.snapshot.bySource.get(source)
			e.bySource[source] = editApplicable(known)
		}
		edit(e.bySource[source])
	}
}

func (e *snapshotEdit) scope(number uint32) *scope {
	if e.scopes[number] == nil {
		edited := *e.snapshot.scopes[number]
		e.scopes[number] = &edited
	}
	return e.scopes[number]
}

// numberFor returns the number of the scope of a policy. If there is no such scope, it makes one.
func (e *snapshotEdit) numberFor(c *Compiled) uint32 {
	known := e.snapshot.scopeOf
	if e.scopeOf != nil {
		known = e.scopeOf.result
	}
	if number, found := known.get(c.scope); found {
		return number
	}
	e.copyScopes()
	s := e.snapshot
	for e.nextFree < len(s.scopes) && s.scopes[e.nextFree] != nil {
		e.nextFree++
	}
	if e.nextFree == len(s.scopes) {
		s.scopes = append(s.scopes, nil)
	}
	number := uint32(e.nextFree) //nolint:gosec // fewer than 2³² policies
	s.scopes[number] = &scope{requests: c.requests, sources: c.sources}
	e.scopeOf.set(c.scope, number)
	e.eachApplicable(c.sources, func(a *applicableEdit) { a.addScope(number) })
	return number
}

func (e *snapshotEdit) copyScopes() {
	if !e.ownsScopes {
		e.snapshot.scopes, e.ownsScopes = slices.Clone(e.snapshot.scopes), true
		e.scopeOf = editMap(e.snapshot.scopeOf, e.snapshot.seed)
	}
}

// finish stores what has changed in the snapshot.
func (e *snapshotEdit) finish() {
	s := e.snapshot
	for number, edited := range e.scopes {
		switch {
		case edited.policies == 0:
			e.copyScopes()
			s.scopes[number] = nil
			e.scopeOf.delete(scopeKey(edited.requests, edited.sources))
			e.eachApplicable(edited.sources, func(a *applicableEdit) { a.dropScope(number) })
		case edited.policies != s.scopes[number].policies:
			e.copyScopes()
			s.scopes[number] = edited
		}
	}
	if e.scopeOf != nil {
		s.scopeOf = e.scopeOf.result
	}
	if e.everySource != nil {
		s.everySource = e.everySource.finish()
	}
	var bySource *mapEdit[*applicable]
	for source, edit := range e.bySource {
		finished := edit.finish()
		if finished == edit.original {
			continue
		}
		if bySource == nil {
			bySource = editMap(s.bySource, s.seed)
		}
		if finished == nil {
			bySource.delete(source)
		} else {
			bySource.set(source, finished)
		}
	}
	if bySource != nil {
		s.bySource = bySource.result
	}
}
