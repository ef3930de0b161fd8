package main

import (
	"context"
	"math"
	"slices"
	"sort"
	"time"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// mostUnknown is how many digests are searched for in vain before no more are: something is wrong then.
	mostUnknown = 5
	// latestMoments is how many of the latest moments before a call are searched first.
	latestMoments = 30
)

// searches are tried one after another: how far states may be, together, from what was stored at some moment or from what the replica
// knew before, and how many moments are searched.
var searches = []struct{ distance, moments int }{
	{0, latestMoments}, {1, latestMoments}, {0, math.MaxInt}, {1, 4 * latestMoments}, {2, latestMoments},
}

// Versions finds out by which rules answers were given. Policies, each list and namespaces are read apart: a replica may know a newer
// state of one with an older one of another for a moment, and of a namespace that it cannot read for as long as that lasts.
type Versions struct {
	authors []*Author // by namespace
	moments []history.Moment
	parts   []map[history.Part]part // of each author
	// whole are the states of each namespace as they were stored, one after another.
	whole [][]history.Part
	// deniable says which namespaces' scopes may be denied as a whole.
	deniable []bool

	byDigest map[string]*history.Version
	vectors  map[*history.Version]vector
	// mixed counts those that were never stored as a whole, and unknown the digests that were searched for in vain.
	mixed   int
	unknown map[string]bool
}

// vector has the part of each author.
type vector []history.Part

// settle returns the versions after a run, by their digest: those that were stored as a whole, and those by which a call was answered.
func settle(ctx context.Context, authors []*Author, calls []history.Call, staleness time.Duration) (*Versions, error) {
	v := &Versions{
		authors: authors, byDigest: map[string]*history.Version{}, vectors: map[*history.Version]vector{}, unknown: map[string]bool{},
	}
	for _, author := range authors {
		v.parts = append(v.parts, map[history.Part]part{})
		v.deniable = append(v.deniable, author.namespace == withdrawn || author.namespace == unsteady)
		for _, state := range author.policies {
			v.moments = append(v.moments, state.span.Begin)
		}
		for _, states := range author.lists {
			for _, state := range states {
				v.moments = append(v.moments, state.span.Begin)
			}
		}
	}
	slices.Sort(v.moments)
	v.moments = slices.Compact(v.moments)
	v.whole = make([][]history.Part, len(authors))
	for _, moment := range v.moments {
		stored := v.storedAt(moment)
		for i, part := range stored {
			if of := v.whole[i]; len(of) == 0 || of[len(of)-1] != part {
				v.whole[i] = append(of, part)
			}
		}
		if err := v.add(ctx, stored); err != nil {
			return nil, err
		}
	}
	last := map[string]vector{} // of each pod
	for i := range calls {
		call := &calls[i]
		if !call.Answered {
			continue
		}
		if v.byDigest[call.Digest] == nil && !v.unknown[call.Digest] && len(v.unknown) < mostUnknown {
			if err := v.search(ctx, call, last[call.Pod], staleness); err != nil {
				return nil, err
			}
		}
		if version := v.byDigest[call.Digest]; version != nil {
			last[call.Pod] = v.vectors[version]
		} else {
			v.unknown[call.Digest] = true
		}
	}
	return v, nil
}

// storedAt returns what was stored at a moment: a write counts from when it was sent.
func (v *Versions) storedAt(moment history.Moment) vector {
	whole := make(vector, len(v.authors))
	for i, author := range v.authors {
		whole[i].Policies = sort.Search(len(author.policies), func(j int) bool { return author.policies[j].span.Begin > moment }) - 1
		for k, states := range author.lists {
			whole[i].Lists[k] = sort.Search(len(states), func(j int) bool { return states[j].span.Begin > moment }) - 1
		}
	}
	return whole
}

// part returns what a namespace contributes, and whether there are such states.
func (v *Versions) part(ctx context.Context, author int, of history.Part) (part, bool, error) {
	a := v.authors[author]
	if of.Denied {
		return a.compiler.refusal(), a.scope != nil, nil
	}
	if of.Policies < 0 || of.Policies >= len(a.policies) {
		return part{}, false, nil
	}
	var lists lists
	for i, states := range a.lists {
		if of.Lists[i] < 0 || of.Lists[i] >= len(states) {
			return part{}, false, nil
		}
		lists[i] = &states[of.Lists[i]]
	}
	if known, is := v.parts[author][of]; is {
		return known, true, nil
	}
	compiled, err := a.compiler.compile(ctx, &a.policies[of.Policies], lists)
	v.parts[author][of] = compiled
	return compiled, true, err
}

// add adds the version that the parts make together, unless its digest is known.
func (v *Versions) add(ctx context.Context, of vector) error {
	version := &history.Version{Parts: map[string]history.Part{}}
	var policies []*rules.Compiled
	for i, author := range v.authors {
		compiled, _, err := v.part(ctx, i, of[i])
		if err != nil {
			return err
		}
		policies = append(policies, compiled.policies...)
		known := of[i]
		known.Denied = compiled.denied
		for k, used := range compiled.uses {
			if !used {
				known.Lists[k] = history.Unused
			}
		}
		version.Parts[author.namespace] = known
	}
	digest := rules.DigestOf(policies)
	if v.byDigest[digest] == nil {
		version.Decide = deciderOf(policies)
		v.byDigest[digest] = version
		v.vectors[version] = slices.Clone(of)
	}
	return nil
}

