//go:build unix

package listsync

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// limited writes into the status of a policy how much memory its namespace may take, as the operator does.
func (p *place) limited(t *testing.T, name string, limit int64, written time.Time) {
	t.Helper()
	p.status(t, name, map[string]any{
		"namespaceMemoryLimitBytes": limit,
		"replicas": map[string]any{
			"summary": "1/1", "serving": int64(1), "inForce": int64(1), "observedTime": written.UTC().Format(time.RFC3339),
		},
	})
}

func (p *place) status(t *testing.T, name string, status map[string]any) {
	t.Helper()
	policy := &unstructured.Unstructured{}
	policy.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(policyobject.Kind))
	if err := p.Kube.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: name}, policy); err != nil {
		t.Fatal(err)
	}
	policy.Object["status"] = status
	if err := p.Kube.Status().Update(t.Context(), policy); err != nil {
		t.Fatal(err)
	}
}

// list writes a list as somebody does who does not use this package.
func (p *place) list(t *testing.T, name string, data map[string]string) {
	t.Helper()
	object := &corev1.ConfigMap{Data: data}
	object.Namespace, object.Name, object.Labels = p.namespace, name, map[string]string{listconfigmap.Label: listconfigmap.LabelTrue}
	if err := p.Kube.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}

// lines returns a list with so many entries.
func lines(mark string, count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "%s-%06d.example\n", mark, i)
	}
	return text.String()
}

func costOf(text string) int64 {
	return budget.ListCost(int64(len(text)), int64(strings.Count(text, "\n")))
}

// specCost is what a policy takes with the one spec of these tests, which the API server completes by its defaults.
func (p *place) specCost(t *testing.T) int64 {
	t.Helper()
	policies, err := readPolicies(t.Context(), p.Kube, p.namespace)
	if err != nil {
		t.Fatal(err)
	}
	return openAccount(p.namespace, 1, policies).Wanted()
}

func TestAListIsMeasuredWhateverIsKnownOfTheLimit(t *testing.T) {
	text := lines("one", 1000)
	report, err := (&Syncer{Now: time.Now}).Sync(t.Context(), Request{
		Namespace: "default", Name: "disposable", Use: Deny, MaxChange: 20, MaxEntries: 10_000, Keep: MinKeep, DryRun: true, Text: []byte(text),
	})
	if err != nil || *report.Memory != (Memory{ListBytes: costOf(text)}) {
		t.Errorf("without a cluster: %+v, %v", report.Memory, err)
	}
	p := newPlace(t)
	if got := p.sync(t, p.request(text), Done).Memory; *got != (Memory{ListBytes: costOf(text)}) {
		t.Errorf("without a policy: %+v", got)
	}
	p.policy(t, "policy", "{deny: {lists: [{configMap: {name: disposable}}]}}")
	if got := p.sync(t, p.request(text), Unchanged).Memory; *got != (Memory{ListBytes: costOf(text)}) {
		t.Errorf("with a policy that no operator has seen: %+v", got)
	}
	p.limited(t, "policy", 8<<20, time.Now())
	want := Memory{ListBytes: costOf(text), LimitBytes: 8 << 20, OtherBytes: p.specCost(t)}
	if got := p.sync(t, p.request(text), Unchanged).Memory; *got != want {
		t.Errorf("with a limit: %+v, want %+v", got, want)
	}
}

func TestAListThatTheOperatorWouldRefuseIsRefused(t *testing.T) {
	p := newPlace(t)
	p.policy(t, "policy", "{deny: {lists: [{name: a, configMap: {name: disposable}}, {name: b, configMap: {name: another}}]}}")
	another := lines("another", 2000)
	p.list(t, "another", map[string]string{"entries": another})
	text := lines("one", 3000)
	limit := p.specCost(t) + costOf(another) + costOf(text)
	p.limited(t, "policy", limit, time.Now())
	p.sync(t, p.request(text), Done)

	grown := p.request(text + "one-more.example\n")
	report := p.sync(t, grown, Refused)
	if len(report.Refusals) != 1 || report.Refusals[0].Kind != OverBudget || report.Accept != report.Digest {
		t.Fatalf("%+v", report)
	}
	for _, want := range []string{"3001 lines", budget.Size(costOf(string(grown.Text))), budget.Size(limit), "shorten the list"} {
		if !strings.Contains(report.Refusals[0].Text, want) {
			t.Errorf("%q does not say %q", report.Refusals[0].Text, want)
		}
	}
	p.wantEvent(t, "Warning ListRefused disposable: To write it after a look: --accept ", "--namespace-limits")
	grown.Accept = report.Digest
	p.sync(t, grown, Done)

	// What is in force already is no news, and a roll-back is not held up.
	again, err := p.Sync(t.Context(), p.request(string(grown.Text)))
	if err != nil || again.Outcome != Unchanged || len(again.Warnings) != 1 || !strings.Contains(again.Warnings[0], "would refuse the list") {
		t.Errorf("%+v, %v", again, err)
	}
}

// Lists are counted in the order of their names: one that comes first can leave no room for another.
func TestAListThatLeavesNoRoomForAnotherIsRefused(t *testing.T) {
	p := newPlace(t)
	p.policy(t, "policy", "{deny: {lists: [{name: a, configMap: {name: disposable}}, {name: b, configMap: {name: more}}]}}")
	more, text := lines("more", 2000), lines("one", 3000)
	p.list(t, "more", map[string]string{"entries": more})
	p.limited(t, "policy", p.specCost(t)+costOf(more)+costOf(text)-1, time.Now())
	report := p.sync(t, p.request(text), Refused)
	if len(report.Refusals) != 1 || report.Refusals[0].Affects != "more" || !strings.Contains(report.Refusals[0].Text, "would refuse list more") {
		t.Errorf("%+v", report.Refusals)
	}
	p.sync(t, p.request(lines("one", 2999)), Done)
}

