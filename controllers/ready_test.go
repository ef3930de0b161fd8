package controllers

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/replica"
	"registrationpolicy.dev/operator/test/apiserver"
)

// readyOf returns the condition Ready of a policy, of the generation that it has now, with the replicas that it counts: "True InForce 2/2".
func readyOf(t *testing.T, c *apiserver.Cluster, namespace, name string) (said string, status v1alpha1.RegistrationPolicyStatus) {
	t.Helper()
	status, _ = statusOf(t, c, namespace, name)
	ready := meta.FindStatusCondition(status.Conditions, string(v1alpha1.ConditionReady))
	switch {
	case ready == nil:
		return "no condition", status
	case ready.ObservedGeneration != c.Stored(t, namespace, name).GetGeneration():
		return "of an earlier generation", status
	}
	summary := ""
	if status.Replicas != nil {
		summary = status.Replicas.Summary
	}
	return strings.TrimSpace(fmt.Sprintf("%s %s %s", ready.Status, ready.Reason, summary)), status
}

func eventuallyReady(t *testing.T, c *apiserver.Cluster, namespace, name, want string) v1alpha1.RegistrationPolicyStatus {
	t.Helper()
	var status v1alpha1.RegistrationPolicyStatus
	eventually(t, 2*within, func() string {
		var got string
		if got, status = readyOf(t, c, namespace, name); got != want {
			return fmt.Sprintf("Ready of %s is %q, want %q", name, got, want)
		}
		return ""
	})
	return status
}

func TestReadyMeansThatEveryReplicaDecidesByTheGeneration(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	first := startReplica(t, cluster.Config, namespace, "first")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	second := startReplica(t, cluster.Config, namespace, "second")
	eventuallyServes(t, second)
	for i := range 5 {
		domain := fmt.Sprintf("partner-%d.example", i)
		cluster.Apply(t, namespace, "acme", `{allow: {domains: [`+domain+`]}}`)
		eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")
		for _, r := range []*testReplica{first, second} {
			wantAnswer(t, r.store, localPart+"@"+domain, "ALLOW Allowed")
		}
	}
	status := eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")
	if *status.Entries.Allowed != 1 || *status.Entries.Denied != 0 {
		t.Errorf("entries: %d allowed and %d denied, want 1 and 0", *status.Entries.Allowed, *status.Entries.Denied)
	}
	// What is not accepted is on its way, too: what can be in force of it.
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}, deny: {lists: [{configMap: {name: missing}}]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "False NotAccepted 2/2")
	cluster.Apply(t, namespace, "acme", `{mode: Audit, allow: {domains: [acme.com]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "True Evaluated 2/2")
	second.stop()
	cluster.Apply(t, namespace, "acme", `{mode: Audit, allow: {domains: [beta.example]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "True Evaluated 1/1")
}

func TestReadyIsUnknownWhileAReplicaThatMayBeAskedIsSilent(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Endpoints(t, namespace, "hook", apiserver.Endpoint{Name: "first", Serving: new(true)}, apiserver.Endpoint{Name: "second", Serving: new(true)})
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	startReplicaAs(t, cluster.Config, namespace, "first", setup{service: "hook"})
	eventuallyReady(t, cluster, namespace, "acme", "Unknown ReplicaSilent 1/2")
	cut, config := startProxy(t, cluster.Config)
	second := startReplicaAs(t, config, namespace, "second", setup{service: "hook"})
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")

	cut.Cut()
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "False RollingOut 1/2")
	status := eventuallyReady(t, cluster, namespace, "acme", "Unknown ReplicaSilent 1/2")
	if waiting := status.Replicas.Waiting; len(waiting) != 1 || waiting[0].Name != "second" || waiting[0].Reason != v1alpha1.WaitingSilent {
		t.Errorf("waiting for %+v, want the second, which is silent", waiting)
	}
	// It may be asked no longer.
	cluster.Endpoints(t, namespace, "hook", apiserver.Endpoint{Name: "first", Serving: new(true)}, apiserver.Endpoint{Name: "second", Serving: new(false)})
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	// It comes back.
	fixed := float64(time.Now().Unix())
	cut.Restore()
	eventuallyAnswers(t, withinABackoff, second.store, localPart+"@beta.example", "ALLOW Allowed")
	eventually(t, withinABackoff, func() string {
		if metric(t, second.registry, "registration_policy_replica_reported_timestamp_seconds") <= fixed {
			return "it does not report again"
		}
		return ""
	})
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [gamma.example]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")
}

