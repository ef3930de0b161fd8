package controllers

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"weak"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/apiserver"
)

const (
	denyByList = `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}}]}}`
	onList     = "jo@listed.example"
	offList    = "jo@other.example"
)

// manyLines returns so many entries that match none of the addresses above, followed by the given lines.
func manyLines(count int, lines ...string) string {
	var text strings.Builder
	for i := range count {
		fmt.Fprintf(&text, "filler%d.example\n", i)
	}
	return text.String() + strings.Join(lines, "\n") + "\n"
}

// The rows about lists of the table of faults: what is in force, and what status says.
func TestFaultsOfLists(t *testing.T) {
	good := map[string]string{"entries": "listed.example\n"}
	big := manyLines(60_000, "listed.example") // needs shards
	shardsOf := func(t *testing.T, namespace string) []*corev1.ConfigMap {
		t.Helper()
		objects, err := listconfigmap.Write("bad", namespace, []byte(big))
		if err != nil || len(objects) < 3 {
			t.Fatalf("%d objects, %v", len(objects), err)
		}
		return objects
	}
	for sentence, test := range map[string]struct {
		spec             string
		arrange          func(t *testing.T, namespace string)
		listed, unlisted string
		status, reason   string
		message          string // a part of it
	}{
		"a list that denies": {
			spec:    denyByList,
			arrange: func(t *testing.T, ns string) { cluster.Keep(t, apiserver.List(ns, "bad", good)) },
			listed:  "DENY Denied", unlisted: "ALLOW Allowed", status: "True", reason: "Accepted", message: "All of the spec is in force.",
		},
		"a list that allows": {
			spec:    `{allow: {lists: [{configMap: {name: good}}]}}`,
			arrange: func(t *testing.T, ns string) { cluster.Keep(t, apiserver.List(ns, "good", good)) },
			listed:  "ALLOW Allowed", unlisted: "DENY NotAllowed", status: "True", reason: "Accepted",
		},
		"a missing list that allows, allows nothing": {
			spec:   `{allow: {domains: [other.example], lists: [{configMap: {name: good}}]}}`,
			listed: "DENY NotAllowed", unlisted: "ALLOW Allowed", status: "False", reason: "ListNotFound",
			message: "spec.allow.lists[0]: list good: there is no such ConfigMap in the namespace",
		},
		"without a list that denies, all is denied": {
			spec:   denyByList,
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListNotFound",
			message: "kubectl label configmap bad registrationpolicy.dev/list=true). All calls are denied until the lists that deny exist",
		},
		"and only the calls that the policy applies to": {
			spec:   `{appliesTo: {sources: [rul9]}, deny: {lists: [{configMap: {name: bad}}]}}`,
			listed: "DENY NoPolicyApplies", unlisted: "DENY NoPolicyApplies", status: "False", reason: "ListNotFound",
			message: "The calls that the policy applies to are denied",
		},
		"a ConfigMap without the label is no list": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				object := apiserver.List(ns, "bad", good)
				object.Labels = nil
				cluster.Keep(t, object)
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListNotFound",
		},
		"an optional list that is missing denies nobody": {
			spec:   `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}, optional: true}]}}`,
			listed: "ALLOW Allowed", unlisted: "ALLOW Allowed", status: "True", reason: "AcceptedWithWarnings",
			message: "spec.deny.lists[0]: list bad: it is missing, and optional",
		},
		"a key that is missing": {
			spec:    `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad, key: more}}]}}`,
			arrange: func(t *testing.T, ns string) { cluster.Keep(t, apiserver.List(ns, "bad", good)) },
			listed:  "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListNotFound",
			message: "the ConfigMap has no key more",
		},
		"a key, of several": {
			spec: `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad, key: b}}]}}`,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"a": "other.example", "b": "listed.example"}))
			},
			listed: "DENY Denied", unlisted: "ALLOW Allowed", status: "True", reason: "Accepted",
		},
		"all keys": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"a": "other.example", "b": "listed.example"}))
			},
			listed: "DENY Denied", unlisted: "DENY Denied", status: "True", reason: "Accepted",
		},
		"a line that is no entry is skipped, and named by its number": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"entries": manyLines(200, "listed.example", "two words")}))
			},
			listed: "DENY Denied", unlisted: "ALLOW Allowed", status: "True", reason: "AcceptedWithWarnings",
			message: "list bad: line 202 is not an entry and skipped",
		},
		"a list without any entry is as missing": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"entries": "# none\n"}))
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
			message: "list bad: it has no entry",
		},
		"a hosts file is no list": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"entries": "0.0.0.0 listed.example\nlisted.example\n"}))
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
			message: "over 1 % of its lines are not entries (the first is line 1)",
		},
		"an optional list that is none denies nobody, and is named all the same": {
			spec: `{allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}, optional: true}]}}`,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "bad", map[string]string{"entries": "{}"}))
			},
			listed: "ALLOW Allowed", unlisted: "ALLOW Allowed", status: "False", reason: "ListInvalid",
			message: "The rest of the policy is in force.",
		},
		"an entry of a list that allows must not be a public suffix": {
			spec: `{allow: {lists: [{configMap: {name: good}}]}}`,
			arrange: func(t *testing.T, ns string) {
				cluster.Keep(t, apiserver.List(ns, "good", map[string]string{"entries": "listed.example\n*.example\n"}))
			},
			listed: "ALLOW Allowed", unlisted: "DENY NotAllowed", status: "True", reason: "AcceptedWithWarnings",
			message: "line 2 allows nothing",
		},
		"a list of several ConfigMaps": {
			spec:    denyByList,
			arrange: func(t *testing.T, ns string) { cluster.Keep(t, shardsOf(t, ns)...) },
			listed:  "DENY Denied", unlisted: "ALLOW Allowed", status: "True", reason: "Accepted",
		},
		"of which one is lost": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				objects := shardsOf(t, ns)
				cluster.Keep(t, objects...)
				cluster.Drop(t, ns, objects[0].Name)
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
			message: "part 1 of",
		},
		"an index without its shards yet": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				objects := shardsOf(t, ns)
				cluster.Keep(t, objects[len(objects)-1])
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
		},
		"a shard with other content": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				objects := shardsOf(t, ns)
				objects[0].Immutable, objects[0].Data = nil, map[string]string{listconfigmap.KeyEntries: "elsewhere.example\n"}
				cluster.Keep(t, objects...)
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
			message: "does not have the content that the index names",
		},
		"a format of a newer operator": {
			spec: denyByList,
			arrange: func(t *testing.T, ns string) {
				object := apiserver.List(ns, "bad", good)
				object.Annotations = map[string]string{listconfigmap.AnnotationFormat: "index.v9"}
				cluster.Keep(t, object)
			},
			listed: "DENY PolicyNotEnforceable", unlisted: "DENY PolicyNotEnforceable", status: "False", reason: "ListInvalid",
			message: "a format that this operator does not know",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			if test.arrange != nil {
				test.arrange(t, namespace)
			}
			cluster.Apply(t, namespace, "p", test.spec)
			f := newRulesFixture(t, cluster.Config, namespace)
			f.reconcile(t)
			wantAnswer(t, f.store, onList, test.listed)
			wantAnswer(t, f.store, offList, test.unlisted)

			s := newStatusFixture(t, cluster, false)
			s.reconcile(t, namespace, "p")
			_, got := statusOf(t, cluster, namespace, "p")
			if got.status != test.status || got.reason != test.reason || !strings.Contains(got.message, test.message) {
				t.Errorf("Accepted is %s/%s (%s), want %s/%s with %q", got.status, got.reason, got.message, test.status, test.reason, test.message)
			}
		})
	}
}

