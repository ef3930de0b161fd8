package controllers

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/util/flowcontrol"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

const (
	// eventDeleted is the reason of the Event that says that a deletion opens something.
	eventDeleted = "DenyRemoved"

	// What was done, in Events.
	actionAccept = "Accept"
	actionDelete = "Delete"
)

// eventBudgets bound how many Events are made. Thousands of policies that are applied at once make no storm of them; one that is left
// out says nothing that the condition or the log does not say too.
type eventBudgets struct {
	normal, warning, deleted flowcontrol.PassiveRateLimiter
}

func newEventBudgets() eventBudgets {
	const aSecond, atOnce = 1, 50
	budget := func() flowcontrol.PassiveRateLimiter {
		return flowcontrol.NewTokenBucketPassiveRateLimiter(aSecond, atOnce)
	}
	return eventBudgets{budget(), budget(), budget()}
}

// announce makes an Event of a condition that says something new.
func (r *StatusReconciler) announce(object *unstructured.Unstructured, status policyStatus) {
	accepted := status.accepted()
	kind, budget := corev1.EventTypeNormal, r.events.normal
	if accepted.Status != metav1.ConditionTrue {
		kind, budget = corev1.EventTypeWarning, r.events.warning
	}
	if !budget.TryAccept() {
		return // the condition says the same
	}
	r.recorder.Eventf(object, nil, kind, accepted.Reason, actionAccept, "%s", policyobject.EventNote(accepted.Message))
}

// deleted says that what a policy denied, it denies no longer. Nothing else would: the object is gone, and the fault table
// holds for faults, not for intent.
func (r *StatusReconciler) deleted(object *unstructured.Unstructured) {
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
	r.recorder.Eventf(object, nil, corev1.EventTypeWarning, eventDeleted, actionDelete,
		"The policy was deleted: what it denied is now allowed wherever another policy allows it.")
}
