package controllers

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// maxNamed is how many parts of a policy a condition's message names. Further ones are named once these are fixed.
const maxNamed = 10

// policyStatus is the part of a policy's status that this operator writes.
type policyStatus struct {
	v1alpha1.RegistrationPolicyStatus
}

// ownConditions are the conditions that this operator writes.
var ownConditions = []v1alpha1.ConditionType{v1alpha1.ConditionAccepted, v1alpha1.ConditionReady, v1alpha1.ConditionOverruled}

// storedStatus returns the part of an object's status that this operator writes, without the conditions of other
// writers. A status that cannot be decoded counts as empty, and is written again.
func storedStatus(object *unstructured.Unstructured) policyStatus {
	var status policyStatus
	var err error
	if text, cached := informers.StatusJSON(object); cached {
		err = strictjson.UnmarshalCaseSensitivePreserveInts([]byte(text), &status.RegistrationPolicyStatus)
	} else {
		stored, _ := object.Object["status"].(map[string]any)
		err = runtime.DefaultUnstructuredConverter.FromUnstructured(stored, &status.RegistrationPolicyStatus)
	}
	if err != nil {
		return policyStatus{}
	}
	status.Conditions = slices.DeleteFunc(status.Conditions, func(condition metav1.Condition) bool {
		return !slices.Contains(ownConditions, v1alpha1.ConditionType(condition.Type))
	})
	return status
}

// firstSeenVersion returns the resourceVersion at which the leader first saw a policy's generation, from the policy's
// status; "" if unknown.
func firstSeenVersion(object *unstructured.Unstructured) string {
	if replicas := storedStatus(object).Replicas; replicas != nil {
		return replicas.FirstSeenResourceVersion
	}
	return ""
}

// isReady reports whether the condition Ready is True for a policy's current generation.
func isReady(object *unstructured.Unstructured) bool {
	ready := meta.FindStatusCondition(storedStatus(object).Conditions, string(v1alpha1.ConditionReady))
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.GetGeneration()
}

// wantedStatus returns the status to be stored: now, with observedGeneration and with the transition times of
// conditions. before is the stored status. changed reports whether the condition Accepted changes.
func wantedStatus(before, now policyStatus, generation int64) (after policyStatus, changed bool) {
	after = now
	after.ObservedGeneration = generation
	after.Conditions = nil
	for _, condition := range now.Conditions {
		previous := meta.FindStatusCondition(before.Conditions, condition.Type)
		if previous != nil {
			after.Conditions = append(after.Conditions, *previous)
		}
		same := previous != nil &&
			previous.Status == condition.Status && previous.Reason == condition.Reason && previous.Message == condition.Message
		if condition.Type == string(v1alpha1.ConditionAccepted) {
			changed = !same
		}
		condition.ObservedGeneration = generation
		meta.SetStatusCondition(&after.Conditions, condition)
	}
	return after, changed
}

// acceptedCondition returns the condition Accepted, without lastTransitionTime and observedGeneration. If several
// reasons apply, it has the first of NotUnderstood, OutsideScope, ListNotFound, OverBudget, ListInvalid and
// InvalidEntry. Except for NotUnderstood, the message names all rejected parts, up to maxNamed.
func acceptedCondition(built *publish.Policy, scopes policyobject.Scopes, observing bool, warnings []lint.Warning) metav1.Condition {
	condition := metav1.Condition{Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionFalse}
	if built.Refused != "" {
		return refusedCondition(built, scopes)
	}
	policy := built.Written
	within, outside, takesPart := scopes.Bound(policy)
	if policy.NotUnderstood != "" {
		condition.Reason = string(v1alpha1.ReasonNotUnderstood)
		condition.Message = "This operator does not understand the policy: " + policy.NotUnderstood + ". " + consequence(within, takesPart)
		return condition
	}
	if len(built.Rejections) > 0 {
		condition.Reason = string(rejectionReason(built.Rejections))
		if len(outside) > 0 {
			condition.Reason = string(v1alpha1.ReasonOutsideScope)
		}
		rest := "The rest of the policy is in force."
		switch {
		case !takesPart:
			rest = outsideMessage
		case !built.Compiled.Enforceable() && condition.Reason != string(v1alpha1.ReasonInvalidEntry):
			rest = consequenceOfLists(within)
		case !built.Compiled.Enforceable():
			rest = consequence(within, takesPart)
		case len(outside) > 0:
			rest = "The rest of the policy is in force for calls of " + policyobject.JoinSources(within.Sources) + "."
		}
		condition.Message = "Not in force: " + joinRejections(built.Rejections) + ". " + rest
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
	if len(warnings) > 0 {
		condition.Reason = string(v1alpha1.ReasonAcceptedWithWarnings)
		condition.Message += " Warnings: " + joinWarnings(warnings) + "."
	}
	return condition
}

// refusedCondition returns the condition Accepted for every policy of a namespace that is over its memory limit. The
// parameter policy is the denial that is in force in place of all of them: see [publish.Publisher.RefuseNamespace].
func refusedCondition(policy *publish.Policy, scopes policyobject.Scopes) metav1.Condition {
	within, _, takesPart := scopes.Bound(policy.Written)
	rest := "All calls are denied until they fit."
	switch {
	case !takesPart:
		rest = outsideMessage
	case len(within.Sources) > 0:
		rest = "The calls of " + policyobject.JoinSources(within.Sources) + " are denied until they fit."
	}
	return metav1.Condition{
		Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonOverBudget),
		Message: "Not in force: " + policy.Refused + ". " + rest,
	}
}

