//go:build unix

package listsync

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/rules"
)

const small = "mailinator.example\nyopmail.example\n# a remark\n"

func digest(text string) string { return rules.CompileList([]byte(text)).Digest() }

func TestASmallListIsOneConfigMapAndALargeOneAnIndexAndBack(t *testing.T) {
	p := newPlace(t)
	report := p.sync(t, p.request(small), Done)
	if p.holds(t) != small || report.Shards != 0 || report.Digest != digest(small) || report.Entries != 2 {
		t.Errorf("%+v", report)
	}
	var head corev1.ConfigMap
	if err := p.Kube.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "disposable"}, &head); err != nil {
		t.Fatal(err)
	}
	if head.Labels[listconfigmap.Label] != "true" || head.Labels[labelManagedBy] != managedBy {
		t.Errorf("labels %v", head.Labels)
	}
	grown := p.request(large("one"))
	grown.Accept = digest(large("one"))
	report = p.sync(t, grown, Done)
	if p.holds(t) != large("one") || report.Shards < 2 || report.Added != 100_001 || report.Removed != 2 {
		t.Errorf("%d shards, %d added, %d removed", report.Shards, report.Added, report.Removed)
	}
	shrunk := p.request(small)
	shrunk.MaxChange = 1000
	report = p.sync(t, shrunk, Done)
	if p.holds(t) != small || report.Shards != 0 {
		t.Errorf("%+v", report)
	}
	p.wantEvent(t, "Normal ListSynced disposable: 2 entries (2 added, 100001 removed) from list.txt: "+digest(small))
}

func TestAnUnchangedListIsNotWritten(t *testing.T) {
	for sentence, text := range map[string]string{"in one ConfigMap": small, "in shards": large("one")} {
		t.Run(sentence, func(t *testing.T) {
			p := newPlace(t)
			p.sync(t, p.request(text), Done)
			before, events := p.versions(t), p.events(t)
			report := p.sync(t, p.request(text), Unchanged)
			if diff := cmp.Diff(before, p.versions(t)); diff != "" {
				t.Errorf("resource versions (-before +after):\n%s", diff)
			}
			if len(report.Written)+len(report.Deleted) > 0 || len(p.events(t)) != len(events) {
				t.Errorf("%+v, events %q", report, p.events(t))
			}
		})
	}
}

func TestOnlyTheShardsThatChangeAreWritten(t *testing.T) {
	p := newPlace(t)
	first := p.sync(t, p.request(large("one")), Done)
	second := p.sync(t, p.request(large("one")+"last.example\n"), Done)
	if again := len(second.Written); again >= len(first.Written)+1 || p.holds(t) != large("one")+"last.example\n" {
		t.Errorf("written %q, then %q", first.Written, second.Written)
	}
}

// A large list takes a while, so its steps are reported.
func TestTheStepsOfALargeListAreTold(t *testing.T) {
	p := newPlace(t)
	var steps []string
	p.Step = func(doing string) { steps = append(steps, doing) }
	report := p.sync(t, p.request(large("one")), Done)
	for _, want := range []string{
		"reading ConfigMap " + p.namespace + "/disposable", "reading the new content", "comparing 100001 entries with the content in force",
		"writing shard 1 of " + strconv.Itoa(report.Shards), fmt.Sprintf("writing shard %d of %d", report.Shards, report.Shards),
		"writing ConfigMap " + p.namespace + "/disposable", "tidying up unused shards and revisions",
	} {
		if !slices.Contains(steps, want) {
			t.Errorf("no step %q in %q", want, steps)
		}
	}
	p.sync(t, p.request("one.example\n"), Refused)
	if !slices.Contains(steps, "comparing 1 entry with the content in force") {
		t.Errorf("the steps are %q", steps)
	}
}

