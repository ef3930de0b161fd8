package policies

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// madeUpAuthors returns authors whose record says that they wrote a policy and both lists every second. It needs no API
// server.
func madeUpAuthors(t *testing.T) []*Author {
	t.Helper()
	const changes = 20
	var authors []*Author
	for _, namespace := range Namespaces() {
		author, err := NewAuthor(nil, fleet.NewTimeline(), namespace, 1)
		if err != nil {
			t.Fatal(err)
		}
		author.policies, author.lists = nil, [history.ListCount][]listState{}
		for i := range changes {
			span := history.Span{Begin: history.Moment(i) * time.Second, End: history.Moment(i+1) * time.Second}
			if i == changes-1 {
				span.End = history.Never
			}
			spec := randomSpec(author.chance, author.scope, true, i)
			author.policies = append(author.policies, policyState{
				specs: map[string]writtenSpec{policyName(0): {spec: spec, number: i}}, span: span,
			})
			for j := range author.lists {
				text := fmt.Sprintf("entry-%d-of-%d.example\n", i, j)
				author.lists[j] = append(author.lists[j], listState{text: text, stored: true, span: span})
			}
		}
		authors = append(authors, author)
	}
	return authors
}

func digestAt(t *testing.T, authors []*Author, parts map[string]history.Part) string {
	t.Helper()
	var policies []*rules.Compiled
	for _, author := range authors {
		of := parts[author.Namespace]
		if of.Denied {
			policies = append(policies, author.compiler.denyAll().policies...)
			continue
		}
		compiled, err := author.compiler.compile(t.Context(), &author.policies[of.Policies],
			lists{&author.lists[0][of.Lists[0]], &author.lists[1][of.Lists[1]]})
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, compiled.policies...)
	}
	return rules.DigestOf(policies)
}

func TestTheRulesOfAnAnswerAreFoundByTheirDigest(t *testing.T) {
	const newest = 15
	at := func(policies int, lists ...int) history.Part {
		return history.Part{Policies: policies, Lists: [history.ListCount]int(lists)}
	}
	for sentence, parts := range map[string]map[string]history.Part{
		"all of one moment":     {Own: at(newest, newest, newest), Withdrawn: at(newest, newest, newest), Unsteady: at(newest, newest, newest)},
		"a list that is behind": {Own: at(newest, newest-1, newest), Withdrawn: at(newest, newest, newest), Unsteady: at(newest, newest, newest)},
		"a namespace that is behind, and another that was never read": {
			Own: at(newest, newest, newest), Withdrawn: at(newest-1, newest, newest), Unsteady: {Denied: true},
		},
		"a namespace that is behind by several changes": {
			Own: at(newest, newest, newest), Withdrawn: at(newest-2, newest-2, newest-2), Unsteady: at(newest, newest, newest),
		},
		"one that could not be read for long, whose policies were read first": {
			Own: at(newest, newest, newest), Withdrawn: at(newest, newest, newest-1), Unsteady: at(newest, newest, newest),
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			authors := madeUpAuthors(t)
			parts[LeftAlone] = at(newest, newest, newest)
			call := history.Call{
				Answered: true, LastBegin: newest*time.Second + 1, End: newest*time.Second + 2, Digest: digestAt(t, authors, parts), Pod: "pod",
			}
			versions, err := FindVersions(t.Context(), authors, []history.Call{call}, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			version := versions.ByDigest[call.Digest]
			if version == nil {
				t.Fatal("not found")
			}
			for namespace, got := range version.Parts {
				if want := parts[namespace]; got.Denied != want.Denied || !got.Denied && got != want {
					t.Errorf("%s: %s", namespace, cmp.Diff(want, got))
				}
			}
		})
	}
}

