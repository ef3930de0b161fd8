package fleet

import (
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

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
		o.view = view{begun: time.Now().Add(time.Minute), replicas: replicas}
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