func TestADryRunNeedsNoCluster(t *testing.T) {
	syncer := &Syncer{Now: time.Now}
	request := Request{
		Namespace: "default", Name: "disposable", Source: "list.txt", Use: listguard.Deny, MaxChange: 20, MaxEntries: 10, Keep: MinKeep, DryRun: true,
	}
	for text, want := range map[string]struct {
		outcome Outcome
		kind    listguard.Kind
	}{
		"one.example\ntwo.example\n": {outcome: Done},
		"gmail.com\n":                {Refused, listguard.MailboxProvider},
		"<!doctype html>\n":          {Refused, listguard.NotAList},
	} {
		request.Text = []byte(text)
		report, err := syncer.Sync(t.Context(), request)
		if err != nil {
			t.Fatal(err)
		}
		if report.Outcome != want.outcome || want.kind != "" && (len(report.Refusals) == 0 || report.Refusals[0].Kind != want.kind) {
			t.Errorf("%q: %+v", text, report)
		}
		if len(report.Warnings) != 1 || !strings.Contains(report.Warnings[0], "without a cluster") {
			t.Errorf("%q: warnings %q", text, report.Warnings)
		}
	}
	syncer.RecordFetchError(t.Context(), request, errors.New("no source")) // must not fail without a cluster
}

func TestADryRunWritesNothing(t *testing.T) {
	p := newPlace(t)
	p.sync(t, p.request(small), Done)
	before, events := p.versions(t), p.events(t)
	request := p.request(large("one"))
	request.DryRun, request.MaxChange = true, 1e9
	report := p.sync(t, request, Done)
	if diff := cmp.Diff(before, p.versions(t)); diff != "" || len(p.events(t)) != len(events) {
		t.Errorf("resource versions (-before +after):\n%s", diff)
	}
	if len(report.Written) != report.Shards+2 { // the kept content, and the index
		t.Errorf("it would write %q", report.Written)
	}
}

// As in January 2026, when companies' domains were put into the best-known public list.
func TestAPoisonedSourceIsRefusedAndTheOldListStays(t *testing.T) {
	p := newPlace(t)
	p.policy(t, "partners", `{allow: {domains: [Acme.com, "*.bücher.example"], addresses: [zaunkoenig@partner.example]}}`)
	p.policy(t, "others", `{mode: Audit, allow: {publicSuffixes: ["*.ac.uk"]}}`)
	p.sync(t, p.request(large("one")), Done)
	before := p.versions(t)

	poisoned := large("one") + "acme.com\nxn--bcher-kva.example\npartner.example\nspam.ac.uk\ngmail.com\n"
	report := p.sync(t, p.request(poisoned), Refused)
	want := []string{
		"AllowedByName acme.com acme.com", "AllowedByName partner.example @partner.example", "AllowedByName spam.ac.uk *.ac.uk",
		"AllowedByName xn--bcher-kva.example *.xn--bcher-kva.example", "MailboxProvider gmail.com gmail.com",
	}
	var got []string
	for _, refusal := range report.Refusals {
		got = append(got, strings.Join([]string{string(refusal.Kind), refusal.Entry, refusal.Affects}, " "))
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, p.versions(t)); diff != "" || report.Accept != digest(poisoned) {
		t.Errorf("accept %s, resource versions (-before +after):\n%s", report.Accept, diff)
	}
	p.wantEvent(t, "Warning ListRefused disposable: To write it after a look: --accept "+digest(poisoned), "acme.com denies acme.com, which")
	if told := strings.Join(p.events(t), "\n"); strings.Contains(told, "zaunkoenig") {
		t.Errorf("a local part in an Event: %s", told)
	}

	other := p.request(poisoned)
	other.Accept = digest(small)
	p.sync(t, other, Refused) // the digest of another content releases nothing
	accepted := p.request(poisoned)
	accepted.Accept = report.Accept
	if report := p.sync(t, accepted, Done); len(report.Refusals) != 5 {
		t.Errorf("released without saying what: %+v", report.Refusals)
	}
	p.sync(t, p.request(poisoned+"new.example\n"), Done) // what was accepted is not asked again
}

func TestWhatNobodyCanAcceptIsRefused(t *testing.T) {
	for sentence, test := range map[string]struct {
		text, pinned string
		want         listguard.Kind
	}{
		"a web page":      {text: "<html>\n<body>\n", want: listguard.NotAList},
		"nothing":         {want: listguard.NotAList},
		"another content": {text: small, pinned: digest("other.example\n"), want: listguard.NotPinned},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := newPlace(t)
			request := p.request(test.text)
			request.Pinned, request.Accept = test.pinned, digest(test.text)
			report := p.sync(t, request, Refused)
			if len(report.Refusals) != 1 || report.Refusals[0].Kind != test.want || report.Accept != "" || len(p.versions(t)) > 0 {
				t.Errorf("%+v", report)
			}
			p.wantEvent(t, "Warning ListRefused disposable: ")
		})
	}
	p := newPlace(t)
	request := p.request(small)
	request.Pinned = digest(small)
	p.sync(t, request, Done)
}

