package fleet

import (
	"cmp"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

const (
	// outdatedAfter is the age from which a status is written again if Ready still waits for replicas, but its message
	// would now name or count others.
	outdatedAfter = 15 * time.Second
	// refreshAfter is the age at which a status is due for a refresh: it is written again with a new observedTime, even
	// if Ready is unchanged.
	refreshAfter = 10 * time.Minute
	// refreshWithin is the age before which every status is refreshed, however many policies there are.
	refreshWithin = 2 * time.Hour
	// refreshInterval is the time between two refreshes, over all policies, and refreshBurst is how many may be written
	// at once. With more policies than can be refreshed within refreshWithin, the interval is shorter.
	refreshInterval = 10 * time.Second
	refreshBurst    = 5
	// recentGeneration is how long after an edit the author may be waiting for the status. In that time, a change of
	// the policy's Ready is written before the statuses of other policies.
	recentGeneration = 2 * time.Minute
)

// readyStatus is what the status of a policy says about its rollout.
type readyStatus struct {
	status          metav1.ConditionStatus
	reason, message string
	// behind: by the counts in the status, some replica does not decide by the generation yet.
	behind bool
	at     time.Time // the observedTime in the status
}

func readyStatusOf(ready metav1.Condition, replicas *v1alpha1.ReplicasStatus) readyStatus {
	s := readyStatus{status: ready.Status, reason: ready.Reason, message: ready.Message, behind: isBehind(replicas)}
	if replicas != nil && replicas.ObservedTime != nil {
		s.at = replicas.ObservedTime.Time
	}
	return s
}

// isBehind reports whether some serving replica does not decide by the generation yet. It is also true if no replica
// serves, and if the replicas have not been counted.
func isBehind(replicas *v1alpha1.ReplicasStatus) bool {
	return replicas == nil || replicas.InForce == nil || replicas.Serving == nil || *replicas.Serving == 0 ||
		*replicas.InForce < *replicas.Serving
}

// holds reports whether the written status s can stay: Ready has the same status and reason as the current condition
// ready. The message of Ready may differ, since it counts replicas. behind says that some replica is or may be behind.
//
// A status that counts a replica as behind must be written again once none is. If the policy is accepted, Ready becomes
// True at that time. If it is not accepted, Ready stays False, so only s.behind shows that the written counts are old.
func (s readyStatus) holds(ready metav1.Condition, behind bool) bool {
	if s.behind && !behind {
		return false
	}
	return s.status == ready.Status && s.reason == ready.Reason
}

// staleness is why a status should be written although its Ready is unchanged.
type staleness int

const (
	fresh    staleness = iota // it need not be written
	aged                      // it is older than refreshAfter
	outdated                  // it is older than outdatedAfter, and its message names or counts the wrong replicas
)

// staleness returns why the status of a policy should be written again; ready is its unchanged condition Ready.
func (p *trackedPolicy) staleness(ready metav1.Condition, now time.Time) staleness {
	age := now.Sub(p.written.at)
	switch waiting := p.accepted == metav1.ConditionTrue && ready.Status != metav1.ConditionTrue; {
	case waiting && ready.Message != p.written.message && age > outdatedAfter:
		return outdated
	case age > refreshAfter, age < -refreshAfter: // negative: a clock was set back
		return aged
	default:
		return fresh
	}
}

// staleStatus is a policy whose status should be written although its Ready is unchanged.
type staleStatus struct {
	name  types.NamespacedName
	why   staleness
	since time.Time
}

// refreshBudget is a token bucket that limits how often statuses are written although Ready is unchanged.
type refreshBudget struct {
	left   float64
	filled time.Time
}

func newRefreshBudget(now time.Time) refreshBudget { return refreshBudget{refreshBurst, now} }

// take returns as many of the stale policies as the budget allows now: those that are outdated first, then the oldest.
// policies is the number of all policies.
func (b *refreshBudget) take(now time.Time, policies int, stale []staleStatus) []types.NamespacedName {
	perSecond := max(1/refreshInterval.Seconds(), float64(policies)/(refreshWithin-refreshAfter).Seconds())
	burst := max(refreshBurst, 1+perSecond*observeInterval.Seconds()) // at least as many as become due in one observeInterval
	b.left = min(burst, b.left+now.Sub(b.filled).Seconds()*perSecond)
	b.filled = now
	slices.SortFunc(stale, func(a, b staleStatus) int {
		return cmp.Or(cmp.Compare(b.why, a.why), a.since.Compare(b.since), cmp.Compare(a.name.String(), b.name.String()))
	})
	var taken []types.NamespacedName
	for _, status := range stale[:min(len(stale), int(b.left))] {
		taken = append(taken, status.name)
	}
	b.left -= float64(len(taken))
	return taken
}
