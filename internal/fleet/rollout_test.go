package fleet

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

var acceptedTrue = metav1.Condition{Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionTrue}

func newRollout() *Rollout {
	return NewRollout(&Observer{Metrics: NewMetrics(prometheus.NewRegistry()), Logger: logr.Discard()})
}

// policyAt returns a policy in the namespace "team" in its first generation.
func policyAt(version string) *metav1.ObjectMeta {
	return &metav1.ObjectMeta{Namespace: "team", Name: "acme", UID: "1", Generation: 1, ResourceVersion: version}
}

// Versions go back where etcd is restored. A generation that was first seen at a version from before would be waited for until
// versions have come to that again.
func TestAVersionOfBeforeARestoreIsNotWaitedFor(t *testing.T) {
	const before, after = "9000", "7010"
	firstSeenAt := func(o *Rollout, version string, stored v1alpha1.RegistrationPolicyStatus) string {
		o.Status(policyAt(version), stored, acceptedTrue, false)
		return o.tracked[types.NamespacedName{Namespace: "team", Name: "acme"}].version
	}
	o := newRollout()
	if got := firstSeenAt(o, before, v1alpha1.RegistrationPolicyStatus{}); got != before {
		t.Errorf("first seen at %s, want %s", got, before)
	}
	if got := firstSeenAt(o, after, v1alpha1.RegistrationPolicyStatus{}); got != after {
		t.Errorf("the leader that saw it before: first seen at %s, want %s", got, after)
	}
	told := v1alpha1.RegistrationPolicyStatus{
		ObservedGeneration: 1, Replicas: &v1alpha1.ReplicasStatus{FirstSeenResourceVersion: before, UID: "1"},
	}
	if got := firstSeenAt(newRollout(), after, told); got != after {
		t.Errorf("the next leader: first seen at %s, want %s", got, after)
	}
}

// The trouble of one namespace is that namespace's alone.
func TestAGenerationWaitsForItsOwnNamespaceOnly(t *testing.T) {
	of := func(replicas ...replicaView) *Rollout {
		o := newRollout()
		o.view = view{startedAt: time.Now().Add(time.Minute), replicas: replicas}
		return o
	}
	ok := replicaView{name: "a", state: reporting, synced: map[string]string{"team": "7", "other": "7"}}
	for sentence, c := range map[string]struct {
		second  replicaView
		want    string
		message string
	}{
		"the other namespace is behind": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"team": "7", "other": "1"}}, want: "True InForce 2/2",
		},
		"the other namespace cannot be read": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"team": "7", "other": "1"}, unreadable: []string{"other"}},
			want:   "True InForce 2/2",
		},
		"its own is behind": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"team": "6", "other": "7"}}, want: "False RollingOut 1/2",
		},
		"its own cannot be read any more, and was read before": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"team": "7"}, unreadable: []string{"team"}},
			want:   "True InForce 2/2",
		},
		"its own cannot be read, and has changed since": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"team": "6"}, unreadable: []string{"team"}},
			want:   "Unknown NamespaceUnreadable 1/2", message: "Cannot read namespace team: b.",
		},
		"its own was never read": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"other": "7"}, unreadable: []string{"team"}},
			want:   "Unknown NamespaceUnreadable 1/2", message: "Cannot read namespace team: b.",
		},
		"its own is not watched": {
			second: replicaView{name: "b", state: reporting, synced: map[string]string{"other": "7"}},
			want:   "Unknown NamespaceUnreadable 1/2", message: "--watch-namespaces",
		},
		"a replica has no rules yet":   {second: replicaView{name: "b", state: reporting}, want: "False RollingOut 1/2"},
		"a replica is silent":          {second: replicaView{name: "b", state: silent, synced: map[string]string{"team": "6"}}, want: "Unknown ReplicaSilent 1/2"},
		"a replica has never reported": {second: replicaView{name: "b", state: unreported}, want: "Unknown ReplicaSilent 1/2"},
	} {
		t.Run(sentence, func(t *testing.T) {
			status := of(ok, c.second).Status(policyAt("7"), v1alpha1.RegistrationPolicyStatus{}, acceptedTrue, false)
			if got := string(status.Ready.Status) + " " + status.Ready.Reason + " " + status.Replicas.Summary; got != c.want {
				t.Errorf("Ready is %q, want %q", got, c.want)
			}
			if !strings.Contains(status.Ready.Message, c.message) {
				t.Errorf("the message %q does not say %q", status.Ready.Message, c.message)
			}
		})
	}
}