func TestWhatTheOperatorDoesNotReadTakesNothing(t *testing.T) {
	text := lines("one", 3000)
	for sentence, test := range map[string]struct {
		lists  string
		maps   map[string]map[string]string
		status map[string]any // of the policy "other"
		fits   bool
	}{
		"a list that no policy names":               {maps: map[string]map[string]string{"another": {"entries": text}}, fits: true},
		"one that is not there":                     {lists: "{configMap: {name: another}}", fits: true},
		"one that is there":                         {lists: "{configMap: {name: another}}", maps: map[string]map[string]string{"another": {"entries": text}}},
		"a key of it that is not there":             {lists: "{configMap: {name: another, key: a}}", maps: map[string]map[string]string{"another": {"entries": text}}, fits: true},
		"a key that is there, and others that take": {lists: "{configMap: {name: another, key: a}}", maps: map[string]map[string]string{"another": {"a": "a.example\n", "b": text}}},
		"the same list by its key":                  {lists: "{configMap: {name: disposable, key: entries}}", fits: true},
		"the same list, and once more by its key":   {lists: "{configMap: {name: disposable}}, {name: b, configMap: {name: disposable, key: entries}}"},
		"by a key that it will not have":            {lists: "{configMap: {name: disposable, key: more}}", fits: true},
		"of a policy that is not understood": {
			lists: "{configMap: {name: another}}", maps: map[string]map[string]string{"another": {"entries": text}}, fits: true,
			status: map[string]any{"conditions": []any{map[string]any{
				"type": "Accepted", "status": "False", "reason": "NotUnderstood", "message": "", "observedGeneration": int64(1),
				"lastTransitionTime": "2026-11-27T00:00:00Z",
			}}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			p := newPlace(t)
			p.policy(t, "policy", "{allow: {domains: [acme.com]}}")
			spec := "{allow: {domains: [beta.example]}}"
			if test.lists != "" {
				spec = "{allow: {lists: [" + test.lists + "]}}"
			}
			p.policy(t, "other", spec)
			for name, data := range test.maps {
				p.list(t, name, data)
			}
			if test.status != nil {
				p.status(t, "other", test.status)
			}
			limit := p.specCost(t) + costOf(text)
			if strings.Contains(sentence, "others that take") {
				limit += costOf("a.example\n") - 1 // without the key that nobody names
			}
			p.limited(t, "policy", limit, time.Now())
			report, err := p.Sync(t.Context(), p.request(text))
			if err != nil || (report.Outcome == Done) != test.fits {
				t.Errorf("%v, %+v", err, report)
			}
		})
	}
}

// A list of several ConfigMaps is read no further than it could fit, and counted whole if it is the one that comes.
func TestALargeListIsMeasured(t *testing.T) {
	p := newPlace(t)
	text := large("one")
	p.policy(t, "policy", "{deny: {lists: [{configMap: {name: disposable}}]}}")
	p.limited(t, "policy", 1<<20, time.Now())
	refused := p.sync(t, p.request(text), Refused)
	if !strings.Contains(refused.Refusals[0].Text, "100001 lines") || refused.Memory.ListBytes != costOf(text) {
		t.Errorf("%+v, %+v", refused.Refusals, refused.Memory)
	}
	p.limited(t, "policy", p.specCost(t)+costOf(text), time.Now())
	p.sync(t, p.request(text), Done)
	p.policy(t, "another", "{deny: {lists: [{configMap: {name: another}}]}}")
	p.limited(t, "policy", p.specCost(t)+costOf(text), time.Now())
	second := p.request("one.example\n")
	second.Name = "another"
	if report, err := p.Sync(t.Context(), second); err != nil || report.Outcome != Refused || report.Refusals[0].Affects != "disposable" {
		t.Errorf("%+v, %v", report, err)
	}
}

func TestPoliciesBeyondTheLimitAreNamed(t *testing.T) {
	p := newPlace(t)
	p.policy(t, "policy", "{allow: {domains: [acme.com]}}")
	p.limited(t, "policy", 1024, time.Now())
	report := p.sync(t, p.request(small), Refused)
	if len(report.Refusals) != 1 || !strings.Contains(report.Refusals[0].Text, "the policies of namespace "+p.namespace+" take") {
		t.Errorf("%+v", report.Refusals)
	}
}

func TestTheLastWordOnALimitCounts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	policy := func(uid, saidOf string, limit int64, written time.Time) unstructured.Unstructured {
		object := unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
			"namespaceMemoryLimitBytes": limit,
			"replicas":                  map[string]any{"uid": saidOf, "observedTime": written.UTC().Format(time.RFC3339)},
		}}}
		object.SetUID(types.UID(uid))
		return object
	}
	all := []unstructured.Unstructured{
		{Object: map[string]any{}}, policy("a", "a", 5, now.Add(-time.Hour)), policy("b", "b", 7, now), policy("c", "c", 6, now.Add(-time.Minute)),
		policy("d", "elsewhere", 9, now.Add(time.Hour)),
	}
	for range 2 {
		if got := memoryLimit(all); got != 7 {
			t.Errorf("the limit is %d", got)
		}
		slices.Reverse(all)
	}
}