func TestAListThatNoPolicyNamesMakesNoDifference(t *testing.T) {
	authors := madeUpAuthors(t)
	for i := range authors[0].policies {
		spec := authors[0].policies[i].specs[policyName(0)]
		spec.spec.Allow.Lists, spec.spec.Deny = nil, nil
		authors[0].policies[i].specs[policyName(0)] = spec
	}
	versions, err := FindVersions(t.Context(), authors, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range versions.ByDigest {
		if got := version.Parts[Own].Lists; got != [history.ListCount]int{history.Unused, history.Unused} {
			t.Fatalf("lists %v of policies that name none", got)
		}
	}
}

func TestRulesThatAreStoredAgainAreAVersionOfTheirOwn(t *testing.T) {
	authors := madeUpAuthors(t)[:1]
	for i := range authors[0].policies {
		spec := authors[0].policies[i].specs[policyName(0)]
		spec.spec.Allow.Lists, spec.spec.Deny = nil, nil
		authors[0].policies[i].specs[policyName(0)] = spec
	}
	const first, again = 2, 6
	authors[0].policies[again].specs = authors[0].policies[first].specs
	versions, err := FindVersions(t.Context(), authors, nil, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	var found []int
	for _, version := range versions.ByDigest {
		for _, same := range version.Again {
			found = append(found, version.Parts[Own].Policies, same.Parts[Own].Policies)
		}
	}
	if !slices.Equal(found, []int{first, again}) {
		t.Errorf("states with the same rules: %v", found)
	}
}

// A replica answers while it has not read yet that a namespace has policies again, and with the same rules after it has
// read that they were deleted again. The second answer is not by the first state.
func TestAMixtureHasTheNewestStatesWithTheSameRules(t *testing.T) {
	authors := madeUpAuthors(t)
	withdrawn := slices.IndexFunc(authors, func(a *Author) bool { return a.Namespace == Withdrawn })
	const first, others, again = 9, 10, 14
	authors[withdrawn].policies[first].specs, authors[withdrawn].policies[again].specs = nil, nil
	at := func(state int) history.Part {
		return history.Part{Policies: state, Lists: [history.ListCount]int{state, state}}
	}
	call := func(state int) history.Call {
		end := history.Moment(max(state, others))*time.Second + 2
		return history.Call{Answered: true, LastBegin: end - 1, End: end, Pod: "pod", Digest: digestAt(t, authors, map[string]history.Part{
			Own: at(others), Withdrawn: at(state), Unsteady: at(others), LeftAlone: at(others),
		})}
	}
	calls := []history.Call{call(first), call(again)}
	versions, err := FindVersions(t.Context(), authors, calls, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	version := versions.ByDigest[calls[0].Digest]
	if version == nil || calls[1].Digest != calls[0].Digest {
		t.Fatalf("found: %t; the digests are %s and %s", version != nil, calls[0].Digest, calls[1].Digest)
	}
	states := []int{version.Parts[Withdrawn].Policies}
	for _, same := range version.Again {
		states = append(states, same.Parts[Withdrawn].Policies)
	}
	if !slices.Equal(states, []int{first, again}) {
		t.Errorf("the states of the emptied namespace are %v, want %d and %d", states, first, again)
	}
}

// While a namespace is unreadable, its last read state stays in force and other namespaces change. The search finds
// such a version from the replica's earlier answers.
func TestTheRulesOfANamespaceThatIsLongUnreadableAreFound(t *testing.T) {
	authors := madeUpAuthors(t)
	var calls []history.Call
	parts := map[string]history.Part{Withdrawn: {Policies: 2, Lists: [history.ListCount]int{2, 2}}}
	for second := 2; second < 18; second++ {
		for _, namespace := range []string{Own, Unsteady, LeftAlone} {
			parts[namespace] = history.Part{Policies: second, Lists: [history.ListCount]int{second, second}}
		}
		moment := history.Moment(second)*time.Second + time.Millisecond
		calls = append(calls, history.Call{
			Answered: true, LastBegin: moment, End: moment, Digest: digestAt(t, authors, parts), Pod: "pod",
		})
	}
	versions, err := FindVersions(t.Context(), authors, calls, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	for i, call := range calls {
		if version := versions.ByDigest[call.Digest]; version == nil || version.Parts[Withdrawn] != parts[Withdrawn] {
			t.Errorf("call %d: %+v", i, version)
		}
	}
}

// A replica read the policies of a namespace while it could not read the lists, and the lists much later.
func TestTheRulesOfANamespaceThatWasReadInTwoPartsAreFound(t *testing.T) {
	authors := madeUpAuthors(t)
	parts := func(second int, of history.Part) map[string]history.Part {
		all := map[string]history.Part{Withdrawn: of}
		for _, namespace := range []string{Own, Unsteady, LeftAlone} {
			all[namespace] = history.Part{Policies: second, Lists: [history.ListCount]int{second, second}}
		}
		return all
	}
	call := func(second int, parts map[string]history.Part) history.Call {
		moment := history.Moment(second)*time.Second + time.Millisecond
		return history.Call{Answered: true, LastBegin: moment, End: moment, Digest: digestAt(t, authors, parts), Pod: "pod"}
	}
	const later = 18
	apart := history.Part{Policies: 5, Lists: [history.ListCount]int{later, later}}
	calls := []history.Call{call(4, parts(4, history.Part{Denied: true})), call(later, parts(later, apart))}
	versions, err := FindVersions(t.Context(), authors, calls, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if version := versions.ByDigest[calls[1].Digest]; version == nil || version.Parts[Withdrawn] != apart {
		t.Errorf("found %+v, want %+v", version, apart)
	}
}

// While the policies of a flood are removed one by one, a replica that is behind has a state from long ago, and another
// namespace has changed as well.
func TestAStateOfLongAgoIsFoundBesideAnotherChange(t *testing.T) {
	authors := madeUpAuthors(t)
	parts := map[string]history.Part{}
	for _, namespace := range Namespaces() {
		parts[namespace] = history.Part{Policies: 1, Lists: [history.ListCount]int{1, 1}}
	}
	call := func(second int) history.Call {
		moment := history.Moment(second)*time.Second + time.Millisecond
		return history.Call{Answered: true, LastBegin: moment, End: moment, Digest: digestAt(t, authors, parts), Pod: "pod"}
	}
	calls := []history.Call{call(1)}
	parts[Unsteady] = history.Part{Policies: 4, Lists: [history.ListCount]int{4, 4}}
	parts[Own] = history.Part{Policies: 18, Lists: [history.ListCount]int{18, 18}}
	calls = append(calls, call(18))
	versions, err := FindVersions(t.Context(), authors, calls, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if version := versions.ByDigest[calls[1].Digest]; version == nil || version.Parts[Unsteady] != parts[Unsteady] {
		t.Errorf("found %+v", version)
	}
}

// A replica that catches up publishes several versions within milliseconds. So a call that is answered by an earlier
// version may end after a call that is answered by a later one.
func TestAnAnswerByAnEarlierVersionIsFoundAfterAnOverlappingAnswerByALaterOne(t *testing.T) {
	authors := madeUpAuthors(t)
	parts := func(unsteadyAt, ownAt int) map[string]history.Part {
		all := map[string]history.Part{}
		for _, namespace := range Namespaces() {
			all[namespace] = history.Part{Policies: 1, Lists: [history.ListCount]int{1, 1}}
		}
		all[Unsteady] = history.Part{Policies: unsteadyAt, Lists: [history.ListCount]int{unsteadyAt, unsteadyAt}}
		all[Own] = history.Part{Policies: ownAt, Lists: [history.ListCount]int{ownAt, ownAt}}
		return all
	}
	const now = 18*time.Second + time.Millisecond
	call := func(begin, end history.Moment, parts map[string]history.Part) history.Call {
		return history.Call{Answered: true, LastBegin: begin, End: end, Digest: digestAt(t, authors, parts), Pod: "pod"}
	}
	earlier := parts(4, 18)
	calls := []history.Call{
		call(time.Second, time.Second+time.Millisecond, parts(1, 1)),
		call(now, now+2*time.Millisecond, parts(18, 18)),
		call(now, now+3*time.Millisecond, earlier),
		call(now, now+4*time.Millisecond, parts(5, 18)),
	}
	versions, err := FindVersions(t.Context(), authors, calls, time.Second)
	if err != nil {
		t.Fatal(err)
	}
	if version := versions.ByDigest[calls[2].Digest]; version == nil || version.Parts[Unsteady] != earlier[Unsteady] {
		t.Errorf("found %+v", version)
	}
}
