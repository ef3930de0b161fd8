package policies

import (
	"context"
	"maps"
	"slices"
	"sort"
	"time"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/history"
)

const (
	// maxUnknown is the number of unknown digests after which the search stops, because the run has failed anyway.
	maxUnknown = 5
	// nearMoments is the number of writes before a call that a search starts from.
	nearMoments = 30
	// A search also tries the last slack states before those of the replica's last answer. That answer's recorded
	// version may be newer than the replica's, because versions that differ in a list that no policy uses have the same
	// digest.
	slack = 3
	// maxListDistance limits how many changes the state of a list in a mixture is from the oldest or from the current
	// state, whichever is nearer. maxPolicyDistance is the same for policies, of which a flood makes hundreds of
	// states.
	maxListDistance, maxPolicyDistance = 12, 300
	// maxStates limits how many states of a namespace a search tries.
	maxStates = 4000
)

// Versions finds the version of the rules for the digest of each answer. A replica reads policies, lists and namespaces
// separately. So it may for a moment, or as long as a namespace is unreadable, have a newer state of one with an older
// state of another. Such a mixture is a version that was never stored.
type Versions struct {
	authors []*Author               // one for each namespace; slices below have the same indexes
	moments []history.Moment        // when each write was sent, sorted
	parts   []map[history.Part]part // the results of part, for each author
	// stored has for each author the states that its namespace had, oldest first.
	stored [][]history.Part
	// deniable says for each author whether faults may cause all calls in the scope of its namespace to be denied.
	deniable []bool

	// ByDigest has the versions by their digests; of versions with the same digest the oldest, which has the others.
	ByDigest map[string]*history.Version
	vectors  map[*history.Version]vector // from which each version was compiled
	// Mixed counts versions that were never stored.
	Mixed   int
	unknown map[string]bool // the digests for which no version was found
	// later has for each digest the moment up to which addLater has looked, as an index in moments.
	later map[string]int
}

// vector has the states of all namespaces in a version, in the order of Versions.authors.
type vector []history.Part