// search looks for the version of an answer: near what the replica answered by before, and near what was stored at each moment before,
// from the latest on.
func (v *Versions) search(ctx context.Context, call *history.Call, last vector, staleness time.Duration) error {
	latest := sort.Search(len(v.moments), func(i int) bool { return v.moments[i] > call.End }) - 1
	for _, s := range searches {
		if last != nil {
			if found, err := v.searchNear(ctx, call.Digest, last, last, s.distance); found || err != nil {
				return err
			}
		}
		for i := latest; i >= max(0, latest-s.moments) && call.LastBegin-v.moments[i] <= staleness; i-- {
			if found, err := v.searchNear(ctx, call.Digest, v.storedAt(v.moments[i]), last, s.distance); found || err != nil {
				return err
			}
		}
	}
	return nil
}

// option is a part that a namespace may have, how far it is from what is likely, and what it makes.
type option struct {
	part     history.Part
	distance int
	policies []*rules.Compiled
}

// searchNear looks among the vectors whose states are those of base or last, or together at most so many away.
func (v *Versions) searchNear(ctx context.Context, digest string, base, last vector, distance int) (bool, error) {
	options := make([][]option, len(base))
	for i := range base {
		from := base[i]
		if last != nil {
			from = last[i]
		}
		candidates := partsNear(base[i], from, distance, v.deniable[i])
		if distance > 0 {
			candidates = append(candidates, v.partsBefore(i, base[i])...)
		}
		for _, candidate := range candidates {
			one, exists, err := v.part(ctx, i, candidate.part)
			if err != nil {
				return false, err
			}
			if exists {
				candidate.policies = one.policies
				options[i] = append(options[i], candidate)
			}
		}
	}
	chosen := make(vector, len(base))
	var try func(author, left int, policies []*rules.Compiled) bool
	try = func(author, left int, policies []*rules.Compiled) bool {
		if author == len(base) {
			return rules.DigestOf(policies) == digest
		}
		for _, option := range options[author] {
			if chosen[author] = option.part; option.distance <= left &&
				try(author+1, left-option.distance, append(policies, option.policies...)) {
				return true
			}
		}
		return false
	}
	if !try(0, distance, nil) {
		return false, nil
	}
	v.mixed++
	return true, v.add(ctx, chosen)
}

// partsBefore returns what was stored in a namespace before a part, from the latest on: a build that takes long is behind by several
// changes, while others come into force.
func (v *Versions) partsBefore(author int, part history.Part) []option {
	const most = 8
	of := v.whole[author]
	i := sort.Search(len(of), func(i int) bool { return of[i].Policies > part.Policies }) - 1
	for i >= 0 && of[i] != part {
		i--
	}
	var before []option
	for j := i - 1; j >= max(0, i-most); j-- {
		before = append(before, option{part: of[j], distance: 1})
	}
	return before
}

// partsNear returns the parts each of whose states is that of base or of last, those that are at most so far away, and the denial if the
// namespace may be denied.
func partsNear(base, last history.Part, distance int, deniable bool) []option {
	var all []option
	seen := map[history.Part]bool{}
	add := func(part history.Part, distance int) {
		if !seen[part] {
			seen[part] = true
			all = append(all, option{part: part, distance: distance})
		}
	}
	base.Denied, last.Denied = false, false
	if add(base, 0); deniable {
		add(history.Part{Denied: true}, 0)
	}
	const choices = 1 << (1 + history.ListCount)
	for near := range distance + 1 {
		for choice := range choices {
			mixed := base
			if choice&1 != 0 {
				mixed.Policies = last.Policies
			}
			for i := range mixed.Lists {
				if choice>>(1+i)&1 != 0 {
					mixed.Lists[i] = last.Lists[i]
				}
			}
			moved(mixed, near, func(part history.Part) { add(part, near) })
		}
	}
	return all
}

// moved calls a function with the parts whose states are together so many away from those of a part.
func moved(part history.Part, distance int, call func(history.Part)) {
	for policies := -distance; policies <= distance; policies++ {
		for first := -distance; first <= distance; first++ {
			for second := -distance; second <= distance; second++ {
				if max(policies, -policies)+max(first, -first)+max(second, -second) != distance {
					continue
				}
				next := part
				next.Policies += policies
				next.Lists[0] += first
				next.Lists[1] += second
				call(next)
			}
		}
	}
}

// namespaces returns what was stored in each namespace.
func (v *Versions) namespaces(ctx context.Context) (map[string]*history.Namespace, error) {
	all := map[string]*history.Namespace{}
	for i, author := range v.authors {
		namespace := &history.Namespace{Stored: map[history.Generation]int{}, InScope: inScope(author.scope)}
		for j, state := range author.policies {
			namespace.Policies = append(namespace.Policies, state.span)
			compiled, _, err := v.part(ctx, i, history.Part{Policies: j})
			if err != nil {
				return nil, err
			}
			if compiled.denied { // whatever the lists are
				namespace.Refused = append(namespace.Refused, state.span)
			}
		}
		for j, states := range author.lists {
			for _, state := range states {
				namespace.Lists[j] = append(namespace.Lists[j], state.span)
			}
		}
		for generation, first := range author.stored {
			namespace.Stored[generation] = first.state
		}
		all[author.namespace] = namespace
	}
	return all, nil
}
