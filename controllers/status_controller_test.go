package controllers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/listconfigmap"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/apiserver"
)

// lookup is where a test says what is stored, and which builds it at once, as the rules reconciler does.
type lookup struct {
	get   func(key client.ObjectKey) *unstructured.Unstructured
	list  func() []*unstructured.Unstructured
	build func(object *unstructured.Unstructured) *publish.Policy
}

func (l *lookup) Policy(name types.NamespacedName) *unstructured.Unstructured { return l.get(name) }
func (l *lookup) AllPolicies() []*unstructured.Unstructured                   { return l.list() }
func (l *lookup) OnBuilt(func([]types.NamespacedName))                        {}

func (l *lookup) OnPolicies(toolscache.ResourceEventHandler) (func() error, error) {
	return func() error { return nil }, nil
}

func (l *lookup) Built(object *unstructured.Unstructured) (*publish.Policy, bool) {
	return l.build(object), true
}

// statusFixture is a status controller without a manager.
type statusFixture struct {
	cluster    *apiserver.Cluster
	reconciler *StatusReconciler
	live       *lookup
	recorded   *wire
	recorder   *events.FakeRecorder
	log        *transcript
}

func newStatusFixture(t *testing.T, c *apiserver.Cluster, observing bool) *statusFixture {
	t.Helper()
	recorded, config := onTheWire(c.Config, nil)
	const roomForEvents = 100
	f := &statusFixture{cluster: c, recorded: recorded, recorder: events.NewFakeRecorder(roomForEvents), log: &transcript{}}
	// What is in the cluster at the moment: a cache that is never behind.
	// A test has a namespace of its own: that of the policy last asked for.
	direct := apiserver.DirectClient(t, config)
	var namespace string
	lists := publish.NewLists(nil)
	f.live = &lookup{
		get: func(key client.ObjectKey) *unstructured.Unstructured {
			namespace = key.Namespace
			object := policyobject.New()
			if err := c.Kube.Get(t.Context(), key, object); err != nil {
				return nil
			}
			return object
		},
		list: func() []*unstructured.Unstructured {
			list := newPolicyList()
			if err := c.Kube.List(t.Context(), list, client.InNamespace(namespace)); err != nil {
				t.Error(err)
			}
			var objects []*unstructured.Unstructured
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
			return objects
		},
		build: func(object *unstructured.Unstructured) *publish.Policy {
			converted := f.reconciler.schema.Convert(t.Context(), object)
			resolved, err := lists.Resolve(t.Context(), object.GetName(), liveMaps{direct}, nil, []rules.Policy{converted})
			if err != nil {
				t.Error(err)
			}
			return publish.New(publish.Options{Bound: f.reconciler.scopes.Bound, Logger: loggerTo(f.log)}).Compile(resolved[0])
		},
	}
	var err error
	f.reconciler, err = NewStatusReconciler(StatusOptions{
		Stored: f.live, Built: f.live, Client: direct, Recorder: f.recorder, Observing: observing, Logger: loggerTo(f.log),
		Fleet: &fleet.Observer{
			Reader: direct, Namespace: "default", LeaseName: "nobody",
			Metrics: fleet.NewMetrics(prometheus.NewRegistry()), Logger: loggerTo(f.log),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// liveMaps are the ConfigMaps of a cluster at the moment.
type liveMaps struct{ reader client.Reader }

func (m liveMaps) Get(ctx context.Context, name types.NamespacedName, _ publish.Version) (*corev1.ConfigMap, error) {
	object := &corev1.ConfigMap{}
	if err := m.reader.Get(ctx, name, object); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	return object, nil
}

func (m liveMaps) Version(name types.NamespacedName) publish.Version {
	object, err := m.Get(context.Background(), name, publish.Version{})
	if err != nil || object == nil || !listconfigmap.IsList(object) {
		return publish.Version{}
	}
	return publish.Version{UID: object.UID, ResourceVersion: object.ResourceVersion}
}

// A leader that stops has many statuses in its queue: none of them is an error.
func TestTheEndOfATermIsNoError(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	over, end := context.WithCancel(t.Context())
	end()
	if result, err := f.reconciler.Reconcile(over, requestFor(namespace, "acme")); err != nil || result != (ctrl.Result{}) {
		t.Errorf("%+v, %v", result, err)
	}
	f.reconcile(t, namespace, "acme")
	if got := cluster.Stored(t, namespace, "acme"); got.Object["status"] == nil {
		t.Error("a later call writes no status")
	}
}

func (f *statusFixture) reconcile(t *testing.T, namespace, name string) {
	t.Helper()
	if result, err := f.reconciler.Reconcile(t.Context(), requestFor(namespace, name)); err != nil || result != (ctrl.Result{}) {
		t.Fatalf("reconcile: %v, %v", result, err)
	}
}

func (f *statusFixture) writes() int { return len(f.recorded.to(http.MethodPatch, "/status")) }

// announced returns the Events since the last call.
func (f *statusFixture) announced() []string {
	var all []string
	for {
		select {
		case event := <-f.recorder.Events:
			all = append(all, event)
		default:
			return all
		}
	}
}

func requestFor(namespace, name string) ctrl.Request {
	return ctrl.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}
}

// statusOf returns the status of a stored policy, and its one condition.
func statusOf(
	t *testing.T, c *apiserver.Cluster, namespace, name string,
) (status v1alpha1.RegistrationPolicyStatus, accepted condition) {
	t.Helper()
	stored, _, err := unstructured.NestedMap(c.Stored(t, namespace, name).Object, "status") // the spec may be anything
	if err != nil {
		t.Fatal(err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(stored, &status); err != nil {
		t.Fatal(err)
	}
	for _, found := range status.Conditions {
		if found.Type == string(v1alpha1.ConditionAccepted) {
			accepted = condition{string(found.Status), found.Reason, found.Message}
		}
	}
	return status, accepted
}

type condition struct{ status, reason, message string }

// lacksCondition says what is different from the condition that a policy should have.
func lacksCondition(t *testing.T, c *apiserver.Cluster, namespace, name, status, reason string) string {
	t.Helper()
	_, got := statusOf(t, c, namespace, name)
	if got.status != status || got.reason != reason {
		return fmt.Sprintf("Accepted is %s/%s (%s), want %s/%s", got.status, got.reason, got.message, status, reason)
	}
	return ""
}

func TestStatusSaysWhatBecameOfAPolicy(t *testing.T) {
	cases := map[string]struct {
		spec      string
		observing bool
		want      condition
		fixed     string
		event     string
	}{
		"all of it is in force": {
			spec:  `{allow: {domains: [acme.com], addresses: ["{local}@beta.example"]}}`,
			want:  condition{"True", "Accepted", "All of the spec is in force."},
			event: "Normal Accepted All of the spec is in force.",
		},
		"Audit decides nothing": {
			spec: `{mode: Audit, deny: {domains: [acme.com]}}`,
			want: condition{"True", "Accepted",
				"All of the spec is evaluated. In mode Audit it decides nothing: logs and metrics say what it would change."},
			event: "Normal Accepted All of the spec is evaluated. In mode Audit",
		},
		"an operator that observes enforces nothing": {
			spec: `{deny: {domains: [acme.com]}}`, observing: true,
			want: condition{"True", "Accepted",
				"All of the spec is evaluated, and nothing enforced: the operator runs with --observe and allows every call."},
			event: "Normal Accepted All of the spec is evaluated, and nothing enforced",
		},
		"a public suffix is named by path, with its fix": {
			spec:  `{allow: {domains: [acme.com, co.uk]}}`,
			want:  condition{"False", "InvalidEntry", "spec.allow.domains[1]: "},
			fixed: "spec.allow.publicSuffixes",
			event: "Warning InvalidEntry Not in force: spec.allow.domains[1]: ",
		},
		"an address that is none is named by path, and its local part by nobody": {
			spec:  `{allow: {addresses: ["{local}@xn--zzzzzzzzz.example", "{local}@acme.com"]}}`,
			want:  condition{"False", "InvalidEntry", "spec.allow.addresses[0]: "},
			fixed: "must be the exact A-label",
			event: "Warning InvalidEntry Not in force: spec.allow.addresses[0]: ",
		},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			f := newStatusFixture(t, cluster, c.observing)
			cluster.Apply(t, namespace, "policy", c.spec)

			_, pending := statusOf(t, cluster, namespace, "policy")
			if pending.status != "Unknown" || pending.reason != "Pending" ||
				!strings.Contains(pending.message, "--watch-namespaces") {
				t.Errorf("before any operator has looked: %+v", pending)
			}
			f.reconcile(t, namespace, "policy")
			_, got := statusOf(t, cluster, namespace, "policy")
			if got.status != c.want.status || got.reason != c.want.reason || !strings.Contains(got.message, c.want.message) {
				t.Errorf("condition %+v, want %+v", got, c.want)
			}
			if c.fixed != "" && !strings.Contains(got.message, c.fixed) {
				t.Errorf("the message %q does not say what to write: %q", got.message, c.fixed)
			}
			announced := f.announced()
			if len(announced) != 1 || !strings.HasPrefix(announced[0], c.event) {
				t.Errorf("Events %q, want one that begins with %q", announced, c.event)
			}
			for _, text := range append(announced, got.message, f.log.String()) {
				if mark := holdsLocalPart(text); mark != "" {
					t.Errorf("%q holds the local part", text)
				}
			}
		})
	}
}

// `regpol lists sync` goes by it, whose account may read nothing but the namespace.
func TestStatusTellsTheMemoryLimitOfTheNamespace(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "policy", "{allow: {domains: [acme.com]}}")
	for _, limit := range []int64{0, 32 << 20, 16 << 20, 0} {
		f.reconciler.limits = budget.Limits{namespace: limit, "another": 1 << 20}
		f.reconcile(t, namespace, "policy")
		f.reconcile(t, namespace, "policy")
		if status, _ := statusOf(t, cluster, namespace, "policy"); status.NamespaceMemoryLimitBytes != limit {
			t.Errorf("the status says %d, want %d", status.NamespaceMemoryLimitBytes, limit)
		}
	}
	if writes := f.writes(); writes != 4 {
		t.Errorf("%d writes", writes)
	}
}

// priorities notes with which priority policies are put into a queue.
type priorities struct {
	priorityqueue.PriorityQueue[ctrl.Request]
	noted map[int]int
}

func (p *priorities) AddWithOpts(options priorityqueue.AddOpts, requests ...ctrl.Request) {
	priority := 0
	if options.Priority != nil {
		priority = *options.Priority
	}
	p.noted[priority] += len(requests)
}

// In a namespace over its budget, each further policy changes the status of all policies.
func TestPoliciesOfAWholeNamespaceWaitForWhatWasJustEdited(t *testing.T) {
	t.Parallel()
	for count, want := range map[int]map[int]int{
		1: {0: 1}, maxEdited: {0: maxEdited}, 300: {bulkPriority: 300},
	} {
		queue := &priorities{noted: map[int]int{}}
		reconciler := &StatusReconciler{queue: queue}
		reconciler.onBuilt(make([]types.NamespacedName, count))
		if diff := cmp.Diff(want, queue.noted); diff != "" {
			t.Errorf("%d policies at once (-want +got):\n%s", count, diff)
		}
	}
}

func TestStatusIsWrittenOnlyWhereItChanges(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	f.reconcile(t, namespace, "acme")
	before := cluster.Stored(t, namespace, "acme")

	f.reconcile(t, namespace, "acme")
	after := cluster.Stored(t, namespace, "acme")
	if after.GetResourceVersion() != before.GetResourceVersion() || f.writes() != 1 {
		t.Errorf("the second time: resourceVersion %s → %s, %d writes; want the same, and 1",
			before.GetResourceVersion(), after.GetResourceVersion(), f.writes())
	}
	if announced := f.announced(); len(announced) != 1 {
		t.Errorf("Events %q, want one", announced)
	}

	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	f.reconcile(t, namespace, "acme")
	status, _ := statusOf(t, cluster, namespace, "acme")
	if status.ObservedGeneration != 2 || status.Conditions[0].ObservedGeneration != 2 || f.writes() != 2 {
		t.Errorf("after an edit: observedGeneration %d, in the condition %d, %d writes; want 2 of each",
			status.ObservedGeneration, status.Conditions[0].ObservedGeneration, f.writes())
	}
	if announced := f.announced(); len(announced) != 0 {
		t.Errorf("Events %q for a condition that says the same as before", announced)
	}
	transition := status.Conditions[0].LastTransitionTime
	was, err := storedTransition(before)
	if err != nil || transition.UTC().Format(timeLayout) != was {
		t.Errorf("the transition time went from %s to %s (%v) without a transition", was, transition, err)
	}

	cluster.Apply(t, namespace, "acme", `{allow: {domains: [co.uk]}}`)
	f.reconcile(t, namespace, "acme")
	if announced := f.announced(); len(announced) != 1 || !strings.HasPrefix(announced[0], "Warning InvalidEntry") {
		t.Errorf("Events %q, want the new reason", announced)
	}
}

const timeLayout = "2006-01-02T15:04:05Z"

func storedTransition(object *unstructured.Unstructured) (string, error) {
	conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
	if err != nil || len(conditions) != 2 {
		return "", fmt.Errorf("%d conditions: %w", len(conditions), err)
	}
	transition, _, err := unstructured.NestedString(conditions[0].(map[string]any), "lastTransitionTime")
	return transition, err
}

func TestConditionsOfOthersStayAndCauseNoWrites(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	other := cluster.Stored(t, namespace, "acme")
	conditions, _, err := unstructured.NestedSlice(other.Object, "status", "conditions")
	if err != nil {
		t.Fatal(err)
	}
	conditions = append(conditions, map[string]any{
		"type": "Reviewed", "status": "True", "reason": "ByAnn", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z",
	})
	if err := unstructured.SetNestedSlice(other.Object, conditions, "status", "conditions"); err != nil {
		t.Fatal(err)
	}
	if err := cluster.Kube.Status().Update(t.Context(), other); err != nil {
		t.Fatal(err)
	}
	f.reconcile(t, namespace, "acme")
	f.reconcile(t, namespace, "acme")
	if f.writes() != 1 {
		t.Errorf("%d writes, want 1", f.writes())
	}
	status, _ := statusOf(t, cluster, namespace, "acme")
	var types []string
	for _, condition := range status.Conditions {
		types = append(types, condition.Type+"="+string(condition.Status))
	}
	slices.Sort(types)
	if diff := cmp.Diff([]string{"Accepted=True", "Ready=False", "Reviewed=True"}, types); diff != "" {
		t.Errorf("conditions (-want +got):\n%s", diff)
	}
}

func TestAStaleLeaderDoesNotOverwrite(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	old := cluster.Stored(t, namespace, "acme")
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [co.uk]}}`)
	f.reconcile(t, namespace, "acme") // by its successor
	before := cluster.Stored(t, namespace, "acme")

	stale := newStatusFixture(t, cluster, false)
	stale.live.get = func(client.ObjectKey) *unstructured.Unstructured { return old }
	stale.live.list = func() []*unstructured.Unstructured { return []*unstructured.Unstructured{old} }
	result, err := stale.reconciler.Reconcile(t.Context(), requestFor(namespace, "acme"))
	if err != nil || result.RequeueAfter == 0 {
		t.Errorf("a conflict: %v, %v; want another try without an error", result, err)
	}
	if stale.writes() != 1 {
		t.Errorf("%d writes tried, want 1", stale.writes())
	}
	if diff := cmp.Diff(before.Object, cluster.Stored(t, namespace, "acme").Object); diff != "" {
		t.Errorf("the stale leader changed (-want +got):\n%s", diff)
	}
	if announced := stale.announced(); len(announced) != 0 {
		t.Errorf("the stale leader announced %q", announced)
	}

	cluster.Remove(t, namespace, "acme")
	result, err = stale.reconciler.Reconcile(t.Context(), requestFor(namespace, "acme"))
	if err != nil || result != (ctrl.Result{}) {
		t.Errorf("a policy that is gone: %v, %v; want nothing to do", result, err)
	}
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	if _, err := stale.reconciler.Reconcile(t.Context(), requestFor(namespace, "acme")); err != nil {
		t.Error(err)
	}
	if problem := lacksCondition(t, cluster, namespace, "acme", "Unknown", "Pending"); problem != "" {
		t.Errorf("a new policy of the same name: %s", problem)
	}
}

func TestAWriteThatFailsIsAnErrorWithoutValues(t *testing.T) {
	namespace := cluster.Namespace(t)
	cut, config := startProxy(t, cluster.Config)
	f := newStatusFixture(t, &apiserver.Cluster{Config: config, Kube: cluster.Kube}, false)
	cluster.Apply(t, namespace, "acme", `{allow: {addresses: ["{local}@acme.com"]}}`)
	cut.Cut()
	_, err := f.reconciler.Reconcile(t.Context(), requestFor(namespace, "acme"))
	if err == nil {
		t.Fatal("no error")
	}
	if mark := holdsLocalPart(err.Error()); mark != "" {
		t.Errorf("the error %q holds the local part", err)
	}
	if announced := f.announced(); len(announced) != 0 {
		t.Errorf("announced what was not written: %q", announced)
	}
}

func TestADeletionThatOpensSomethingIsAnnounced(t *testing.T) {
	cases := map[string]struct {
		spec string
		want bool
	}{
		"a policy that denied a domain": {`{deny: {domains: [acme.com]}}`, true},
		"a policy that denied an address": {
			`{allow: {domains: [acme.com]}, deny: {addresses: ["{local}@acme.com"]}}`, true},
		"a policy that only allowed":               {`{allow: {domains: [acme.com]}}`, false},
		"a policy in Audit, which decided nothing": {`{mode: Audit, deny: {domains: [acme.com]}}`, false},
		"one that was not understood denied all":   {`{allow: {domains: [acme.com]}, newer: true}`, true},
	}
	for sentence, c := range cases {
		t.Run(sentence, func(t *testing.T) {
			f := newStatusFixture(t, cluster, false)
			f.reconciler.recordDeletion(policyObject(t, "default", "gone", c.spec))
			announced := f.announced()
			got := len(announced) == 1 && strings.HasPrefix(announced[0], "Warning DenyRemoved ")
			if got != c.want || len(announced) > 1 {
				t.Errorf("Events %q, want DenyRemoved: %t", announced, c.want)
			}
		})
	}
}

// The whole way: manager, election, informer, and Events in the API server.
func TestTheLeaderWritesStatusAndEvents(t *testing.T) {
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "opens", `{deny: {domains: [acme.com]}}`)
	cluster.Apply(t, namespace, "quiet", `{allow: {addresses: ["{local}@beta.example"]}}`)
	cluster.Apply(t, namespace, "wrong", `{allow: {domains: [co.uk], addresses: ["{local}@xn--zzzzzzzzz.example"]}}`)
	recorded, config := onTheWire(cluster.Config, nil)
	r := startReplica(t, config, namespace, "alone")
	for name, want := range map[string]condition{
		"opens": {status: "True", reason: "Accepted"},
		"quiet": {status: "True", reason: "Accepted"},
		"wrong": {status: "False", reason: "InvalidEntry"},
	} {
		eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, name, want.status, want.reason) })
	}
	if leader := metric(t, r.registry, "registration_policy_leader"); leader != 1 {
		t.Errorf("the leader's gauge is %v, want 1", leader)
	}
	cluster.Remove(t, namespace, "quiet")
	cluster.Remove(t, namespace, "opens")
	want := []string{
		"opens Normal Accepted Accept", "opens Warning DenyRemoved Delete",
		"quiet Normal Accepted Accept", "wrong Warning InvalidEntry Accept",
	}
	eventually(t, within, func() string { return cmp.Diff(want, eventsIn(t, namespace)) })
	// Once when they are accepted, and once when the replicas are known that decide by them.
	written := slices.DeleteFunc(recorded.to(http.MethodPatch, "/status"), func(c call) bool { return c.status != http.StatusOK })
	if n := len(written); n < 3 || n > 2*3 {
		t.Errorf("%d writes of status for 3 policies", n)
	}
	r.stop()
	if leader := metric(t, r.registry, "registration_policy_leader"); leader != 0 {
		t.Errorf("the leader's gauge is %v after the end, want 0", leader)
	}
}

// eventsIn returns the Events about policies in a namespace, as "name type reason action", sorted.
func eventsIn(t *testing.T, namespace string) []string {
	t.Helper()
	var list eventsv1.EventList
	if err := cluster.Kube.List(t.Context(), &list, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, event := range list.Items {
		if event.Regarding.Kind == policyobject.Kind {
			all = append(all, strings.Join([]string{event.Regarding.Name, event.Type, event.Reason, event.Action}, " "))
		}
	}
	slices.Sort(all)
	return all
}