// FindVersions returns the versions of a run: all that were stored, and the mixtures by which calls were answered.
func FindVersions(ctx context.Context, authors []*Author, calls []history.Call, staleness time.Duration) (*Versions, error) {
	v := &Versions{
		authors: authors, ByDigest: map[string]*history.Version{}, vectors: map[*history.Version]vector{}, unknown: map[string]bool{},
		later: map[string]int{},
	}
	for _, author := range authors {
		v.parts = append(v.parts, map[history.Part]part{})
		v.deniable = append(v.deniable, author.Namespace == Withdrawn || author.Namespace == Unsteady)
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
	v.stored = make([][]history.Part, len(authors))
	for _, moment := range v.moments {
		stored := v.storedAt(moment)
		for i, part := range stored {
			if of := v.stored[i]; len(of) == 0 || of[len(of)-1] != part {
				v.stored[i] = append(of, part)
			}
		}
		if err := v.add(ctx, stored); err != nil {
			return nil, err
		}
	}
	answers := map[string][]answer{} // by pod, in the order of their ends
	for i := range calls {
		call := &calls[i]
		if !call.Answered {
			continue
		}
		if v.ByDigest[call.Digest] == nil && !v.unknown[call.Digest] && len(v.unknown) < maxUnknown {
			if err := v.search(ctx, call, answers[call.Pod], staleness); err != nil {
				return nil, err
			}
		}
		if version := v.ByDigest[call.Digest]; version != nil {
			answers[call.Pod] = append(answers[call.Pod], answer{call.End, v.vectors[version]})
			if err := v.addLater(ctx, call, v.vectors[version]); err != nil {
				return nil, err
			}
		} else {
			v.unknown[call.Digest] = true
		}
	}
	return v, nil
}

// answer is when Okta had an answer, and by which version the replica gave it.
type answer struct {
	end history.Moment
	by  vector
}

// lastBefore returns the version of the last answer that ended before a call began; nil if there is none.
func lastBefore(call *history.Call, answers []answer) vector {
	for _, answer := range slices.Backward(answers) {
		if answer.end <= call.LastBegin {
			return answer.by
		}
	}
	return nil
}

// storedAt returns the states of all namespaces at a moment. A write counts from the time at which it was sent.
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

// part returns what an author's namespace contributes to the rules in the given states. It returns false if the states
// do not exist.
func (v *Versions) part(ctx context.Context, author int, of history.Part) (part, bool, error) {
	a := v.authors[author]
	if of.Denied {
		return a.compiler.denyAll(), a.scope != nil, nil
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

// add compiles a vector, and adds the version. If its digest is known, the version is one of Version.Again, unless it has
// the parts of the last one.
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
		version.Parts[author.Namespace] = known
	}
	digest := rules.DigestOf(policies)
	first := v.ByDigest[digest]
	if first == nil {
		version.Decide = deciderOf(policies)
		v.ByDigest[digest] = version
		v.vectors[version] = slices.Clone(of)
		return nil
	}
	last := first
	if n := len(first.Again); n > 0 {
		last = first.Again[n-1]
	}
	if !maps.Equal(version.Parts, last.Parts) {
		version.Decide = first.Decide
		first.Again = append(first.Again, version)
	}
	return nil
}

// addLater adds the version of an answer with the newest states of its namespaces that were stored until then and that
// have the same rules. A namespace that was deleted twice has no policies both times: otherwise an answer after the
// second time would count as one by the rules of the first.
func (v *Versions) addLater(ctx context.Context, call *history.Call, of vector) error {
	latest := sort.Search(len(v.moments), func(i int) bool { return v.moments[i] > call.End }) - 1
	if looked, known := v.later[call.Digest]; latest < 0 || known && looked >= latest {
		return nil
	}
	v.later[call.Digest] = latest
	newest := slices.Clone(of)
	for i, now := range v.storedAt(v.moments[latest]) {
		if of[i].Denied {
			continue
		}
		known, _, err := v.part(ctx, i, of[i])
		if err != nil {
			return err
		}
		for k := v.stateOf(i, now); k > v.stateOf(i, of[i]); k-- {
			state, exists, err := v.part(ctx, i, v.stored[i][k])
			if err != nil {
				return err
			}
			if exists && state.digest == known.digest {
				newest[i] = v.stored[i][k]
				break
			}
		}
	}
	if slices.Equal(newest, of) {
		return nil
	}
	return v.add(ctx, newest)
}

// search looks for the version of an answer. It starts from the versions of the replica's earlier answers and from
// versions stored before the call. It tries versions that differ from these in no namespace, in one, in two, and so on.
// A namespace that differs is tried in its stored states, and then in mixtures of its policies and lists.
func (v *Versions) search(ctx context.Context, call *history.Call, answers []answer, staleness time.Duration) error {
	latest := sort.Search(len(v.moments), func(i int) bool { return v.moments[i] > call.End }) - 1
	if latest < 0 {
		return nil
	}
	earliest := sort.Search(len(v.moments), func(i int) bool { return call.LastBegin-v.moments[i] <= staleness })
	now, oldest := v.storedAt(v.moments[latest]), v.storedAt(v.moments[max(0, min(earliest, latest-nearMoments))])
	var bases []vector
	if len(answers) > 0 { // a good start, although this version is newer than the wanted one if the two calls overlap
		bases = append(bases, answers[len(answers)-1].by)
	}
	if last := lastBefore(call, answers); last != nil {
		bases = append(bases, last)
		for i := range last {
			if oldest[i] = last[i]; last[i].Denied {
				oldest[i] = history.Part{Denied: true}
			}
		}
	}
	bases = append(bases, now)
	nearest := len(bases)
	for i := latest - 1; i >= max(0, latest-nearMoments); i-- {
		bases = append(bases, v.storedAt(v.moments[i]))
	}
	// The candidates are computed on demand, because the mixtures are many and rarely needed.
	kinds := []func(author int, oldest, now history.Part) []history.Part{v.storedStates, v.mixtures}
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
	for _, effort := range []int{8, 64, 512, maxStates} {
		for kind := range kinds {
			for differ := range len(v.authors) + 1 {
				around := bases
				if differ > 1 {
					around = bases[:nearest]
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

// find looks for a version with the given digest that differs from base in the given number of namespaces, and adds it.
// states has the candidates for each namespace, likely ones first. The product of the positions of the chosen
// candidates is at most effort: one may be unlikely if the others are likely.
func (v *Versions) find(
	ctx context.Context, digest string, base vector, states [][]history.Part, differ, effort int,
) (bool, error) {
	options := make([][]option, len(base)) // by namespace; the first option is the part in the base
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
	v.Mixed++
	return true, v.add(ctx, chosen)
}

// option is a candidate for a namespace, with its compiled policies.
type option struct {
	part     history.Part
	policies []*rules.Compiled
}

// options compiles candidates for a namespace. It drops those whose states do not exist, and those with the digest of
// an earlier one.
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

// storedStates returns the stored states of a namespace from now back to the last slack states before oldest, newest
// first.
func (v *Versions) storedStates(author int, oldest, now history.Part) []history.Part {
	states := v.stored[author]
	var back []history.Part
	for i := v.stateOf(author, now); i >= max(0, v.stateOf(author, oldest)-slack) && len(back) < maxStates; i-- {
		back = append(back, states[i])
	}
	return back
}

// stateOf returns the index of the last stored state of a namespace that has nothing newer than a part.
func (v *Versions) stateOf(author int, of history.Part) int {
	return sort.Search(len(v.stored[author]), func(i int) bool { return isNewer(of, v.stored[author][i]) }) - 1
}

// isNewer reports whether later has newer policies, or a newer state of any list, than earlier.
func isNewer(earlier, later history.Part) bool {
	newer := later.Policies > earlier.Policies
	for i, state := range later.Lists {
		newer = newer || state > earlier.Lists[i]
	}
	return newer
}

// mixtures returns combinations of states of the policies and of the lists of a namespace between oldest and now.
// Combinations of states that are near oldest or now come first.
//
// If all calls of the namespace were denied before, its policies may be of any moment: a replica may have read them
// long before it was allowed to read the lists.
func (v *Versions) mixtures(_ int, oldest, now history.Part) []history.Part {
	type mixture struct {
		part     history.Part
		distance int
	}
	var all []mixture
	backFrom := func(oldest, now, most int, call func(state, distance int)) {
		for state := now; state >= max(0, oldest-slack); state-- {
			if distance := min(now-state, max(oldest-state, state-oldest)); distance <= most {
				call(state, distance)
			}
		}
	}
	most := maxPolicyDistance
	if oldest.Denied {
		oldest.Lists, most = now.Lists, maxStates
	}
	backFrom(oldest.Policies, now.Policies, most, func(policies, distance int) {
		if oldest.Denied {
			if distance = 0; len(all) >= maxStates {
				return
			}
		}
		backFrom(oldest.Lists[0], now.Lists[0], maxListDistance, func(first, firstDistance int) {
			backFrom(oldest.Lists[1], now.Lists[1], maxListDistance, func(second, secondDistance int) {
				all = append(all, mixture{
					history.Part{Policies: policies, Lists: [history.ListCount]int{first, second}},
					distance + firstDistance + secondDistance,
				})
			})
		})
	})
	slices.SortStableFunc(all, func(a, b mixture) int { return a.distance - b.distance })
	var parts []history.Part
	for _, one := range all[:min(len(all), maxStates)] {
		parts = append(parts, one.part)
	}
	return parts
}

// Namespaces returns the record of each namespace, for [history.Check].
func (v *Versions) Namespaces(ctx context.Context) (map[string]*history.Namespace, error) {
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
			case !compiled.denied: // whether policies exceed the budget does not depend on the states of lists
			case last >= 0 && namespace.Refused[last].End >= state.span.Begin:
				namespace.Refused[last].End = state.span.End // join the many states of a flood
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
		all[author.Namespace] = namespace
	}
	return all, nil
}
