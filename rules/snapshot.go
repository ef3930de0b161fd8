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
// Policies that apply to the same calls share a scope. A decision searches only the scopes that apply to its call, and
// finds the matching entries by a hash of the domain. Its cost therefore does not depend on policies that cannot match.
//
// [Assemble] derives a snapshot from an earlier one. A policy that is in both has the same slot in both, so the
// snapshots can share all data that refer to policies by their slots.
type Snapshot struct {
	policies  []*Compiled // by name
	slots     []uint32    // the slot of each policy, in the same order
	policyAt  []uint32    // for each slot the index of its policy in policies, or noPolicy
	seed      maphash.Seed
	scopes    []*scope             // by the number of the scope; nil if the number is unused
	scopeOf   shardedMap[uint32]   // the numbers of scopes, by Compiled.scope
	anySource []uint32             // the numbers of the scopes that apply to every source
	bySource  shardedMap[[]uint32] // for each source the numbers of the scopes that apply to it by name
	digest    string
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

// scope holds the rules of all policies with the same appliesTo. It is immutable.
type scope struct {
	requests requestSet
	sources  []string // sorted; empty means all

	policies      int      // how many policies the scope has
	enforcing     int      // how many of them are in mode Enforce
	allowing      int      // how many are in mode Enforce and have allow entries
	allowingSlots uint32   // the sum of the slots of those; if allowing is 1, the slot of that policy
	blocking      []uint32 // the slots of the policies that are not enforceable, in either mode
	addresses     int      // how many rules are about an address, not a domain

	index index
	lists []scopeList
}

// scopeList is a list, and all entries of the policies of a scope that name this list.
type scopeList struct {
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

// scopeFor returns the scope that a policy belongs to.
func (s *Snapshot) scopeFor(c *Compiled) *scope {
	number, _ := s.scopeOf.get(c.scope)
	return s.scopes[number]
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
	sorted := slices.Clone(policies)
	if !slices.IsSortedFunc(sorted, (*Compiled).compare) {
		slices.SortFunc(sorted, (*Compiled).compare)
	}
	if before == nil || len(before.policies) == 0 {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{added: indexes(len(sorted))})
	}
	d := differenceOf(before.policies, sorted)
	// A whole new snapshot costs less than an edit of more than half of the policies, and has no unused slots.
	if changed := len(d.added) + len(d.removed); changed > len(sorted)/2+1 || len(before.policyAt) > 2*len(sorted)+shardSize {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{added: indexes(len(sorted))})
	}
	return assembleFrom(before, sorted, d)
}

// difference lists the changes from one sorted set of policies, the first, to another, the second. A changed policy is
// in removed and in added.
type difference struct {
	removed  []int // indexes in the first set
	added    []int // indexes in the second set
	previous []int // for each policy of the second set, the index of its name in the first, or -1; nil if no name differs
}