func TestStatusNamesTheListsThatWereRead(t *testing.T) {
	namespace := cluster.Namespace(t)
	text := manyLines(300, "listed.example", "two words", "", "a/b.example")
	cluster.Keep(t, apiserver.List(namespace, "bad", map[string]string{"entries": text}))
	cluster.Apply(t, namespace, "p", denyByList)
	f := newStatusFixture(t, cluster, false)
	f.reconcile(t, namespace, "p")
	status, _ := statusOf(t, cluster, namespace, "p")
	want := []v1alpha1.ListStatus{{
		Path: "spec.deny.lists[0]", Entries: new(int64(301)), Digest: listconfigmap.DigestOf([]byte(text)),
		SkippedLines: 2, FirstSkippedLines: []int64{302, 304},
	}}
	if diff := cmp.Diff(want, status.Lists); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	if f.reconcile(t, namespace, "p"); f.writes() != 1 {
		t.Errorf("%d writes of one status", f.writes())
	}
}

// A replica in a manager: lists that change, lose their label or go away, and what is compiled on the way.
func TestReplicasFollowLists(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "p", denyByList)
	r := startReplica(t, cluster.Config, namespace, "a")
	becomes := func(want string) {
		t.Helper()
		eventuallyAnswers(t, within, r.store, onList, want)
	}
	wantStatus := func(status, reason string) {
		t.Helper()
		eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, "p", status, reason) })
	}
	becomes("DENY PolicyNotEnforceable")
	wantStatus("False", "ListNotFound")

	bad := apiserver.List(namespace, "bad", map[string]string{"entries": "listed.example\n"})
	cluster.Keep(t, bad)
	becomes("DENY Denied")
	wantStatus("True", "Accepted")

	bad.Data["entries"] = "elsewhere.example\n"
	cluster.Keep(t, bad)
	becomes("ALLOW Allowed")

	bad.Labels = nil
	cluster.Keep(t, bad)
	becomes("DENY PolicyNotEnforceable")
	wantStatus("False", "ListNotFound")

	bad.Labels = listconfigmap.Labels()
	cluster.Keep(t, bad)
	becomes("ALLOW Allowed")
	wantStatus("True", "Accepted")

	cluster.Drop(t, namespace, "bad")
	becomes("DENY PolicyNotEnforceable")
	wantStatus("False", "ListNotFound")
	r.wantRunning(t)
}