// eventuallyServes waits until a replica has joined the others.
func eventuallyServes(t *testing.T, r *testReplica) {
	t.Helper()
	eventually(t, 2*within, func() string {
		if !r.report.Serving(true, false) {
			return r.identity + " does not serve"
		}
		return ""
	})
}

// watchReady records the conditions Ready of a policy from now on, as a watch brings them.
func watchReady(t *testing.T, namespace, name string) (said func() []string) {
	t.Helper()
	var mu sync.Mutex
	var all []string
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	watching, err := newWatchingClient(t).Watch(ctx, newPolicyList(), client.InNamespace(namespace))
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for event := range watching.ResultChan() {
			object, ok := event.Object.(*unstructured.Unstructured)
			if !ok || object.GetName() != name {
				continue
			}
			conditions, _, _ := unstructured.NestedSlice(object.Object, "status", "conditions")
			for _, condition := range conditions {
				if c, ok := condition.(map[string]any); ok && c["type"] == "Ready" && c["observedGeneration"] == object.GetGeneration() {
					mu.Lock()
					if text := fmt.Sprint(c["status"], " ", c["reason"]); len(all) == 0 || all[len(all)-1] != text {
						all = append(all, text)
					}
					mu.Unlock()
				}
			}
		}
	}()
	return func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(all)
	}
}

func newWatchingClient(t *testing.T) client.WithWatch {
	t.Helper()
	scheme, err := apiserver.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	watching, err := client.NewWithWatch(cluster.Config, client.Options{Scheme: scheme, Mapper: policyobject.Mapper()})
	if err != nil {
		t.Fatal(err)
	}
	return watching
}

func TestReadyStaysTrueWhateverElseComesAndGoes(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "steady", `{allow: {domains: [acme.com]}}`)
	first := startReplica(t, cluster.Config, namespace, "first")
	eventuallyReady(t, cluster, namespace, "steady", "True InForce 1/1")
	said := watchReady(t, namespace, "steady")
	before := cluster.Stored(t, namespace, "steady").GetResourceVersion()

	second := startReplica(t, cluster.Config, namespace, "second") // a replica comes
	eventuallyServes(t, second)
	for i := range 30 { // other policies change all the time
		cluster.Apply(t, namespace, "busy", fmt.Sprintf(`{allow: {domains: [busy-%d.example]}}`, i))
		time.Sleep(50 * time.Millisecond)
	}
	eventuallyReady(t, cluster, namespace, "busy", "True InForce 2/2")
	first.stop() // the leader goes
	cluster.Apply(t, namespace, "busy", `{allow: {domains: [busy.example]}}`)
	eventuallyReady(t, cluster, namespace, "busy", "True InForce 1/1")
	third := startReplica(t, cluster.Config, namespace, "third")
	eventuallyServes(t, third)
	second.stop()
	cluster.Apply(t, namespace, "busy", `{allow: {domains: [busy-again.example]}}`)
	eventuallyReady(t, cluster, namespace, "busy", "True InForce 1/1")
	if version := cluster.Stored(t, namespace, "steady").GetResourceVersion(); version != before {
		t.Errorf("resourceVersion %s → %s: its status was written, although its Ready stays as it is", before, version)
	}
	third.wantRunning(t)
	if got := said(); len(got) != 1 || got[0] != "True InForce" {
		t.Errorf("Ready said %q, want nothing but True", got)
	}
}

// Were readiness an equality of digests, a policy would wait for the others to stand still.
func TestReadyComesWhileOtherPoliciesChangeAllTheTime(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	startReplica(t, cluster.Config, namespace, "first")
	startReplica(t, cluster.Config, namespace, "second")
	ctx, cancel := context.WithCancel(t.Context())
	var changing sync.WaitGroup
	changing.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			cluster.Apply(t, namespace, "busy", fmt.Sprintf(`{allow: {domains: [busy-%d.example]}}`, i))
			time.Sleep(100 * time.Millisecond)
		}
	})
	for i := range 5 {
		cluster.Apply(t, namespace, "acme", fmt.Sprintf(`{allow: {domains: [acme-%d.example]}}`, i))
		eventuallyReady(t, cluster, namespace, "acme", "True InForce 2/2")
	}
	cancel()
	changing.Wait()
}