// Ready of a policy that is not accepted never changes: its count of replicas would say for minutes that there are none.
func TestAPolicyThatWasSeenBeforeAnyReplicaIsToldOfTheFirstOne(t *testing.T) {
	refused := metav1.Condition{Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionFalse}
	o := newRollout()
	o.view = view{startedAt: time.Now().Add(time.Minute)}
	if status := o.Status(policyAt("7"), v1alpha1.RegistrationPolicyStatus{}, refused, false); status.Replicas.Summary != "0/0" {
		t.Fatalf("replicas %s, want none", status.Replicas.Summary)
	}
	if !o.anyWaits() {
		t.Error("nothing waits for the first replica")
	}
	o.view.replicas = []replicaView{{name: "a", state: reporting, synced: map[string]string{"team": "7"}}}
	if changed := o.changes(time.Now()); len(changed.urgent) != 1 {
		t.Errorf("to be written once a replica serves: %v, want the policy", changed)
	}
}

// steadyRollout returns a rollout of so many policies that are in force on three replicas, and what it calls to observe others.
func steadyRollout(policies int, since time.Duration) (o *Rollout, see func(names ...string) changes) {
	o = newRollout()
	replicas := func(names ...string) (all []replicaView) {
		for _, name := range names {
			all = append(all, replicaView{name: name, state: reporting, synced: map[string]string{"team": "9"}})
		}
		return all
	}
	o.view = view{startedAt: time.Now().Add(time.Second), replicas: replicas("a", "b", "c")}
	for i := range policies {
		object := policyAt("7")
		object.Name, object.UID = fmt.Sprint("p", i), types.UID(fmt.Sprint("uid-", i))
		o.Status(object, v1alpha1.RegistrationPolicyStatus{}, acceptedTrue, false)
	}
	for _, policy := range o.tracked {
		policy.at = policy.at.Add(-since)
		policy.written.at = policy.written.at.Add(-since)
	}
	return o, func(names ...string) changes {
		o.view = view{startedAt: time.Now().Add(time.Second), replicas: replicas(names...)}
		return o.changes(time.Now())
	}
}

// While a Deployment rolls, replicas come and go all the time, and each policy is as Ready as before.
func TestReplicasThatComeAndGoWriteNoStatus(t *testing.T) {
	_, see := steadyRollout(2000, time.Minute)
	for _, roll := range [][]string{{"a", "b", "c", "d"}, {"b", "c", "d"}, {"b", "c", "d", "e"}, {"c", "d", "e"}, {"c", "d", "e", "f"}, {"d", "e", "f"}} {
		if got := see(roll...); len(got.urgent)+len(got.others) > 0 {
			t.Errorf("with %s: %d and %d statuses are to be written, want none", roll, len(got.urgent), len(got.others))
		}
	}
	if got := see(); len(got.others)+len(got.urgent) != 2000 {
		t.Errorf("without a replica: %d statuses are to be written, want all", len(got.others)+len(got.urgent))
	}
}

// An old status is written again, so that its age shows whether a leader is alive. Thousands of policies must cause little load.
func TestOldStatusesAreConfirmedAFewAtATime(t *testing.T) {
	o, see := steadyRollout(500, time.Hour)
	if got := see("a", "b", "c"); len(got.others) != refreshBurst || len(got.urgent) != 0 {
		t.Fatalf("%d and %d statuses are to be written, want %d and none", len(got.others), len(got.urgent), refreshBurst)
	}
	if got := see("a", "b", "c"); len(got.others) != 0 {
		t.Errorf("%d more at once, want none", len(got.others))
	}
	o.budget.filled = o.budget.filled.Add(-2 * refreshInterval)
	got := see("a", "b")
	if len(got.others) != 2 {
		t.Fatalf("%d after two intervals, want 2", len(got.others))
	}
	name := got.others[0]
	policy := o.tracked[name]
	object := policyAt("7")
	object.Name, object.UID = name.Name, policy.uid
	stored := v1alpha1.RegistrationPolicyStatus{
		ObservedGeneration: 1,
		Conditions:         []metav1.Condition{{Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionTrue, Reason: "InForce"}},
		Replicas: &v1alpha1.ReplicasStatus{
			UID: string(policy.uid), Summary: "3/3", InForce: new(int32(3)), Serving: new(int32(3)), FirstSeenResourceVersion: "7",
		},
	}
	if status := o.Status(object, stored, acceptedTrue, false); status.Settled || status.Replicas.Summary != "2/2" {
		t.Errorf("confirmed: settled %v, %s; want what is known now, 2/2", status.Settled, status.Replicas.Summary)
	}
	if status := o.Status(object, stored, acceptedTrue, false); !status.Settled {
		t.Error("it is to be written again")
	}
}

