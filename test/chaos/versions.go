package main

import (
	"context"
	"slices"
	"sort"
	"time"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// mostUnknown is how many digests are searched for in vain before no more are: something is wrong then.
	mostUnknown = 5
	// nearMoments is how many of the moments before a call are searched around.
	nearMoments = 30
	// slack is how many changes a namespace may be behind what the replica answered by last: answers overlap.
	slack = 3
	// farthest is how many changes a list in a mixture is from the oldest or from now; farthestPolicies is the same for policies, of which
	// a flood makes hundreds of states.
	farthest, farthestPolicies = 12, 300
	// mostStates bounds the states of a namespace that are tried.
	mostStates = 4000
)

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

// search looks for the version of an answer among what differs in no namespace, in one, and so on, from what the replica answered by
// before or from what was stored at a moment before: by states of a namespace that were stored together, or by mixtures of them.
func (v *Versions) search(ctx context.Context, call *history.Call, last vector, staleness time.Duration) error {
	latest := sort.Search(len(v.moments), func(i int) bool { return v.moments[i] > call.End }) - 1
	if latest < 0 {
		return nil
	}
	earliest := sort.Search(len(v.moments), func(i int) bool { return call.LastBegin-v.moments[i] <= staleness })
	now, oldest := v.storedAt(v.moments[latest]), v.storedAt(v.moments[max(0, min(earliest, latest-nearMoments))])
	bases := []vector{now}
	if last != nil {
		bases = []vector{last, now}
		for i := range last {
			if oldest[i].Denied = last[i].Denied; !last[i].Denied {
				oldest[i] = last[i]
			}
		}
	}
	for i := latest - 1; i >= max(0, latest-nearMoments); i-- {
		bases = append(bases, v.storedAt(v.moments[i]))
	}
	// What a namespace may have is found out where it is needed: the first states that were stored together are nearly always enough.
	kinds := []func(author int, oldest, now history.Part) []history.Part{v.together, v.mixtures}
	known := make([][][]history.Part, len(kinds))
	statesOf := func(kind int) [][]history.Part {
		for i := len(known[kind]); i < len(v.authors); i++ {
			states := kinds[kind](i, oldest[i], now[i])
			if v.deniable[i] {
				states = slices.Insert(states, 0, history.Part{Denied: true})
			}
			known[kind] = append(known[kind], states)
		}
		return known[kind]
	}
	for _, effort := range []int{8, 64, 512, mostStates} {
		for kind := range kinds {
			for differ := range len(v.authors) + 1 {
				around := bases
				if differ > 1 {
					around = bases[:min(len(bases), 2)]
				}
				for _, base := range around {
					if found, err := v.find(ctx, call.Digest, base, statesOf(kind), differ, effort); found || err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// find adds the version with a digest that differs from a base in so many namespaces, if there is one. states are what each namespace may
// have, the likely ones first. The product of the places of those that are chosen is at most the effort: one may be unlikely if the others
// are not.
func (v *Versions) find(
	ctx context.Context, digest string, base vector, states [][]history.Part, differ, effort int,
) (bool, error) {
	options := make([][]option, len(base)) // of each namespace, first what it has in the base
	for i, of := range base {
		var err error
		if options[i], err = v.options(ctx, i, append([]history.Part{of}, states[i][:min(effort, len(states[i]))]...)); err != nil {
			return false, err
		}
	}
	chosen := make(vector, len(base))
	var try func(author, differ, effort int, policies []*rules.Compiled) bool
	try = func(author, differ, effort int, policies []*rules.Compiled) bool {
		if differ > len(base)-author {
			return false
		}
		if author == len(base) {
			return rules.DigestOf(policies) == digest
		}
		chosen[author] = options[author][0].part
		if try(author+1, differ, effort, append(policies, options[author][0].policies...)) {
			return true
		}
		if differ == 0 {
			return false
		}
		for place := 1; place < len(options[author]) && place <= effort; place++ {
			option := options[author][place]
			if chosen[author] = option.part; try(author+1, differ-1, effort/place, append(policies, option.policies...)) {
				return true
			}
		}
		return false
	}
	if !try(0, differ, effort, nil) {
		return false, nil
	}
	v.mixed++
	return true, v.add(ctx, chosen)
}

// option is a part that a namespace may have, and what it makes.
type option struct {
	part     history.Part
	policies []*rules.Compiled
}

// options returns what parts of a namespace make, as far as there are such; each once.
func (v *Versions) options(ctx context.Context, author int, parts []history.Part) ([]option, error) {
	var all []option
	seen := map[string]bool{}
	for _, of := range parts {
		one, exists, err := v.part(ctx, author, of)
		if err != nil {
			return nil, err
		}
		if exists && !seen[one.digest] {
			seen[one.digest] = true
			all = append(all, option{of, one.policies})
		}
	}
	return all, nil
}

// together returns the states of a namespace as they were stored together, from now back to a bit before the oldest.
func (v *Versions) together(author int, oldest, now history.Part) []history.Part {
	states := v.whole[author]
	var back []history.Part
	for i := v.stateOf(author, now); i >= max(0, v.stateOf(author, oldest)-slack) && len(back) < mostStates; i-- {
		back = append(back, states[i])
	}
	return back
}

// stateOf returns the index of the last of the states of a namespace of which nothing is newer than a part.
func (v *Versions) stateOf(author int, of history.Part) int {
	return sort.Search(len(v.whole[author]), func(i int) bool { return isNewer(of, v.whole[author][i]) }) - 1
}

// isNewer tells whether anything of a later state is newer.
func isNewer(earlier, later history.Part) bool {
	newer := later.Policies > earlier.Policies
	for i, state := range later.Lists {
		newer = newer || state > earlier.Lists[i]
	}
	return newer
}

// mixtures returns what the states of a namespace make that were stored between the oldest and now, newer ones of its policies or of one
// of its lists with older ones of the others. Those come first whose states are near the oldest or now, each.
//
// Where the namespace was denied, its policies may be of any moment: they may have been read while its lists were still forbidden.
func (v *Versions) mixtures(_ int, oldest, now history.Part) []history.Part {
	type mixture struct {
		part history.Part
		far  int
	}
	var all []mixture
	backFrom := func(oldest, now, most int, call func(state, far int)) {
		for state := now; state >= max(0, oldest-slack); state-- {
			if far := min(now-state, max(oldest-state, state-oldest)); far <= most {
				call(state, far)
			}
		}
	}
	most := farthestPolicies
	if oldest.Denied {
		oldest.Lists, most = now.Lists, mostStates
	}
	backFrom(oldest.Policies, now.Policies, most, func(policies, far int) {
		if oldest.Denied {
			far = 0
		}
		backFrom(oldest.Lists[0], now.Lists[0], farthest, func(first, farFirst int) {
			backFrom(oldest.Lists[1], now.Lists[1], farthest, func(second, farSecond int) {
				all = append(all, mixture{
					history.Part{Policies: policies, Lists: [history.ListCount]int{first, second}}, far + farFirst + farSecond,
				})
			})
		})
	})
	slices.SortStableFunc(all, func(a, b mixture) int { return a.far - b.far })
	var parts []history.Part
	for _, one := range all[:min(len(all), mostStates)] {
		parts = append(parts, one.part)
	}
	return parts
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
			last := len(namespace.Refused) - 1
			switch {
			case !compiled.denied: // whatever the lists are
			case last >= 0 && namespace.Refused[last].End >= state.span.Begin:
				namespace.Refused[last].End = state.span.End // a flood is many states
			default:
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
