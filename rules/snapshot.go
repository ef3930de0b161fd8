package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"hash/maphash"
	"slices"
)

// Snapshot is what a set of policies says, ready to decide by. It is immutable, and safe for use by any number of callers at
// the same time. Its zero value has no policies.
//
// Policies that apply to the same calls share a scope. A decision looks only into the scopes of its call, and there only at
// the entries that match: what it costs does not depend on policies that cannot match.
//
// [Assemble] makes a snapshot of an earlier one: a policy that stays has the same slot in both, so that whatever names policies
// by their slots can be shared.
type Snapshot struct {
	policies  []*Compiled // by name
	slots     []uint32    // of each of these
	rank      []uint32    // of each slot the place of its policy in policies, or free
	seed      maphash.Seed
	scopes    []*scope             // by their numbers; nil is a free number
	scopeOf   shardedMap[uint32]   // scopes by Compiled.scope
	anySource []uint32             // the scopes of policies that apply to every source
	bySource  shardedMap[[]uint32] // the scopes of policies that name the source
	digest    string
}

// free is the rank of a slot without a policy.
const free = 1<<32 - 1

// PolicySummary describes one policy of a snapshot.
type PolicySummary struct {
	PolicyName
	Mode Mode
	// Enforceable is false for a policy that could not be understood.
	Enforceable bool
}

// scope holds the rules of all policies with the same appliesTo. It is immutable.
type scope struct {
	requests requestSet
	sources  []string // sorted; empty means all

	policies      int
	enforcing     int      // policies in mode Enforce
	allowing      int      // those of them that have an allow
	allowingSlots uint32   // the sum of their slots: the slot, where there is one
	blocking      []uint32 // the slots of policies that are not enforceable, those in mode Audit included
	addresses     int      // rules of addresses

	index index
	lists []listUses
}

// listUses are the entries of all policies of a scope that use one list.
type listUses struct {
	list *List
	uses []use
}

// Digest names the rules: "sha256:" and 64 hexadecimal digits. It is the same for the same policies in every process of one
// version of the operator, and another one where a decision, or a text for a person, could differ.
func (s *Snapshot) Digest() string { return s.digest }

// Policies returns the policies of the snapshot, by name.
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

// digestOf hashes the digests of policies that are sorted.
func digestOf(policies []*Compiled) string {
	hash := sha256.New()
	for _, c := range policies {
		hash.Write(c.digest[:])
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}

// DigestOf returns the digest of the rules that compiled policies make together, without making them.
func DigestOf(policies []*Compiled) string {
	if !slices.IsSortedFunc(policies, (*Compiled).compare) {
		policies = slices.SortedFunc(slices.Values(policies), (*Compiled).compare)
	}
	return digestOf(policies)
}

// Assemble returns the rules that compiled policies make together: the same, with the same digest, as [Compile] returns for the
// policies that they were compiled from, whatever their order. It shares with an earlier snapshot, which it does not change, what is
// the same in both: a policy that is the same *Compiled costs next to nothing. nil is no earlier snapshot. Policies that come
// sorted by name need not be sorted again.
func Assemble(before *Snapshot, policies []*Compiled) *Snapshot {
	sorted := slices.Clone(policies)
	if !slices.IsSortedFunc(sorted, (*Compiled).compare) {
		slices.SortFunc(sorted, (*Compiled).compare)
	}
	if before == nil || len(before.policies) == 0 {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{come: places(len(sorted))})
	}
	d := differenceOf(before.policies, sorted)
	// A snapshot made anew costs less than changing most of one, and leaves no slots free.
	if changed := len(d.come) + len(d.gone); changed > len(sorted)/2+1 || len(before.rank) > 2*len(sorted)+usualShard {
		return assembleFrom(&Snapshot{seed: maphash.MakeSeed()}, sorted, difference{come: places(len(sorted))})
	}
	return assembleFrom(before, sorted, d)
}

// difference is what is to be done to come from one sorted set of policies to another.
type difference struct {
	gone   []int // places in the former
	come   []int // places in the latter
	former []int // of each place in the latter the one in the former, -1 for none; nil where the names are all the same
}

