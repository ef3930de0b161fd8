package listmemory

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/listguard"
)

// namespace is a namespace with policies and lists.
type namespace struct {
	policies []unstructured.Unstructured
	maps     map[string]*corev1.ConfigMap
	err      error // of reading a ConfigMap that is not there
}

// policy adds a policy with a spec.
func (n *namespace) policy(t *testing.T, spec string) *unstructured.Unstructured {
	t.Helper()
	policy := unstructured.Unstructured{Object: map[string]any{}}
	if err := yaml.Unmarshal([]byte("spec: "+spec), &policy.Object); err != nil {
		t.Fatal(err)
	}
	policy.SetGeneration(1)
	n.policies = append(n.policies, policy)
	return &n.policies[len(n.policies)-1]
}

// limit writes into the status of the first policy how much memory the namespace may take, as the operator does.
func (n *namespace) limit(bytes int64) {
	n.policies[0].Object["status"] = map[string]any{"namespaceMemoryLimitBytes": bytes}
}

// list adds a list, in one ConfigMap with these keys.
func (n *namespace) list(name string, data map[string]string) {
	object := &corev1.ConfigMap{Data: data}
	object.Name, object.Labels = name, map[string]string{listconfigmap.Label: listconfigmap.LabelTrue}
	n.add(object)
}

func (n *namespace) add(objects ...*corev1.ConfigMap) {
	if n.maps == nil {
		n.maps = map[string]*corev1.ConfigMap{}
	}
	for _, object := range objects {
		n.maps[object.Name] = object
	}
}

// estimate estimates new content of the list "disposable".
func (n *namespace) estimate(t *testing.T, text string) *Result {
	t.Helper()
	objects, err := listconfigmap.Write("disposable", "okta", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Estimate(&Input{
		Namespace: "okta", Name: "disposable", Text: []byte(text), Objects: objects, Policies: n.policies,
		Get: func(name string) (*corev1.ConfigMap, error) {
			if object := n.maps[name]; object != nil {
				return object, nil
			}
			return nil, n.err
		},
	})
}

// specCost is what the policies take.
func (n *namespace) specCost(t *testing.T) (cost int64) {
	t.Helper()
	for i := range n.policies {
		text, err := json.Marshal(n.policies[i].Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		cost += budget.PolicyCost(int64(len(text)))
	}
	return cost
}

// lines returns a list with so many entries.
func lines(prefix string, count int) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "%s-%06d.example\n", prefix, i)
	}
	return text.String()
}

func costOf(text string) int64 {
	return budget.ListCost(int64(len(text)), int64(strings.Count(text, "\n")))
}

func TestAListIsMeasuredWhateverIsKnownOfTheLimit(t *testing.T) {
	text := lines("one", 1000)
	n := &namespace{}
	if got := n.estimate(t, text).Memory; got != (Memory{ListBytes: costOf(text)}) {
		t.Errorf("without a policy: %+v", got)
	}
	n.policy(t, "{deny: {lists: [{configMap: {name: disposable}}]}}")
	if got := n.estimate(t, text).Memory; got != (Memory{ListBytes: costOf(text)}) {
		t.Errorf("with a policy that no operator has seen: %+v", got)
	}
	n.limit(8 << 20)
	want := Memory{ListBytes: costOf(text), LimitBytes: 8 << 20, OtherBytes: n.specCost(t)}
	if got := n.estimate(t, text).Memory; got != want {
		t.Errorf("with a limit: %+v, want %+v", got, want)
	}
}

func TestAListJustFitsOrIsRefused(t *testing.T) {
	n := &namespace{}
	n.policy(t, "{deny: {lists: [{name: a, configMap: {name: disposable}}, {name: b, configMap: {name: another}}]}}")
	another, text := lines("another", 2000), lines("one", 3000)
	n.list("another", map[string]string{"entries": another})
	limit := n.specCost(t) + costOf(another) + costOf(text)
	n.limit(limit)
	if got := n.estimate(t, text); len(got.Refusals) > 0 || got.Memory.OtherBytes != n.specCost(t)+costOf(another) {
		t.Errorf("%+v", got)
	}
	grown := text + "one-more.example\n"
	got := n.estimate(t, grown).Refusals
	if len(got) != 1 || got[0].Kind != listguard.OverBudget || got[0].Affects != "" {
		t.Fatalf("%+v", got)
	}
	for _, want := range []string{"3001 lines", budget.Size(costOf(grown)), budget.Size(limit), "shorten the list"} {
		if !strings.Contains(got[0].Text, want) {
			t.Errorf("%q does not say %q", got[0].Text, want)
		}
	}
}

// Lists are counted in the order of their names: one that comes first can leave too little for another.
func TestAListThatLeavesTooLittleForAnotherIsRefused(t *testing.T) {
	n := &namespace{}
	n.policy(t, "{deny: {lists: [{name: a, configMap: {name: disposable}}, {name: b, configMap: {name: more}}]}}")
	more, text := lines("more", 2000), lines("one", 3000)
	n.list("more", map[string]string{"entries": more})
	n.limit(n.specCost(t) + costOf(more) + costOf(text) - 1)
	got := n.estimate(t, text).Refusals
	if len(got) != 1 || got[0].Affects != "more" || !strings.Contains(got[0].Text, "would refuse list more") {
		t.Errorf("%+v", got)
	}
	if got := n.estimate(t, lines("one", 2999)).Refusals; len(got) > 0 {
		t.Errorf("%+v", got)
	}
	n.list("disposable", map[string]string{"entries": text})
	if got := n.estimate(t, text).Refusals; len(got) > 0 {
		t.Errorf("a list that is refused today already: %+v", got)
	}
}

