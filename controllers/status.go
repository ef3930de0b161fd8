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

// maxNamed is how many parts of a policy a condition's message names. The others follow once these are fixed.
const maxNamed = 10

// policyStatus is a policy's status as far as this operator writes it.
type policyStatus struct {
	v1alpha1.RegistrationPolicyStatus
}

// ownConditions are the conditions that this operator writes.
var ownConditions = []v1alpha1.ConditionType{v1alpha1.ConditionAccepted, v1alpha1.ConditionReady, v1alpha1.ConditionOverruled}

// storedStatus reads of an object's status what this operator writes; the conditions of others stay as they are. One that does
// not decode counts as none: it is written anew.
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

// wantedStatus returns the status that a policy should have, and whether what it says of Accepted is new. now has everything but
// what depends on the object's history.
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

// acceptedCondition says whether all of a policy is in force, but for the fields that depend on the object's history. Of several
// reasons it is the first of NotUnderstood, OutsideScope, ListNotFound, OverBudget, ListInvalid and InvalidEntry; the message names the
// faults of all but the first. warnings are what looks wrong in it.
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
		condition.Reason = string(reasonOf(built.Rejections))
		if len(outside) > 0 {
			condition.Reason = string(v1alpha1.ReasonOutsideScope)
		}
		rest := "The rest of the policy is."
		switch {
		case !takesPart:
			rest = outsideAltogether
		case !built.Compiled.Enforceable() && condition.Reason != string(v1alpha1.ReasonInvalidEntry):
			rest = consequenceOfLists(within)
		case !built.Compiled.Enforceable():
			rest = consequence(within, takesPart)
		case len(outside) > 0:
			rest = "The rest of the policy is, for calls of " + policyobject.WriteOut(within.Sources) + "."
		}
		condition.Message = "Not in force: " + named(built.Rejections) + ". " + rest
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
		condition.Message += " Warnings: " + namedWarnings(warnings) + "."
	}
	return condition
}

// refusedCondition says that the policies of a namespace are together beyond its budget. The rest of policy is what stands for all.
func refusedCondition(policy *publish.Policy, scopes policyobject.Scopes) metav1.Condition {
	within, _, takesPart := scopes.Bound(policy.Written)
	rest := "All calls are denied until they fit."
	switch {
	case !takesPart:
		rest = outsideAltogether
	case len(within.Sources) > 0:
		rest = "The calls of " + policyobject.WriteOut(within.Sources) + " are denied until they fit."
	}
	return metav1.Condition{
		Type: string(v1alpha1.ConditionAccepted), Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonOverBudget),
		Message: "Not in force: " + policy.Refused + ". " + rest,
	}
}

// reasonOf returns the reason for parts of a policy that are not in force.
func reasonOf(rejections []rules.Rejection) v1alpha1.ConditionReason {
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

// consequenceOfLists says what becomes of a policy, as it is within the scope of its namespace, that denies by a list which is
// missing.
func consequenceOfLists(policy rules.Policy) string {
	switch {
	case policy.Mode == rules.Audit:
		return "In mode Audit the policy decides nothing anyway."
	case len(policy.RequestTypes) == 0 && len(policy.Sources) == 0:
		return "All calls are denied until the lists that deny are there, or are optional."
	default:
		return "The calls that the policy applies to are denied until the lists that deny are there, or are optional."
	}
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
	parts := make([]string, len(rejections))
	for i, rejection := range rejections {
		parts[i] = rejection.Path + ": " + rejection.Message
	}
	return joined(parts)
}

func namedWarnings(warnings []lint.Warning) string {
	parts := make([]string, len(warnings))
	for i, warning := range warnings {
		parts[i] = warning.Path + ": " + warning.Message
	}
	return joined(parts)
}

// joined makes one text of the first parts.
func joined(parts []string) string {
	if more := len(parts) - maxNamed; more > 0 {
		parts = append(parts[:maxNamed:maxNamed], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

func (s policyStatus) equal(o policyStatus) bool {
	return equality.Semantic.DeepEqual(s, o)
}

// equalBesidesReady compares all but the replicas and the condition Ready.
func (s policyStatus) equalBesidesReady(o policyStatus) bool {
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

// applyTo returns the configuration that server-side apply takes. It carries the resourceVersion that the status was computed
// from, so that a leader that lost its lease without noticing cannot overwrite what its successor wrote. It is unstructured
// because the answer, the whole policy, is decoded into it.
func (s policyStatus) applyTo(object *unstructured.Unstructured) (runtime.ApplyConfiguration, error) {
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