func TestTooManyEntriesAreAFault(t *testing.T) {
	p := newPlace(t)
	request := p.request(small)
	request.MaxEntries = 1
	if _, err := p.Sync(t.Context(), request); !errors.Is(err, ErrTooMany) || len(p.versions(t)) > 0 {
		t.Errorf("got %v", err)
	}
	p.wantEvent(t, "Warning ListSyncFailed disposable: too many entries: 2, and --max-entries allows 1")
}

func TestAConfigMapOfSomebodyElseIsLeftAlone(t *testing.T) {
	p := newPlace(t)
	theirs := &corev1.ConfigMap{Data: map[string]string{"settings": "mine.example"}}
	theirs.Namespace, theirs.Name, theirs.Labels = p.namespace, "disposable", map[string]string{"team": "identity"}
	if err := p.Kube.Create(t.Context(), theirs); err != nil {
		t.Fatal(err)
	}
	if _, err := p.Sync(t.Context(), p.request(small)); !errors.Is(err, ErrNotOurs) {
		t.Errorf("got %v", err)
	}
	if err := p.Kube.Get(t.Context(), client.ObjectKeyFromObject(theirs), theirs); err != nil || theirs.Data["settings"] != "mine.example" {
		t.Errorf("%v, %+v", err, theirs)
	}
	request := p.request(small)
	request.Adopt, request.MaxChange = true, 1000
	p.sync(t, request, Done)
	var head corev1.ConfigMap
	if err := p.Kube.Get(t.Context(), client.ObjectKeyFromObject(theirs), &head); err != nil {
		t.Fatal(err)
	}
	if p.holds(t) != small || head.Labels["team"] != "identity" || head.Data["settings"] != "" {
		t.Errorf("%+v", head)
	}
}

func TestACrashLeavesTheOldListWholeAndTheNextRunGoesOn(t *testing.T) {
	for sentence, at := range map[string]func(string, client.Object) bool{
		"between two shards":               nil,
		"between the shards and the index": func(verb string, object client.Object) bool { return object.GetName() == "disposable" },
	} {
		t.Run(sentence, func(t *testing.T) {
			p := newPlace(t)
			p.sync(t, p.request(large("one")), Done)
			kube, created := p.Kube, 0
			if at == nil {
				at = func(verb string, object client.Object) bool {
					if verb == "create" && strings.HasPrefix(object.GetName(), "disposable-") {
						created++
					}
					return created > 2 // the kept content, and a shard
				}
			}
			p.Kube = &failing{kube, at, errors.New("cut off")}
			text := strings.ReplaceAll(large("two"), "usual", "common")
			request := p.request(text)
			request.Accept = digest(text)
			if _, err := p.Sync(t.Context(), request); err == nil || !strings.Contains(err.Error(), "cut off") {
				t.Fatalf("got %v", err)
			}
			p.Kube = kube
			if p.holds(t) != large("one") {
				t.Error("the old list is not whole")
			}
			p.sync(t, request, Done)
			if p.holds(t) != text {
				t.Error("the new list is not whole")
			}
		})
	}
}

func TestAWriteInBetweenIsAnErrorThatSaysSo(t *testing.T) {
	p := newPlace(t)
	p.sync(t, p.request(small), Done)
	kube := p.Kube
	p.Kube = &failing{kube, func(verb string, object client.Object) bool {
		if verb == "update" && object.GetName() == "disposable" {
			var head corev1.ConfigMap
			if err := kube.Get(t.Context(), client.ObjectKeyFromObject(object), &head); err != nil {
				t.Error(err)
			}
			head.Data["entries"] = "somebody-elses.example\n"
			if err := kube.Update(t.Context(), &head); err != nil {
				t.Error(err)
			}
		}
		return false
	}, nil}
	request := p.request(small + "new.example\n")
	request.MaxChange = 100
	if _, err := p.Sync(t.Context(), request); !errors.Is(err, ErrConflict) || p.holds(t) != "somebody-elses.example\n" {
		t.Errorf("got %v", err)
	}
}

