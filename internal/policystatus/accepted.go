package policystatus

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// maxNamed is how many parts of a policy a condition's message names. Further ones are named once these are fixed.
const maxNamed = 10

// AcceptedCondition returns the condition Accepted, without lastTransitionTime and observedGeneration. observing means
// that the operator runs with --observe. If several reasons apply, the condition has the first of NotUnderstood,
// OutsideScope, ListNotFound, OverBudget, ListInvalid and InvalidEntry. Except for NotUnderstood, the message names all
// rejected parts, up to maxNamed.
func AcceptedCondition(built *publish.Policy, scopes policyobject.Scopes, observing bool, warnings []lint.Warning) metav1.Condition {
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
// parameter policy is what [publish.Publisher.RefuseNamespace] returned: it replaces the policies of the namespace and
// denies all calls in its scope.
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

// consequenceOfLists returns the effect of a policy whose spec.deny names a list that is missing. policy is the policy
// as [policyobject.Scopes.Bound] limits it.
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

// outsideMessage is the effect of a policy that names only sources outside of the scope of its namespace: see
// [policyobject.Scopes].
const outsideMessage = "It names no source that its namespace may decide, and takes part in no call."

// consequence returns the effect of a policy that is not enforceable. policy is the policy as
// [policyobject.Scopes.Bound] limits it; takesPart is false if Bound leaves it no source.
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
