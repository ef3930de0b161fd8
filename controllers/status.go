package controllers

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1alpha1ac "registrationpolicy.dev/operator/api/applyconfiguration/api/v1alpha1"
	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// maxNamed is how many parts of a policy a condition's message names. The others follow once these are mended.
const maxNamed = 10

// policyStatus is a policy's status as far as this operator writes it.
type policyStatus struct {
	v1alpha1.RegistrationPolicyStatus
}

// storedStatus reads of an object's status what this operator writes; the conditions of others stay as they are. One that does
// not decode counts as none: it is written anew.
func storedStatus(object *unstructured.Unstructured) policyStatus {
	var status policyStatus
	stored, _ := object.Object["status"].(map[string]any)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(stored, &status.RegistrationPolicyStatus); err != nil {
		return policyStatus{}
	}
	status.Conditions = slices.DeleteFunc(status.Conditions, func(condition metav1.Condition) bool {
		return condition.Type != string(v1alpha1.ConditionAccepted)
	})
	return status
}

// wantedStatus returns the status that a policy should have, and whether its condition says something new.
func wantedStatus(before policyStatus, generation int64, accepted metav1.Condition) (after policyStatus, changed bool) {
	after.ObservedGeneration = generation
	changed = true
	if previous := meta.FindStatusCondition(before.Conditions, accepted.Type); previous != nil {
		after.Conditions = []metav1.Condition{*previous}
		changed = previous.Status != accepted.Status || previous.Reason != accepted.Reason || previous.Message != accepted.Message
	}
	accepted.ObservedGeneration = generation
	meta.SetStatusCondition(&after.Conditions, accepted)
	return after, changed
}

// acceptedCondition says whether all of a policy is in force, but for the fields that depend on the object's history. Of
// several reasons it is the first of NotUnderstood, OutsideScope and InvalidEntry; the message names the faults of the latter
// both.
func acceptedCondition(policy rules.Policy, scopes Scopes, observing bool) metav1.Condition {
	condition := metav1.Condition{Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionFalse}
	within, outside, takesPart := scopes.Bound(policy)
	if policy.NotUnderstood != "" {
		condition.Reason = string(v1alpha1.ReasonNotUnderstood)
		condition.Message = "This operator does not understand the policy: " + policy.NotUnderstood + ". " + consequence(within, takesPart)
		return condition
	}
	snapshot, rejections := rules.Compile([]rules.Policy{policy})
	if len(outside)+len(rejections) > 0 {
		condition.Reason = string(v1alpha1.ReasonInvalidEntry)
		if len(outside) > 0 {
			condition.Reason = string(v1alpha1.ReasonOutsideScope)
		}
		rest := "The rest of the policy is."
		switch {
		case !takesPart:
			rest = outsideAltogether
		case !snapshot.Policies()[0].Enforceable:
			rest = consequence(within, takesPart)
		case len(outside) > 0:
			rest = "The rest of the policy is, for calls of " + listed(within.Sources) + "."
		}
		condition.Message = "Not in force: " + named(append(outside, rejections...)) + ". " + rest
		return condition
	}
	condition.Status = metav1.ConditionTrue
	condition.Reason = string(v1alpha1.ReasonAccepted)
	switch {
	case observing:
		condition.Message = "All of the spec is evaluated, and nothing enforced: the operator runs with --observe and allows every call."
	case policy.Mode == rules.Audit:
		condition.Message = "All of the spec is evaluated. In mode Audit it decides nothing: logs and metrics say what it would change."
	default:
		condition.Message = "All of the spec is in force."
	}
	return condition
}

// outsideAltogether is what becomes of a policy of which Scopes.Bound leaves nothing.
const outsideAltogether = "It names no source that its namespace may decide, and takes part in no call."

// consequence says what becomes of a policy that is not enforceable, as it is within the scope of its namespace.
func consequence(policy rules.Policy, takesPart bool) string {
	switch {
	case !takesPart:
		return outsideAltogether
	case policy.Mode == rules.Audit:
		return "In mode Audit it decides nothing anyway. Correct it, or run an operator that knows these fields."
	case len(policy.RequestTypes) == 0 && len(policy.Sources) == 0:
		return "All calls are denied until it is corrected or deleted, or an operator runs that knows these fields."
	default:
		return "The calls that it applies to are denied until it is corrected or deleted, or an operator runs that knows these fields."
	}
}

func named(rejections []rules.Rejection) string {
	var parts []string
	for i, rejection := range rejections {
		if i == maxNamed {
			parts = append(parts, fmt.Sprintf("and %d more", len(rejections)-maxNamed))
			break
		}
		parts = append(parts, rejection.Path+": "+rejection.Message)
	}
	return strings.Join(parts, "; ")
}

func (s policyStatus) equal(o policyStatus) bool {
	return equality.Semantic.DeepEqual(s, o)
}

func (s policyStatus) accepted() metav1.Condition {
	return *meta.FindStatusCondition(s.Conditions, string(v1alpha1.ConditionAccepted))
}

// applyTo returns the configuration that server-side apply takes. It carries the resourceVersion that the status was computed
// from, so that a leader that lost its lease without noticing cannot overwrite what its successor wrote. It is unstructured
// because the answer, the whole policy, is decoded into it.
func (s policyStatus) applyTo(object *unstructured.Unstructured) (runtime.ApplyConfiguration, error) {
	status := v1alpha1ac.RegistrationPolicyStatus().WithObservedGeneration(s.ObservedGeneration)
	for _, condition := range s.Conditions {
		status.WithConditions(metav1ac.Condition().
			WithType(condition.Type).
			WithStatus(condition.Status).
			WithReason(condition.Reason).
			WithMessage(condition.Message).
			WithObservedGeneration(condition.ObservedGeneration).
			WithLastTransitionTime(condition.LastTransitionTime))
	}
	text, err := json.Marshal(v1alpha1ac.RegistrationPolicy(object.GetName(), object.GetNamespace()).
		WithResourceVersion(object.GetResourceVersion()).
		WithStatus(status))
	if err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	configuration := &unstructured.Unstructured{}
	if err := configuration.UnmarshalJSON(text); err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	return client.ApplyConfigurationFromUnstructured(configuration), nil
}