// A replica does not even hold what is no list: of its namespaces it may read every ConfigMap, and asks for those with the label.
func TestOnlyConfigMapsWithTheLabelAreWatched(t *testing.T) {
	namespace := cluster.Namespace(t)
	other := apiserver.List(namespace, "other", map[string]string{"entries": "listed.example\n"})
	other.Labels = map[string]string{listconfigmap.Label: "false"}
	cluster.Keep(t, other, apiserver.List(namespace, "bad", map[string]string{"entries": "listed.example\n"}))
	cluster.Apply(t, namespace, "p", denyByList)
	r := startReplica(t, cluster.Config, namespace, "a")
	eventuallyAnswers(t, within, r.store, onList, "DENY Denied")
	for name, want := range map[string]bool{"bad": true, "other": false, "kube-root-ca.crt": false} {
		if version := r.watches.Version(types.NamespacedName{Namespace: namespace, Name: name}); (version != publish.Version{}) != want {
			t.Errorf("ConfigMap %s is watched: %t", name, !want)
		}
	}
}

func TestAListIsCompiledOncePerContent(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Keep(t,
		apiserver.List(namespace, "one", map[string]string{"entries": "listed.example\n"}),
		apiserver.List(namespace, "same", map[string]string{"entries": "listed.example\n"}),
		apiserver.List(namespace, "unused", map[string]string{"entries": "elsewhere.example\n"}),
	)
	for i := range 5 {
		cluster.Apply(t, namespace, fmt.Sprint("p", i),
			`{allow: {lists: [{configMap: {name: same}}]}, deny: {lists: [{configMap: {name: one}}, {name: again, configMap: {name: one, key: entries}}]}}`)
	}
	f := newRulesFixture(t, cluster.Config, namespace)
	want := func(when string, compilations, lists, entries float64) {
		t.Helper()
		f.reconcile(t)
		got := [3]float64{
			metric(t, f.registry, "registration_policy_list_compilations_total"),
			metric(t, f.registry, "registration_policy_lists"),
			metric(t, f.registry, "registration_policy_list_entries"),
		}
		if got != [3]float64{compilations, lists, entries} {
			t.Errorf("%s: compilations, lists and entries are %v, want %v", when, got, [3]float64{compilations, lists, entries})
		}
	}
	want("at first", 1, 1, 1)
	cluster.Apply(t, namespace, "small", `{allow: {domains: [acme.com]}}`)
	want("after a policy changed", 1, 1, 1)
	touched := apiserver.List(namespace, "one", map[string]string{"entries": "listed.example\n"})
	touched.Annotations = map[string]string{"example.com/note": "touched"}
	cluster.Keep(t, touched)
	want("after a list was written with the same content", 1, 1, 1)
	cluster.Keep(t, apiserver.List(namespace, "one", map[string]string{"entries": "listed.example\nmore.example\n"}))
	want("after a list changed", 2, 2, 3)
	for i := range 5 {
		cluster.Remove(t, namespace, fmt.Sprint("p", i))
	}
	want("after no policy uses any", 2, 0, 0)
}