func TestWhatTheOperatorDoesNotReadTakesNothing(t *testing.T) {
	text := lines("one", 3000)
	for sentence, test := range map[string]struct {
		lists  string
		maps   map[string]map[string]string
		status map[string]any // of the second policy
		fits   bool
	}{
		"a list that no policy names":   {maps: map[string]map[string]string{"another": {"entries": text}}, fits: true},
		"one that is not there":         {lists: "{configMap: {name: another}}", fits: true},
		"one that is there":             {lists: "{configMap: {name: another}}", maps: map[string]map[string]string{"another": {"entries": text}}},
		"a key of it that is not there": {lists: "{configMap: {name: another, key: a}}", maps: map[string]map[string]string{"another": {"entries": text}}, fits: true},
		"a key that is there, and others that take": {
			lists: "{configMap: {name: another, key: a}}", maps: map[string]map[string]string{"another": {"a": "a.example\n", "b": text}},
		},
		"the same list by its key":                {lists: "{configMap: {name: disposable, key: entries}}", fits: true},
		"the same list, and once more by its key": {lists: "{configMap: {name: disposable}}, {name: b, configMap: {name: disposable, key: entries}}"},
		"by a key that it will not have":          {lists: "{configMap: {name: disposable, key: more}}", fits: true},
		"of a policy that is not understood": {
			lists: "{configMap: {name: another}}", maps: map[string]map[string]string{"another": {"entries": text}}, fits: true,
			status: map[string]any{"conditions": []any{map[string]any{
				"type": "Accepted", "status": "False", "reason": "NotUnderstood", "message": "", "observedGeneration": int64(1),
			}}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			n := &namespace{}
			n.policy(t, "{allow: {domains: [acme.com]}}")
			spec := "{allow: {domains: [beta.example]}}"
			if test.lists != "" {
				spec = "{allow: {lists: [" + test.lists + "]}}"
			}
			other := n.policy(t, spec)
			if test.status != nil {
				other.Object["status"] = test.status
			}
			for name, data := range test.maps {
				n.list(name, data)
			}
			limit := n.specCost(t) + costOf(text)
			if strings.Contains(sentence, "others that take") {
				limit += costOf("a.example\n") - 1 // without the key that nobody names
			}
			n.limit(limit)
			if got := n.estimate(t, text); (len(got.Refusals) == 0) != test.fits {
				t.Errorf("%+v", got)
			}
		})
	}
}

// A list of several ConfigMaps is read no further than it could fit. The list to write is counted whole.
func TestALargeListIsMeasured(t *testing.T) {
	n := &namespace{}
	text := lines("a-throwaway-domain-of-usual-length", 50_000)
	n.policy(t, "{deny: {lists: [{configMap: {name: disposable}}]}}")
	n.limit(1 << 20)
	refused := n.estimate(t, text)
	if len(refused.Refusals) != 1 || !strings.Contains(refused.Refusals[0].Text, "50000 lines") || refused.Memory.ListBytes != costOf(text) {
		t.Errorf("%+v", refused)
	}
	n.limit(n.specCost(t) + costOf(text))
	if got := n.estimate(t, text); len(got.Refusals) > 0 {
		t.Errorf("%+v", got.Refusals)
	}
	other := &namespace{}
	other.policy(t, "{deny: {lists: [{configMap: {name: stored}}, {name: b, configMap: {name: disposable}}]}}")
	shards, err := listconfigmap.Write("stored", "okta", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	other.add(shards...)
	other.limit(other.specCost(t) + costOf(text))
	got := other.estimate(t, "one.example\n").Refusals
	if len(got) != 1 || got[0].Affects != "stored" {
		t.Errorf("%+v", got)
	}
}

func TestPoliciesBeyondTheLimitAreNamed(t *testing.T) {
	n := &namespace{}
	n.policy(t, "{allow: {domains: [acme.com]}}")
	n.limit(1024)
	got := n.estimate(t, "one.example\n").Refusals
	if len(got) != 1 || !strings.Contains(got[0].Text, "the policies of namespace okta take") {
		t.Errorf("%+v", got)
	}
}

func TestAListThatCannotBeReadIsAWarning(t *testing.T) {
	n := &namespace{err: errors.New("you do not have the right")}
	n.policy(t, "{deny: {lists: [{configMap: {name: another}}]}}")
	n.limit(8 << 20)
	got := n.estimate(t, "one.example\n")
	want := []string{"the memory of list another is not counted: you do not have the right"}
	if !slices.Equal(got.Warnings, want) || len(got.Refusals) > 0 {
		t.Errorf("%+v", got)
	}
}

func TestTheLastWordOnALimitCounts(t *testing.T) {
	t.Parallel()
	now := time.Now()
	policy := func(uid, statusOf string, limit int64, written time.Time) unstructured.Unstructured {
		object := unstructured.Unstructured{Object: map[string]any{"status": map[string]any{
			"namespaceMemoryLimitBytes": limit,
			"replicas":                  map[string]any{"uid": statusOf, "observedTime": written.UTC().Format(time.RFC3339)},
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