// The watches of lists and of other namespaces are quiet: only their next bookmark, up to a minute later, would show that they are
// as new as the change.
func TestReadyDoesNotWaitForWatchesByWhichNothingComes(t *testing.T) {
	t.Parallel()
	namespace, quiet := cluster.Namespace(t), cluster.Namespace(t)
	const minute = time.Minute // between two bookmarks
	began := time.Now()
	changes := 0
	startReplicaAs(t, cluster.Config, namespace, "first", setup{watched: []string{quiet}})
	for ; time.Since(began) < minute/2; changes++ {
		cluster.Apply(t, namespace, "acme", fmt.Sprintf(`{allow: {domains: [acme-%d.example]}}`, changes))
		eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	}
	if changes < 3 {
		t.Errorf("%d changes came into force in half a minute: they waited for bookmarks", changes)
	}
}

func TestASteadyFleetWritesNoMoreThanItsRenewals(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	recorded, config := onTheWire(cluster.Config, nil)
	startReplica(t, config, namespace, "first")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	time.Sleep(replica.ReportInterval)
	count := func() (reports, status int) {
		return len(recorded.to(http.MethodPut, "/leases/"+leaseName+".first")), len(recorded.to(http.MethodPatch, "/status"))
	}
	reportsBefore, statusBefore := count()
	const intervals = 8 // longer than it takes for a bookmark of each watch to come
	time.Sleep(intervals * replica.ReportInterval)
	reports, status := count()
	if n := reports - reportsBefore; n > intervals+1 {
		t.Errorf("%d reports in %d intervals, want one in each", n, intervals)
	}
	if n := status - statusBefore; n != 0 {
		t.Errorf("%d writes of status while nothing changed", n)
	}
}

// A status outlives the operator. What it said of Ready is taken back by the last replica that could say otherwise.
func TestTheLastReplicaThatStopsTakesReadyBack(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cluster.Apply(t, namespace, "broken", `{allow: {domains: [co.uk]}}`)
	first := startReplica(t, cluster.Config, namespace, "first")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
	second := startReplica(t, cluster.Config, namespace, "second")
	eventuallyServes(t, second)
	drain := func(r *testReplica) {
		t.Helper()
		r.report.Drain()
		eventually(t, within, func() string { // as the drain delay gives it the time to
			lease := &coordinationv1.Lease{}
			key := types.NamespacedName{Namespace: namespace, Name: leaseName + "." + r.identity}
			if err := cluster.Kube.Get(t.Context(), key, lease); err != nil {
				return err.Error()
			}
			if !strings.Contains(fmt.Sprint(lease.Annotations), `"stopping":true`) {
				return "it does not report that it stops"
			}
			return ""
		})
	}
	drain(first)
	first.stop()
	if got, _ := readyOf(t, cluster, namespace, "acme"); got != "True InForce 1/1" {
		t.Errorf("the leader stopped, and another replica serves: %q, want no change", got)
	}
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1") // of the second, which leads now
	third := startReplica(t, cluster.Config, namespace, "third")
	eventuallyServes(t, third)
	drain(third) // all go at once
	drain(second)
	second.stop()
	if got, _ := readyOf(t, cluster, namespace, "acme"); got != "False NoReplica 0/0" {
		t.Errorf("after the last leader has stopped: %q", got)
	}
	if got, _ := readyOf(t, cluster, namespace, "broken"); got != "False NotAccepted 1/1" && got != "False NotAccepted 0/0" {
		t.Errorf("what was not Ready anyway: %q", got)
	}
	third.stop()
	startReplica(t, cluster.Config, namespace, "fourth")
	eventuallyReady(t, cluster, namespace, "acme", "True InForce 1/1")
}

