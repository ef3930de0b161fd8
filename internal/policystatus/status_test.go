package policystatus_test

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policystatus"
)

func status(conditions ...metav1.Condition) policystatus.Status {
	return policystatus.Status{RegistrationPolicyStatus: v1alpha1.RegistrationPolicyStatus{Conditions: conditions}}
}

func TestTheTransitionTimeOfAConditionChangesWithItsStatusAlone(t *testing.T) {
	stored := metav1.NewTime(time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC))
	accepted := metav1.Condition{Type: "Accepted", Status: "True", Reason: "Accepted", Message: "All of the spec is in force."}
	before := accepted
	before.LastTransitionTime, before.ObservedGeneration = stored, 1
	for sentence, c := range map[string]struct {
		change  func(*metav1.Condition)
		changed bool // of the condition Accepted
		moved   bool // its transition time
	}{
		"nothing changes": {func(*metav1.Condition) {}, false, false},
		"a message":       {func(c *metav1.Condition) { c.Message = "Warnings." }, true, false},
		"a reason":        {func(c *metav1.Condition) { c.Reason = "AcceptedWithWarnings" }, true, false},
		"the status":      {func(c *metav1.Condition) { c.Status = "False" }, true, true},
	} {
		now := accepted
		c.change(&now)
		after, changed := policystatus.After(status(before), status(now), 2)
		got := after.Accepted()
		if changed != c.changed || got.LastTransitionTime.Equal(&stored) == c.moved || got.Message != now.Message {
			t.Errorf("%s: changed %t, %+v", sentence, changed, got)
		}
		if after.ObservedGeneration != 2 || got.ObservedGeneration != 2 {
			t.Errorf("%s: observed generations %d and %d, want 2", sentence, after.ObservedGeneration, got.ObservedGeneration)
		}
	}
}

func TestAConditionThatNoLongerAppliesIsLeftOut(t *testing.T) {
	accepted := metav1.Condition{Type: "Accepted", Status: "True", Reason: "Accepted"}
	overruled := metav1.Condition{Type: "Overruled", Status: "True", Reason: "PolicyDeniesAll"}
	after, changed := policystatus.After(status(accepted, overruled), status(accepted), 1)
	if len(after.Conditions) != 1 || changed {
		t.Errorf("changed %t, %+v", changed, after.Conditions)
	}
}

func TestReadyAndItsReplicasAreNoOtherChange(t *testing.T) {
	accepted := metav1.Condition{Type: "Accepted", Status: "True", Reason: "Accepted"}
	waiting := metav1.Condition{Type: "Ready", Status: "False", Reason: "ReplicaSilent"}
	inForce := metav1.Condition{Type: "Ready", Status: "True", Reason: "InForce"}
	before, ready := status(accepted, waiting), status(accepted, inForce)
	ready.Replicas = &v1alpha1.ReplicasStatus{Summary: "3/3"}
	if before.Equal(ready) || !before.EqualExceptReady(ready) {
		t.Errorf("equal %t, except Ready %t", before.Equal(ready), before.EqualExceptReady(ready))
	}
	overruled := metav1.Condition{Type: "Overruled", Status: "True", Reason: "PolicyDeniesAll"}
	if before.EqualExceptReady(status(accepted, waiting, overruled)) {
		t.Error("Overruled is no part of Ready")
	}
}
