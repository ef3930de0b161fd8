package controllers

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/rules"
)

// maxWaiting is how many replicas a status names.
const maxWaiting = 10

// replicasStatus says which of the replicas in view decide by a generation that was first seen so.
func replicasStatus(view fleetView, seen firstSeen) *v1alpha1.ReplicasStatus {
	status := &v1alpha1.ReplicasStatus{FirstSeenResourceVersion: seen.version}
	inForce := 0
	for _, replica := range view.replicas {
		var reason v1alpha1.WaitingReason
		switch {
		case replica.through != "" && !freshness.Older(replica.through, seen.version):
			inForce++ // what is silent goes back no further than to what it last said
			continue
		case replica.state == silent:
			reason = v1alpha1.WaitingSilent
		case replica.state == unreported:
			reason = v1alpha1.WaitingUnreported
		default:
			reason = v1alpha1.WaitingBehind
		}
		if len(status.Waiting) < maxWaiting {
			status.Waiting = append(status.Waiting, v1alpha1.WaitingReplica{Name: replica.name, Reason: reason})
		}
	}
	status.Serving = new(int32(len(view.replicas))) //nolint:gosec // pods of one Deployment
	status.InForce = new(int32(inForce))
	status.Summary = fmt.Sprintf("%d/%d", inForce, len(view.replicas))
	return status
}

// isReady reports whether a policy's status says that its generation is in force on every replica.
func isReady(object *unstructured.Unstructured) bool {
	ready := meta.FindStatusCondition(storedStatus(object).Conditions, string(v1alpha1.ConditionReady))
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.GetGeneration()
}

// readyCondition says whether a generation of a policy is in force on every replica in view, but for the fields that depend on the
// object's history.
func readyCondition(accepted metav1.Condition, audit bool, replicas *v1alpha1.ReplicasStatus) metav1.Condition {
	condition := metav1.Condition{Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionFalse}
	told := fmt.Sprintf("%d of the %d replicas that can be asked", *replicas.InForce, *replicas.Serving)
	switch waiting := waitingFor(replicas, v1alpha1.WaitingSilent, v1alpha1.WaitingUnreported); {
	case accepted.Status != metav1.ConditionTrue:
		condition.Reason = string(v1alpha1.ReasonNotAccepted)
		condition.Message = "Not all of the spec can be in force: see the condition Accepted."
	case *replicas.Serving == 0:
		condition.Reason = string(v1alpha1.ReasonNoReplica)
		condition.Message = "No replica can be asked: sign-ups fail."
	case waiting != "":
		condition.Status = metav1.ConditionUnknown
		condition.Reason = string(v1alpha1.ReasonReplicaSilent)
		condition.Message = told + " decide by this generation. Nothing is known of " + waiting + "."
	case *replicas.InForce < *replicas.Serving:
		condition.Reason = string(v1alpha1.ReasonRollingOut)
		condition.Message = told + " decide by this generation. Not yet: " + waitingFor(replicas, v1alpha1.WaitingBehind) + "."
	case audit:
		condition.Status = metav1.ConditionTrue
		condition.Reason = string(v1alpha1.ReasonEvaluated)
		condition.Message = "All replicas that can be asked evaluate this generation."
	default:
		condition.Status = metav1.ConditionTrue
		condition.Reason = string(v1alpha1.ReasonInForce)
		condition.Message = "All replicas that can be asked decide by this generation."
	}
	return condition
}

// waitingFor lists the replicas with one of the reasons; "" if there are none.
func waitingFor(replicas *v1alpha1.ReplicasStatus, reasons ...v1alpha1.WaitingReason) string {
	var names []string
	for _, waiting := range replicas.Waiting {
		for _, reason := range reasons {
			if waiting.Reason == reason {
				names = append(names, waiting.Name)
			}
		}
	}
	return strings.Join(names, ", ")
}

// entriesStatus counts the entries of a policy, which has its lists, that are in force.
func entriesStatus(policy *rules.Policy, scopes Scopes) *v1alpha1.EntriesStatus {
	allowed, denied := 0, 0
	within, _, takesPart := scopes.Bound(*policy)
	if !takesPart || policy.NotUnderstood != "" {
		return &v1alpha1.EntriesStatus{Allowed: new(int64), Denied: new(int64)}
	}
	if snapshot, rejections := rules.Compile([]rules.Policy{within}); snapshot.Policies()[0].Enforceable {
		allowed = len(policy.Allow.Domains) + len(policy.Allow.PublicSuffixes) + len(policy.Allow.Addresses)
		denied = len(policy.Deny.Domains) + len(policy.Deny.Addresses)
		for _, rejection := range rejections {
			switch {
			case strings.HasPrefix(rejection.Path, "spec.allow.lists"), strings.HasPrefix(rejection.Path, "spec.deny.lists"):
			case strings.HasPrefix(rejection.Path, "spec.allow."):
				allowed--
			case strings.HasPrefix(rejection.Path, "spec.deny."):
				denied--
			}
		}
		for _, used := range usedLists(policy) {
			switch {
			case used.List == nil || used.List.Fault() != "":
			case used.entry.Field == rules.AllowLists:
				unusable, _ := used.List.Unusable()
				allowed += used.List.Entries() - unusable
			default:
				denied += used.List.Entries()
			}
		}
	}
	return &v1alpha1.EntriesStatus{Allowed: new(int64(allowed)), Denied: new(int64(denied))}
}
