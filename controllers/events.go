package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/flowcontrol"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policystatus"
	"registrationpolicy.dev/operator/rules"
)

const (
	// eventDenyRemoved is the reason of the Event for the deletion of a policy that denied something.
	eventDenyRemoved = "DenyRemoved"

	// The actions of Events.
	actionAccept = "Accept"
	actionDelete = "Delete"
)

// eventLimits limit the rate of Events, for example when thousands of policies are applied at once. If an Event is
// dropped, the condition in the status, or for a deleted policy the log, still says the same.
type eventLimits struct {
	normal, warning, deleted flowcontrol.PassiveRateLimiter
}

func newEventLimits() eventLimits {
	const perSecond, burst = 1, 50
	budget := func() flowcontrol.PassiveRateLimiter {
		return flowcontrol.NewTokenBucketPassiveRateLimiter(perSecond, burst)
	}
	return eventLimits{budget(), budget(), budget()}
}

// recordAccepted records an Event for a changed condition Accepted.
func (r *StatusReconciler) recordAccepted(object *unstructured.Unstructured, status policystatus.Status) {
	accepted := status.Accepted()
	kind, budget := corev1.EventTypeNormal, r.events.normal
	if accepted.Status != metav1.ConditionTrue {
		kind, budget = corev1.EventTypeWarning, r.events.warning
	}
	if !budget.TryAccept() {
		return
	}
	r.recorder.Eventf(object, nil, kind, accepted.Reason, actionAccept, "%s", policyobject.EventNote(accepted.Message))
}

// recordDeletion records an Event if a deleted policy denied something. The object and its status are gone, so
// the Event is the only notice, or a log line if there are too many Events.
func (r *StatusReconciler) recordDeletion(object *unstructured.Unstructured) {
	stored, err := informers.WithSpec(object)
	if err != nil {
		r.logger.Error(err, "Could not tell what a deleted policy denied")
		return
	}
	policy, _, takesPart := r.scopes.Bound(r.schema.Convert(context.Background(), stored))
	denies := len(policy.Deny.Domains)+len(policy.Deny.Addresses)+len(policy.Deny.Lists) > 0 || policy.NotUnderstood != ""
	if policy.Mode == rules.Audit || !denies || !takesPart {
		return
	}
	if !r.events.deleted.TryAccept() {
		r.logger.Info("Policy that denied was deleted: what it denied is now allowed wherever another policy allows it",
			"policy", policyobject.NameOf(object).String())
		return
	}
	r.recorder.Eventf(object, nil, corev1.EventTypeWarning, eventDenyRemoved, actionDelete,
		"The policy was deleted: what it denied is now allowed wherever another policy allows it.")
}