func TestADeletedPolicyLeavesTheGauges(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cluster.Apply(t, namespace, "broken", `{allow: {domains: [co.uk]}}`)
	r := startReplica(t, cluster.Config, namespace, "first")
	counts := func() string {
		return fmt.Sprint(metric(t, r.registry, "registration_policy_policies", `ready="true"`),
			metric(t, r.registry, "registration_policy_policies", `ready="false"`))
	}
	want := func(want string) {
		t.Helper()
		eventually(t, within, func() string {
			if got := counts(); got != want {
				return "policies that are ready, and that are not: " + got + ", want " + want
			}
			return ""
		})
	}
	want("1 1")
	cluster.Remove(t, namespace, "broken")
	want("1 0")
	cluster.Remove(t, namespace, "acme")
	want("0 0")
}

// A backup is restored with its status, where it is restored as a whole. What another cluster's operator said is not true here.
func TestAStatusThatWasRestoredIntoAnotherClusterIsNotBelieved(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newStatusFixture(t, cluster, false)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	object := cluster.Stored(t, namespace, "acme")
	for _, uid := range []string{"of-another-cluster", string(object.GetUID())} {
		status := map[string]any{
			"observedGeneration": int64(1),
			"conditions": []any{map[string]any{
				"type": "Ready", "status": "True", "reason": "InForce", "message": "", "observedGeneration": int64(1),
				"lastTransitionTime": "2026-01-01T00:00:00Z",
			}},
			"replicas": map[string]any{"summary": "3/3", "serving": int64(3), "inForce": int64(3), "firstSeenResourceVersion": "1", "uid": uid},
		}
		object = cluster.Stored(t, namespace, "acme")
		object.Object["status"] = status
		if err := cluster.Kube.Status().Update(t.Context(), object); err != nil {
			t.Fatal(err)
		}
		f.reconciler.rollout = fleet.NewRollout(f.reconciler.fleet) // the next leader
		f.reconcile(t, namespace, "acme")
		want := "False RollingOut"
		if uid == string(object.GetUID()) {
			want = "True InForce 3/3"
		}
		if got, _ := readyOf(t, cluster, namespace, "acme"); !strings.HasPrefix(got, want) {
			t.Errorf("with the uid %s: %q, want %q", uid, got, want)
		}
	}
}

// What is applied at once must not become a storm of writes and Events, and what is then edited must not wait behind it.
func TestManyPoliciesThatAreAppliedAtOnceMakeTwoWritesEachAndFewEvents(t *testing.T) {
	t.Parallel()
	const policies = 300
	namespace := cluster.Namespace(t)
	recorded, config := onTheWire(cluster.Config, nil)
	first := startReplica(t, config, namespace, "first")
	eventuallyServes(t, first)
	began := time.Now()
	for i := range policies {
		cluster.Apply(t, namespace, fmt.Sprint("p", i), fmt.Sprintf(`{allow: {domains: [d%d.test]}}`, i))
	}
	applied := time.Since(began)
	ready := func() string {
		if n := metric(t, first.registry, "registration_policy_policies", `ready="true"`); n != policies {
			return fmt.Sprint(n, " policies are ready")
		}
		return ""
	}
	eventually(t, withinABackoff, ready)
	t.Logf("%d policies were applied in %s, and ready %s after", policies, applied, time.Since(began)-applied)
	writes := map[string]int{}
	for _, c := range recorded.to(http.MethodPatch, "/status") {
		if c.status == http.StatusOK {
			writes[c.path]++
		}
	}
	for path, n := range writes {
		if n > 2 {
			t.Errorf("%d writes of %s, want at most 2", n, path)
		}
	}
	if n := len(eventsIn(t, namespace)); n > 50+int(time.Since(began).Seconds())+1 {
		t.Errorf("%d Events", n)
	}
	before := len(recorded.to(http.MethodPatch, "/status"))
	for _, name := range []string{"second", "third"} {
		eventuallyServes(t, startReplica(t, config, namespace, name))
	}
	first.stop() // the next leader knows nothing of what this one knew
	cluster.Apply(t, namespace, "p0", `{allow: {domains: [edited.test]}}`)
	eventuallyReady(t, cluster, namespace, "p0", "True InForce 2/2")
	if n := len(recorded.to(http.MethodPatch, "/status")) - before; n > 50 {
		t.Errorf("%d writes of status while replicas came and went, want at most 50", n)
	}
}