func TestALostShardIsPutBackWithoutAQuestion(t *testing.T) {
	p := newPlace(t)
	text := large("one") + "gmail.com\n"
	request := p.request(text)
	request.Accept = digest(text)
	report := p.sync(t, request, Done)
	lost := &corev1.ConfigMap{}
	lost.Namespace, lost.Name = p.namespace, report.Written[0]
	if err := p.Kube.Delete(t.Context(), lost); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(p.holds(t), "missing: ") {
		t.Fatal("the list is still whole")
	}
	got, err := p.Sync(t.Context(), p.request(text))
	if err != nil || got.Outcome != Done || p.holds(t) != text || len(got.Warnings) != 1 {
		t.Errorf("%v, %+v", err, got)
	}
}

func TestOldShardsStayForAWhileAndThenGo(t *testing.T) {
	p := newPlace(t)
	p.sync(t, p.request(large("one")), Done)
	old := p.versions(t)
	request := p.request(strings.ReplaceAll(large("two"), "usual", "common"))
	request.MaxChange = 1e9
	p.sync(t, request, Done)
	for name := range old {
		if p.versions(t)[name] == "" {
			t.Errorf("%s is gone at once", name)
		}
	}
	p.later = 59 * time.Minute
	if report := p.sync(t, request, Unchanged); len(report.Deleted) > 0 {
		t.Errorf("gone too early: %q", report.Deleted)
	}
	p.later = 61 * time.Minute
	report := p.sync(t, request, Unchanged)
	delete(old, "disposable")
	gone := append(slices.Sorted(maps.Keys(old)), revisionName("disposable", digest(large("one"))))
	slices.Sort(gone)
	slices.Sort(report.Deleted)
	if diff := cmp.Diff(gone, report.Deleted); diff != "" {
		t.Errorf("deleted (-want +got):\n%s", diff)
	}
	if p.holds(t) != string(request.Text) {
		t.Error("the list in force is not whole")
	}
}

func TestAShardThatIsUsedAgainStays(t *testing.T) {
	p := newPlace(t)
	one, two := p.request(large("one")), p.request(strings.ReplaceAll(large("two"), "usual", "common"))
	one.MaxChange, two.MaxChange = 1e9, 1e9
	p.sync(t, one, Done)
	p.sync(t, two, Done)
	p.later = 59 * time.Minute
	p.sync(t, one, Done)
	p.later = 3 * time.Hour
	p.sync(t, one, Unchanged)
	if p.holds(t) != string(one.Text) {
		t.Error("the list in force is not whole")
	}
}

func TestARollBackMovesTheIndexBack(t *testing.T) {
	for sentence, texts := range map[string][2]string{
		"of a list in shards":        {large("one"), large("one") + "bad.example\n"},
		"of a list in one ConfigMap": {small, small + "bad.example\n"},
		"of one that has grown":      {small, large("one")},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := newPlace(t)
			for _, text := range texts {
				request := p.request(text)
				request.MaxChange = 1e9
				p.sync(t, request, Done)
			}
			report, err := p.Rollback(t.Context(), p.request(""), "")
			if err != nil || report.Outcome != Done || report.Digest != digest(texts[0]) || p.holds(t) != texts[0] {
				t.Fatalf("%v, %+v", err, report)
			}
			if report, err = p.Rollback(t.Context(), p.request(""), digest(texts[1])); err != nil || p.holds(t) != texts[1] {
				t.Errorf("and forth: %v, %+v", err, report)
			}
			if _, err = p.Rollback(t.Context(), p.request(""), digest("never.example\n")); !errors.Is(err, ErrNoRevision) {
				t.Errorf("to what never was: %v", err)
			}
		})
	}
	p := newPlace(t)
	p.sync(t, p.request(small), Done)
	if _, err := p.Rollback(t.Context(), p.request(""), ""); !errors.Is(err, ErrNoRevision) {
		t.Errorf("of a first list: %v", err)
	}
}