// What a list was compiled to goes with its last use: neither the rules, nor status, nor a warning keeps it in memory.
func TestAListThatIsNoLongerUsedIsFreed(t *testing.T) {
	namespace := cluster.Namespace(t)
	bad := apiserver.List(namespace, "bad", map[string]string{"entries": manyLines(1000, "listed.example")})
	cluster.Keep(t, bad)
	cluster.Apply(t, namespace, "p", denyByList)
	cluster.Apply(t, namespace, "q", `{allow: {domains: [acme.com]}}`)
	r := startReplica(t, cluster.Config, namespace, "a")
	inUse := func() weak.Pointer[rules.List] {
		t.Helper()
		eventuallyAnswers(t, within, r.store, onList, "DENY Denied")
		eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, "p", "True", "Accepted") })
		built, ok := r.rules.Built(r.watches.Policy(types.NamespacedName{Namespace: namespace, Name: "p"}))
		if !ok {
			t.Fatal("not built")
		}
		return weak.Make(built.Written.Deny.Lists[0].List)
	}
	freed := func(old weak.Pointer[rules.List]) {
		t.Helper()
		eventually(t, within, func() string {
			if runtime.GC(); old.Value() != nil {
				return "it is still in memory"
			}
			return ""
		})
	}
	old := inUse()
	bad.Data["entries"] += "more.example\n"
	cluster.Keep(t, bad)
	eventuallyAnswers(t, within, r.store, "jo@more.example", "DENY Denied")
	freed(old)
	old = inUse()
	cluster.Remove(t, namespace, "p")
	freed(old)
}

// A list of the size that public ones have is loaded and replaced while calls are decided: each by the one version or the other.
func TestABigListIsReplacedUnderLoad(t *testing.T) {
	const entries = 200_000
	namespace := cluster.Namespace(t)
	write := func(text string) {
		t.Helper()
		objects, err := listconfigmap.Write("bad", namespace, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		cluster.Keep(t, objects...)
	}
	write(manyLines(entries, "listed.example"))
	cluster.Apply(t, namespace, "p", denyByList)
	r := startReplica(t, cluster.Config, namespace, "a")
	eventuallyAnswers(t, within, r.store, onList, "DENY Denied")
	wantAnswer(t, r.store, "jo@filler199999.example", "DENY Denied")

	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 2 {
		callers.Go(func() {
			for ctx.Err() == nil {
				if got := answer(r.store, offList); got != "ALLOW Allowed" {
					t.Errorf("an address on neither version: %s", got)
					return
				}
				if got := answer(r.store, "jo@filler7.example"); got != "DENY Denied" {
					t.Errorf("an address on both versions: %s", got)
					return
				}
				if got := answer(r.store, onList); !slices.Contains([]string{"ALLOW Allowed", "DENY Denied"}, got) {
					t.Errorf("an address on one version: %s", got)
					return
				}
			}
		})
	}
	write(manyLines(entries, "listed2.example"))
	eventuallyAnswers(t, within, r.store, "jo@listed2.example", "DENY Denied")
	eventuallyAnswers(t, within, r.store, onList, "ALLOW Allowed")
	stop()
	callers.Wait()
	if got := metric(t, prometheus.Gatherers{r.registry}, "registration_policy_list_entries"); got != entries+1 {
		t.Errorf("%v entries in use", got)
	}

	// What one small policy costs beside it: no list is compiled.
	compiled := metric(t, r.registry, "registration_policy_list_compilations_total")
	cluster.Apply(t, namespace, "small", `{deny: {domains: [small.example]}}`)
	eventuallyAnswers(t, within, r.store, "jo@small.example", "DENY Denied")
	if got := metric(t, r.registry, "registration_policy_list_compilations_total"); got != compiled {
		t.Errorf("%v lists compiled for a policy without one", got-compiled)
	}
}
