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
	// settleTime is how old a status may be that names the replicas which are waited for, before it is brought up to date.
	settleTime = 15 * time.Second
	// confirmAfter is how old any status may be before it is confirmed.
	confirmAfter = 10 * time.Minute
	// confirmWithin is how old a status may get, however many policies there are.
	confirmWithin = 2 * time.Hour
	// refreshInterval is the most time between two writes for either reason, over all policies, and refreshBurst how many may follow
	// each other at once. More policies than can be confirmed so within confirmWithin are written as much more often.
	refreshInterval = 10 * time.Second
	refreshBurst    = 5
	// recentGeneration is how old a generation may be for somebody to wait for its status.
	recentGeneration = 2 * time.Minute
)

// said is what the status of a policy says of Ready.
type said struct {
	status          metav1.ConditionStatus
	reason, message string
	// behind says that some replica is not known to decide by the generation.
	behind bool
	at     time.Time
}

func saidOf(ready metav1.Condition, replicas *v1alpha1.ReplicasStatus) said {
	s := said{status: ready.Status, reason: ready.Reason, message: ready.Message, behind: isBehind(replicas)}
	if replicas != nil && replicas.ObservedTime != nil {
		s.at = replicas.ObservedTime.Time
	}
	return s
}

// isBehind reports whether a status does not say that a generation is in force on every replica. One that knows of no replica says
// nothing of those to come.
func isBehind(replicas *v1alpha1.ReplicasStatus) bool {
	return replicas == nil || replicas.InForce == nil || replicas.Serving == nil || *replicas.Serving == 0 ||
		*replicas.InForce < *replicas.Serving
}

// same reports whether the status need not be written for what is known now: Ready is the same but for its message, which counts
// replicas, and the status does not say that a generation which is in force everywhere is not. The latter is how a policy that is not
// accepted, whose Ready never changes, is seen to be rolled out.
func (s said) same(ready metav1.Condition, behind bool) bool {
	if s.behind && !behind {
		return false
	}
	return s.status == ready.Status && s.reason == ready.Reason
}

// staleness says why a status should be written although its Ready stays as it is.
type staleness int

const (
	fresh       staleness = iota
	unconfirmed           // it is old
	outdated              // it names other replicas than those that are waited for
)

func (p *trackedPolicy) staleness(ready metav1.Condition, now time.Time) staleness {
	age := now.Sub(p.said.at)
	switch waiting := p.accepted == metav1.ConditionTrue && ready.Status != metav1.ConditionTrue; {
	case waiting && ready.Message != p.said.message && age > settleTime:
		return outdated
	case age > confirmAfter, age < -confirmAfter: // a clock was set back
		return unconfirmed
	default:
		return fresh
	}
}

// staleStatus is a policy whose status should be written although its Ready stays as it is.
type staleStatus struct {
	name  types.NamespacedName
	why   staleness
	since time.Time
}

// refreshBudget bounds how many statuses are written although Ready stays as it is.
type refreshBudget struct {
	left   float64
	filled time.Time
}

func newRefreshBudget(now time.Time) refreshBudget { return refreshBudget{refreshBurst, now} }

// take returns as many of so many policies as may be written now: first those that are outdated, then the oldest.
func (b *refreshBudget) take(now time.Time, policies int, stale []staleStatus) []types.NamespacedName {
	perSecond := max(1/refreshInterval.Seconds(), float64(policies)/(confirmWithin-confirmAfter).Seconds())
	burst := max(refreshBurst, 1+perSecond*observeSteady.Seconds()) // what comes up from one observation to the next
	b.left = min(burst, b.left+now.Sub(b.filled).Seconds()*perSecond)
	b.filled = now
	slices.SortFunc(stale, func(a, b staleStatus) int {
		return cmp.Or(cmp.Compare(b.why, a.why), a.since.Compare(b.since), cmp.Compare(a.name.String(), b.name.String()))
	})
	var taken []types.NamespacedName
	for _, one := range stale[:min(len(stale), int(b.left))] {
		taken = append(taken, one.name)
	}
	b.left -= float64(len(taken))
	return taken
}