// rejectionReason returns the reason of the condition Accepted for rejected parts of a policy.
func rejectionReason(rejections []rules.Rejection) v1alpha1.ConditionReason {
	reason := v1alpha1.ReasonInvalidEntry
	for _, rejection := range rejections {
		switch rejection.Cause {
		case rules.CauseListNotFound:
			return v1alpha1.ReasonListNotFound
		case rules.CauseOverBudget:
			reason = v1alpha1.ReasonOverBudget
		case rules.CauseListInvalid:
			if reason != v1alpha1.ReasonOverBudget {
				reason = v1alpha1.ReasonListInvalid
			}
		default:
		}
	}
	return reason
}

// consequenceOfLists returns the effect of a policy that denies by a missing list. policy is limited to the sources that
// its namespace may decide.
func consequenceOfLists(policy rules.Policy) string {
	switch {
	case policy.Mode == rules.Audit:
		return "In mode Audit the policy decides nothing."
	case len(policy.RequestTypes) == 0 && len(policy.Sources) == 0:
		return "All calls are denied until the lists that deny exist or are optional."
	default:
		return "The calls that the policy applies to are denied until the lists that deny exist or are optional."
	}
}

// outsideMessage is the effect of a policy that names only sources outside of policyobject.Scopes.
const outsideMessage = "It names no source that its namespace may decide, and takes part in no call."

// consequence returns the effect of a policy that is not enforceable. policy is limited to the sources that its namespace
// may decide; takesPart is false if the policy names none of them.
func consequence(policy rules.Policy, takesPart bool) string {
	switch {
	case !takesPart:
		return outsideMessage
	case policy.Mode == rules.Audit:
		return "In mode Audit it decides nothing. Correct it, or run an operator that knows these fields."
	case len(policy.RequestTypes) == 0 && len(policy.Sources) == 0:
		return "All calls are denied. Correct it or delete it, or run an operator that knows these fields."
	default:
		return "The calls that it applies to are denied. Correct it or delete it, or run an operator that knows these fields."
	}
}

func joinRejections(rejections []rules.Rejection) string {
	parts := make([]string, len(rejections))
	for i, rejection := range rejections {
		parts[i] = rejection.Path + ": " + rejection.Message
	}
	return joinParts(parts)
}

func joinWarnings(warnings []lint.Warning) string {
	parts := make([]string, len(warnings))
	for i, warning := range warnings {
		parts[i] = warning.Path + ": " + warning.Message
	}
	return joinParts(parts)
}

// joinParts joins the first maxNamed parts, and counts the others.
func joinParts(parts []string) string {
	if more := len(parts) - maxNamed; more > 0 {
		parts = append(parts[:maxNamed:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

func (s policyStatus) equal(o policyStatus) bool {
	return equality.Semantic.DeepEqual(s, o)
}

// equalExceptReady reports whether two statuses are equal, except for the replicas and the condition Ready.
func (s policyStatus) equalExceptReady(o policyStatus) bool {
	rest := func(s policyStatus) policyStatus {
		s.Replicas = nil
		s.Conditions = slices.DeleteFunc(slices.Clone(s.Conditions), func(condition metav1.Condition) bool {
			return condition.Type == string(v1alpha1.ConditionReady)
		})
		return s
	}
	return rest(s).equal(rest(o))
}

func (s policyStatus) accepted() metav1.Condition {
	return *meta.FindStatusCondition(s.Conditions, string(v1alpha1.ConditionAccepted))
}

// applyConfiguration returns the configuration for a server-side apply of the status. The configuration has the
// resourceVersion from which the status was computed. Otherwise a leader that lost its lease without noticing could
// overwrite the status of the next leader. It is unstructured because the client decodes the response, the whole policy,
// into it.
func (s policyStatus) applyConfiguration(object *unstructured.Unstructured) (runtime.ApplyConfiguration, error) {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&s.RegistrationPolicyStatus)
	if err != nil {
		return nil, fmt.Errorf("write the status: %w", err)
	}
	configuration := policyobject.New()
	configuration.SetNamespace(object.GetNamespace())
	configuration.SetName(object.GetName())
	configuration.SetResourceVersion(object.GetResourceVersion())
	configuration.Object["status"] = status
	return client.ApplyConfigurationFromUnstructured(configuration), nil
}