func places(count int) []int {
	all := make([]int, count)
	for i := range all {
		all[i] = i
	}
	return all
}

func differenceOf(before, after []*Compiled) difference {
	var d difference
	same := len(before) == len(after)
	former := make([]int, len(after))
	i := 0
	for j := 0; j < len(after) || i < len(before); {
		switch {
		case j < len(after) && i < len(before) && before[i] == after[j]:
			former[j] = i
			i, j = i+1, j+1
			continue
		case j < len(after) && i < len(before) && before[i].name == after[j].name:
			d.gone, d.come = append(d.gone, i), append(d.come, j)
			former[j] = i
			i, j = i+1, j+1
			continue
		case j == len(after) || i < len(before) && before[i].name.Compare(after[j].name) < 0:
			d.gone = append(d.gone, i)
			i++
		default:
			d.come = append(d.come, j)
			former[j] = -1
			j++
		}
		same = false
	}
	if !same {
		d.former = former
	}
	return d
}

func assembleFrom(before *Snapshot, sorted []*Compiled, d difference) *Snapshot {
	s := &Snapshot{
		policies: sorted, slots: before.slots, rank: before.rank, seed: before.seed,
		scopes: before.scopes, scopeOf: before.scopeOf, anySource: before.anySource, bySource: before.bySource,
		digest: digestOf(sorted),
	}
	if len(before.policies) == 0 || d.former != nil {
		s.placeSlots(before, d)
	}
	e := snapshotEdit{snapshot: s, scopes: map[uint32]*scopeEdit{}, sources: map[string]bool{}}
	for _, i := range d.gone {
		c := before.policies[i]
		number, _ := before.scopeOf.get(c.scope)
		e.scope(number).remove(placed{before.slots[i], c})
	}
	for _, j := range d.come {
		e.scopeFor(sorted[j]).add(placed{s.slots[j], sorted[j]})
	}
	e.finish()
	return s
}

// placeSlots gives the policies their slots: those that stay keep theirs.
func (s *Snapshot) placeSlots(before *Snapshot, d difference) {
	rank := make([]uint32, len(before.rank), max(len(before.rank), len(s.policies)))
	for slot := range rank {
		rank[slot] = free
	}
	slots := make([]uint32, len(s.policies))
	for j := range slots {
		slots[j] = free
		if d.former != nil && d.former[j] >= 0 {
			slots[j] = before.slots[d.former[j]]
			rank[slots[j]] = uint32(j)
		}
	}
	next := 0
	for j := range slots {
		if slots[j] != free {
			continue
		}
		for next < len(rank) && rank[next] != free {
			next++
		}
		if next == len(rank) {
			rank = append(rank, free)
		}
		slots[j], rank[next] = uint32(next), uint32(j)
	}
	s.slots, s.rank = slots, rank
}

// snapshotEdit changes the scopes of a snapshot that is being made.
type snapshotEdit struct {
	snapshot *Snapshot
	scopes   map[uint32]*scopeEdit
	scopeOf  *mapEdit[uint32]
	bySource *mapEdit[[]uint32]
	owned    bool            // the snapshot's scopes are its own, not shared
	sources  map[string]bool // whose numbers are, too
	unused   int             // below, no number is free
}

