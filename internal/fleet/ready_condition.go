package fleet

import (
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/freshness"
)

// maxWaiting is the maximum length of status.replicas.waiting, as the CRD limits it. The list names replicas that may
// still use an earlier generation of the policy.
const maxWaiting = 10

// replicasStatus returns which replicas decide by a generation of a policy.
func replicasStatus(v view, namespace string, policy *trackedPolicy) *v1alpha1.ReplicasStatus {
	status := &v1alpha1.ReplicasStatus{
		UID: string(policy.uid), FirstSeenResourceVersion: policy.version,
		ObservedTime: new(metav1.NewTime(v.startedAt.Truncate(time.Second))), // stored times have whole seconds
	}
	inForce := 0
	for _, replica := range v.replicas {
		synced, isRead := replica.synced[namespace]
		var reason v1alpha1.WaitingReason
		switch {
		case isRead && !freshness.Older(synced, policy.version):
			inForce++ // also on a silent replica: its rules never go back to an earlier version
			continue
		case replica.state == silent:
			reason = v1alpha1.WaitingSilent
		case replica.state == unreported:
			reason = v1alpha1.WaitingUnreported
		case slices.Contains(replica.unreadable, namespace) || !isRead && len(replica.synced) > 0:
			reason = v1alpha1.WaitingUnreadable
		default:
			reason = v1alpha1.WaitingBehind
		}
		if len(status.Waiting) < maxWaiting {
			status.Waiting = append(status.Waiting, v1alpha1.WaitingReplica{Name: replica.name, Reason: reason})
		}
	}
	status.Serving = new(int32(len(v.replicas))) //nolint:gosec // a Deployment has far fewer than 2³¹ pods
	status.InForce = new(int32(inForce))
	status.Summary = fmt.Sprintf("%d/%d", inForce, len(v.replicas))
	return status
}

// readyCondition returns the condition Ready for a generation of a policy, without lastTransitionTime and
// observedGeneration.
func readyCondition(policy *trackedPolicy, namespace string, replicas *v1alpha1.ReplicasStatus) metav1.Condition {
	condition := metav1.Condition{Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionFalse}
	counted := fmt.Sprintf("%d of the %d serving replicas", *replicas.InForce, *replicas.Serving)
	silent := waitingFor(replicas, v1alpha1.WaitingSilent, v1alpha1.WaitingUnreported)
	unreadable := waitingFor(replicas, v1alpha1.WaitingUnreadable)
	switch {
	case policy.accepted != metav1.ConditionTrue:
		condition.Reason = string(v1alpha1.ReasonNotAccepted)
		condition.Message = "Not all of the spec can be in force: see the condition Accepted."
	case *replicas.Serving == 0:
		condition.Reason = string(v1alpha1.ReasonNoReplica)
		condition.Message = "No replica serves: sign-ups fail."
	case unreadable != "":
		condition.Status = metav1.ConditionUnknown
		condition.Reason = string(v1alpha1.ReasonNamespaceUnreadable)
		condition.Message = counted + " decide by this generation. Cannot read namespace " + namespace + ": " + unreadable +
			". Check the operator's RoleBinding there, and that --watch-namespaces names it."
	case silent != "":
		condition.Status = metav1.ConditionUnknown
		condition.Reason = string(v1alpha1.ReasonReplicaSilent)
		condition.Message = counted + " decide by this generation. No recent report from " + silent + "."
	case *replicas.InForce < *replicas.Serving:
		condition.Reason = string(v1alpha1.ReasonRollingOut)
		condition.Message = counted + " decide by this generation. Waiting for " + waitingFor(replicas, v1alpha1.WaitingBehind) + "."
	case policy.audit:
		condition.Status = metav1.ConditionTrue
		condition.Reason = string(v1alpha1.ReasonEvaluated)
		condition.Message = "All serving replicas evaluate this generation."
	default:
		condition.Status = metav1.ConditionTrue
		condition.Reason = string(v1alpha1.ReasonInForce)
		condition.Message = "All serving replicas decide by this generation."
	}
	return condition
}

// waitingFor returns the names of the replicas for which the status waits, for one of these reasons; "" if there are
// none.
func waitingFor(replicas *v1alpha1.ReplicasStatus, reasons ...v1alpha1.WaitingReason) string {
	var names []string
	for _, waiting := range replicas.Waiting {
		if slices.Contains(reasons, waiting.Reason) {
			names = append(names, waiting.Name)
		}
	}
	return strings.Join(names, ", ")
}