// Whoever reads OBSERVED goes by this bound.
func TestEveryStatusIsConfirmedWithinTwoHoursHoweverManyThereAre(t *testing.T) {
	const policies, slack = 5000, observeInterval
	budget, now := newRefreshBudget(time.Unix(0, 0)), time.Unix(0, 0)
	confirmed := map[types.NamespacedName]time.Time{}
	name := func(i int) types.NamespacedName {
		return types.NamespacedName{Namespace: "team", Name: fmt.Sprint("p", i)}
	}
	for i := range policies {
		confirmed[name(i)] = now
	}
	for range int(3 * refreshWithin / observeInterval) {
		now = now.Add(observeInterval)
		var stale []staleStatus
		for name, at := range confirmed {
			switch age := now.Sub(at); {
			case age > refreshWithin+slack:
				t.Fatalf("%s was confirmed %s ago", name, age)
			case age > refreshAfter:
				stale = append(stale, staleStatus{name, aged, at})
			}
		}
		taken := budget.take(now, policies, stale)
		if most := int(policies*observeInterval/(refreshWithin-refreshAfter)) + 2; len(taken) > most {
			t.Fatalf("%d writes after one observation, want at most %d", len(taken), most)
		}
		for _, name := range taken {
			confirmed[name] = now
		}
	}
}

func TestAGenerationThatIsRolledOutIsToldOnce(t *testing.T) {
	o := newRollout()
	o.view = view{startedAt: time.Now().Add(-time.Second)}
	object := policyAt("7")
	o.Status(object, v1alpha1.RegistrationPolicyStatus{}, acceptedTrue, false)
	see := func(versions ...string) int {
		o.view = view{startedAt: time.Now()}
		for i, version := range versions {
			o.view.replicas = append(o.view.replicas, replicaView{
				name: fmt.Sprint(i), state: reporting, synced: map[string]string{"team": version},
			})
		}
		got := o.changes(time.Now())
		return len(got.urgent)
	}
	for _, behind := range [][]string{{"6", "6", "6"}, {"7", "6", "6"}, {"7", "7", "6"}} {
		if n := see(behind...); n != 0 {
			t.Errorf("at %s: %d writes while it rolls out", behind, n)
		}
	}
	if n := see("7", "7", "7"); n != 1 {
		t.Errorf("%d urgent writes once it is in force everywhere, want 1", n)
	}
}

// countingReader counts the LISTs of an observer.
type countingReader struct {
	client.Reader

	lists atomic.Int64
}

func (r *countingReader) List(context.Context, client.ObjectList, ...client.ListOption) error {
	r.lists.Add(1)
	return nil
}

func TestASteadyFleetIsObservedRarelyAndAnEditSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reader := &countingReader{}
		o := newRollout()
		o.observer.Reader, o.observer.ServiceName = reader, "hook"
		go o.Run(t.Context(), func(types.NamespacedName, bool) {})
		synctest.Wait()
		count := func(of time.Duration) int64 {
			before := reader.lists.Load()
			time.Sleep(of)
			synctest.Wait()
			return reader.lists.Load() - before
		}
		time.Sleep(time.Second)
		if n := count(10 * time.Minute); n > 10*3 {
			t.Errorf("%d LISTs in 10 quiet minutes, want at most 3 a minute", n)
		}
		// No replica reports: the policy goes on waiting.
		o.Status(policyAt("7"), v1alpha1.RegistrationPolicyStatus{}, acceptedTrue, false)
		if n := count(time.Second); n < 2 || n > 2*2 {
			t.Errorf("%d LISTs in the second after an edit, want one or two observations", n)
		}
		if n := count(3 * time.Second); n > 2*4 {
			t.Errorf("%d LISTs in the three seconds after that, want at most 4 observations", n)
		}
		count(2 * time.Minute)
		if n := count(10 * time.Minute); n > 10*2*4 {
			t.Errorf("%d LISTs in 10 minutes in which it goes on waiting, want at most 8 a minute", n)
		}
		for i := range 30 { // edits in 40 s
			object := policyAt(fmt.Sprint(8 + i))
			object.Generation = int64(2 + i)
			o.Status(object, v1alpha1.RegistrationPolicyStatus{}, acceptedTrue, false)
			if n := count(40 * time.Second / 30); n > 2*3 {
				t.Errorf("edit %d: %d LISTs", i, n)
			}
		}
	})
}