// indexes returns the numbers from 0 to count-1.
func indexes(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

func differenceOf(before, after []*Compiled) difference {
	var d difference
	same := len(before) == len(after)
	previous := make([]int, len(after))
	i := 0
	for j := 0; j < len(after) || i < len(before); {
		switch {
		case j < len(after) && i < len(before) && before[i] == after[j]:
			previous[j] = i
			i, j = i+1, j+1
			continue
		case j < len(after) && i < len(before) && before[i].name == after[j].name:
			d.removed, d.added = append(d.removed, i), append(d.added, j)
			previous[j] = i
			i, j = i+1, j+1
			continue
		case j == len(after) || i < len(before) && before[i].name.Compare(after[j].name) < 0:
			d.removed = append(d.removed, i)
			i++
		default:
			d.added = append(d.added, j)
			previous[j] = -1
			j++
		}
		same = false
	}
	if !same {
		d.previous = previous
	}
	return d
}

func assembleFrom(before *Snapshot, sorted []*Compiled, d difference) *Snapshot {
	s := &Snapshot{
		policies: sorted, slots: before.slots, policyAt: before.policyAt, seed: before.seed,
		scopes: before.scopes, scopeOf: before.scopeOf, anySource: before.anySource, bySource: before.bySource,
		digest: digestOf(sorted),
	}
	if len(before.policies) == 0 || d.previous != nil {
		s.assignSlots(before, d)
	}
	e := snapshotEdit{snapshot: s, scopes: map[uint32]*scopeEdit{}, sources: map[string]bool{}}
	for _, i := range d.removed {
		c := before.policies[i]
		number, _ := before.scopeOf.get(c.scope)
		e.scope(number).remove(slottedPolicy{before.slots[i], c})
	}
	for _, j := range d.added {
		e.scopeFor(sorted[j]).add(slottedPolicy{s.slots[j], sorted[j]})
	}
	e.finish()
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
	s.slots, s.policyAt = slots, policyAt
}

// snapshotEdit edits the scopes of a snapshot while [Assemble] makes it. It copies what the snapshot shares with the
// earlier one before it changes it.
type snapshotEdit struct {
	snapshot *Snapshot
	scopes   map[uint32]*scopeEdit
	scopeOf  *mapEdit[uint32]
	bySource *mapEdit[[]uint32]
	copied   bool            // snapshot.scopes is a copy already
	sources  map[string]bool // the sources whose numbers in bySource are a copy already
	nextFree int             // all scope numbers below this one are in use
}

func (e *snapshotEdit) copyScopes() {
	if !e.copied {
		e.snapshot.scopes, e.copied = slices.Clone(e.snapshot.scopes), true
	}
}

func (e *snapshotEdit) scope(number uint32) *scopeEdit {
	edit := e.scopes[number]
	if edit == nil {
		edit = &scopeEdit{scope: *e.snapshot.scopes[number]}
		e.scopes[number] = edit
	}
	return edit
}

// scopeFor returns the edit of the scope that a policy belongs to. If there is no such scope, it makes one.
func (e *snapshotEdit) scopeFor(c *Compiled) *scopeEdit {
	known := e.snapshot.scopeOf
	if e.scopeOf != nil {
		known = e.scopeOf.result
	}
	if number, found := known.get(c.scope); found {
		return e.scope(number)
	}
	e.editMaps()
	s := e.snapshot
	e.copyScopes()
	for e.nextFree < len(s.scopes) && s.scopes[e.nextFree] != nil {
		e.nextFree++
	}
	if e.nextFree == len(s.scopes) {
		s.scopes = append(s.scopes, nil)
	}
	number := uint32(e.nextFree) //nolint:gosec // fewer than 2³² policies
	s.scopes[number] = &scope{requests: c.requests, sources: c.sources}
	e.scopeOf.set(c.scope, number)
	if len(c.sources) == 0 {
		s.anySource = append(slices.Clone(s.anySource), number)
	}
	for _, source := range c.sources {
		numbers, _ := e.bySource.result.get(source)
		if !e.sources[source] {
			e.sources[source], numbers = true, slices.Clip(numbers)
		}
		e.bySource.set(source, append(numbers, number))
	}
	return e.scope(number)
}

func (e *snapshotEdit) editMaps() {
	if e.scopeOf == nil {
		e.scopeOf = editMap(e.snapshot.scopeOf, e.snapshot.seed)
		e.bySource = editMap(e.snapshot.bySource, e.snapshot.seed)
	}
}

// finish stores the changed scopes in the snapshot.
func (e *snapshotEdit) finish() {
	s := e.snapshot
	for number, edit := range e.scopes {
		e.copyScopes()
		if edit.scope.policies == 0 {
			e.drop(number, &edit.scope)
			continue
		}
		s.scopes[number] = edit.finish(s)
	}
	if e.scopeOf != nil {
		s.scopeOf, s.bySource = e.scopeOf.result, e.bySource.result
	}
}

// drop removes a scope that has no policies left.
func (e *snapshotEdit) drop(number uint32, dropped *scope) {
	e.editMaps()
	s := e.snapshot
	isDropped := func(other uint32) bool { return other == number }
	s.scopes[number] = nil
	s.anySource = slices.DeleteFunc(slices.Clone(s.anySource), isDropped)
	e.scopeOf.delete(scopeKey(dropped.requests, dropped.sources))
	for _, source := range dropped.sources {
		numbers, _ := e.bySource.result.get(source)
		numbers = slices.DeleteFunc(slices.Clone(numbers), isDropped)
		if len(numbers) == 0 {
			e.bySource.delete(source)
		} else {
			e.bySource.set(source, numbers)
		}
	}
}

// scopeEdit collects the policies to add to and to remove from a scope. finish returns the new scope.
type scopeEdit struct {
	scope          scope
	removed, added []slottedPolicy
	copied         bool // scope.blocking is a copy already
}

func (e *scopeEdit) remove(p slottedPolicy) {
	e.count(p, -1)
	if p.policy.enforceable {
		e.removed = append(e.removed, p)
		return
	}
	e.copyBlocking()
	e.scope.blocking = slices.DeleteFunc(e.scope.blocking, func(slot uint32) bool { return slot == p.slot })
}

func (e *scopeEdit) add(p slottedPolicy) {
	e.count(p, 1)
	if p.policy.enforceable {
		e.added = append(e.added, p)
		return
	}
	// The rules of a policy that is not enforceable stay out of the index: its allow entries may allow too much.
	e.copyBlocking()
	e.scope.blocking = append(e.scope.blocking, p.slot)
}

func (e *scopeEdit) copyBlocking() {
	if !e.copied {
		e.scope.blocking, e.copied = slices.Clone(e.scope.blocking), true
	}
}

// count adds a policy to the counts of the scope, or subtracts it.
func (e *scopeEdit) count(p slottedPolicy, by int) {
	e.scope.policies += by
	if p.policy.mode == Audit {
		return
	}
	e.scope.enforcing += by
	if p.policy.hasAllow {
		e.scope.allowing += by
		e.scope.allowingSlots += uint32(by) * p.slot //nolint:gosec // a sum modulo 2³², which subtracting undoes
	}
}

func (e *scopeEdit) finish(s *Snapshot) *scope {
	for i := range e.removed {
		e.scope.addresses -= e.removed[i].policy.addresses
	}
	for i := range e.added {
		e.scope.addresses += e.added[i].policy.addresses
	}
	if len(e.removed)+len(e.added) > 0 {
		e.scope.index = e.scope.index.edited(s, e.removed, e.added)
		e.editLists()
	}
	finished := e.scope // a copy: a pointer into the scopeEdit would keep the removed policies in memory
	return &finished
}

// editLists adds and removes the references of policies to lists. Two lists with the same digest count as one.
func (e *scopeEdit) editLists() {
	usesLists := func(p slottedPolicy) bool { return len(p.policy.lists) > 0 }
	if !slices.ContainsFunc(e.removed, usesLists) && !slices.ContainsFunc(e.added, usesLists) {
		return
	}
	lists := slices.Clone(e.scope.lists)
	places := make(map[string]int, len(lists))
	for i := range lists {
		places[lists[i].list.Digest()] = i
	}
	copied := map[int]bool{}
	refsOf := func(i int) *[]ruleRef {
		if !copied[i] {
			copied[i] = true
			lists[i].refs = slices.Clone(lists[i].refs)
		}
		return &lists[i].refs
	}
	for _, p := range e.removed {
		for _, rule := range p.policy.lists {
			refs := refsOf(places[rule.list.Digest()])
			*refs = slices.DeleteFunc(*refs, func(r ruleRef) bool { return r.slot == p.slot })
		}
	}
	for _, p := range e.added {
		for _, rule := range p.policy.lists {
			i, known := places[rule.list.Digest()]
			if !known {
				i = len(lists)
				places[rule.list.Digest()] = i
				lists = append(lists, scopeList{list: rule.list})
			}
			refs := refsOf(i)
			*refs = append(*refs, newRuleRef(p.slot, rule.entry.Index, traits(rule.entry.Field)))
		}
	}
	e.scope.lists = slices.Clip(slices.DeleteFunc(lists, func(l scopeList) bool { return len(l.refs) == 0 }))
}