func (e *snapshotEdit) own() {
	if !e.owned {
		e.snapshot.scopes, e.owned = slices.Clone(e.snapshot.scopes), true
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

// scopeFor returns the scope that a policy belongs to. It may be a new one.
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
	e.own()
	for e.unused < len(s.scopes) && s.scopes[e.unused] != nil {
		e.unused++
	}
	if e.unused == len(s.scopes) {
		s.scopes = append(s.scopes, nil)
	}
	number := uint32(e.unused) //nolint:gosec // fewer than 2³² policies
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

// finish puts the changed scopes in place of the former.
func (e *snapshotEdit) finish() {
	s := e.snapshot
	for number, edit := range e.scopes {
		e.own()
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

// drop takes away a scope that has no policies any more.
func (e *snapshotEdit) drop(number uint32, dropped *scope) {
	e.editMaps()
	s := e.snapshot
	is := func(other uint32) bool { return other == number }
	s.scopes[number] = nil
	s.anySource = slices.DeleteFunc(slices.Clone(s.anySource), is)
	e.scopeOf.delete(scopeKey(dropped.requests, dropped.sources))
	for _, source := range dropped.sources {
		numbers, _ := e.bySource.result.get(source)
		numbers = slices.DeleteFunc(slices.Clone(numbers), is)
		if len(numbers) == 0 {
			e.bySource.delete(source)
		} else {
			e.bySource.set(source, numbers)
		}
	}
}

// scopeEdit changes a copy of a scope.
type scopeEdit struct {
	scope      scope
	gone, come []placed
	owned      bool // scope.blocking is not shared
}

func (e *scopeEdit) remove(p placed) {
	e.count(p, -1)
	if p.policy.enforceable {
		e.gone = append(e.gone, p)
		return
	}
	e.own()
	e.scope.blocking = slices.DeleteFunc(e.scope.blocking, func(slot uint32) bool { return slot == p.slot })
}

func (e *scopeEdit) add(p placed) {
	e.count(p, 1)
	if p.policy.enforceable {
		e.come = append(e.come, p)
		return
	}
	// Its rules are not to be relied on: neither its allows, nor the exceptions from its denies.
	e.own()
	e.scope.blocking = append(e.scope.blocking, p.slot)
}

func (e *scopeEdit) own() {
	if !e.owned {
		e.scope.blocking, e.owned = slices.Clone(e.scope.blocking), true
	}
}

// count adds a policy to the counts of the scope, or takes it from them.
func (e *scopeEdit) count(p placed, by int) {
	e.scope.policies += by
	if p.policy.mode == Audit {
		return
	}
	e.scope.enforcing += by
	if p.policy.hasAllow {
		e.scope.allowing += by
		e.scope.allowingSlots += uint32(by) * p.slot //nolint:gosec // a sum modulo 2³²: taking away undoes adding
	}
}

func (e *scopeEdit) finish(s *Snapshot) *scope {
	for i := range e.gone {
		e.scope.addresses -= e.gone[i].policy.addresses
	}
	for i := range e.come {
		e.scope.addresses += e.come[i].policy.addresses
	}
	if len(e.gone)+len(e.come) > 0 {
		e.scope.index = e.scope.index.edited(s, e.gone, e.come)
		e.finishLists()
	}
	finished := e.scope // a pointer into the edit would hold the policies that are gone
	return &finished
}

// finishLists changes the uses of lists. Lists of one digest are one list.
func (e *scopeEdit) finishLists() {
	uses := func(p placed) bool { return len(p.policy.lists) > 0 }
	if !slices.ContainsFunc(e.gone, uses) && !slices.ContainsFunc(e.come, uses) {
		return
	}
	lists := slices.Clone(e.scope.lists)
	places := make(map[string]int, len(lists))
	for i := range lists {
		places[lists[i].list.Digest()] = i
	}
	own := map[int]bool{}
	usesAt := func(i int) *[]use {
		if !own[i] {
			own[i] = true
			lists[i].uses = slices.Clone(lists[i].uses)
		}
		return &lists[i].uses
	}
	for _, p := range e.gone {
		for _, rule := range p.policy.lists {
			uses := usesAt(places[rule.list.Digest()])
			*uses = slices.DeleteFunc(*uses, func(u use) bool { return u.slot == p.slot })
		}
	}
	for _, p := range e.come {
		for _, rule := range p.policy.lists {
			i, known := places[rule.list.Digest()]
			if !known {
				i = len(lists)
				places[rule.list.Digest()] = i
				lists = append(lists, listUses{list: rule.list})
			}
			uses := usesAt(i)
			*uses = append(*uses, newUse(p.slot, rule.entry.Index, traits(rule.entry.Field)))
		}
	}
	e.scope.lists = slices.Clip(slices.DeleteFunc(lists, func(l listUses) bool { return len(l.uses) == 0 }))
}
