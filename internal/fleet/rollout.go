package fleet

import (
	"context"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/freshness"
)

const (
	// observeInterval is the time between two observations of the replicas while every policy is in force on all of
	// them.
	observeInterval = 45 * time.Second
	// observeDelay is the time from a new generation of a policy to the next observation: about as long as replicas
	// take to build the generation and report it.
	observeDelay = 300 * time.Millisecond
	// shortestInterval is the shortest time between two observations. While a generation is not in force everywhere,
	// each interval is half as long again as the one before, up to observeBackoffMax.
	shortestInterval  = 600 * time.Millisecond
	observeBackoffMax = 15 * time.Second
	// observeTimeout is the time limit of one observation.
	observeTimeout = 10 * time.Second
	// observeFailureLimit is how long observations may fail before a new generation gets the condition Ready=Unknown.
	observeFailureLimit = 5 * time.Second
)

// Rollout tracks how generations of policies come into force on all replicas, during one term of leadership. All
// methods may be called concurrently.
type Rollout struct {
	observer *Observer

	mu sync.Mutex
	// view is the result of the last successful observation.
	view view
	// observeErr is the error of the last observation; nil if it succeeded. failingSince is when observations began to
	// fail.
	observeErr   error
	failingSince time.Time
	tracked      map[types.NamespacedName]*trackedPolicy
	byReady      map[metav1.ConditionStatus]int // how many tracked policies have each status of Ready
	budget       refreshBudget
	// pending receives a value when a new generation of a policy is tracked.
	pending chan struct{}
}

// trackedPolicy is a policy whose generation is tracked.
type trackedPolicy struct {
	firstSeen

	uid      types.UID
	accepted metav1.ConditionStatus
	audit    bool
	// written is what the stored status says of the rollout, or will say once the caller of Rollout.Status has written
	// it.
	written readyStatus
	// provisional: the replicas have not been observed since the leader learned of the generation. The counts in its
	// status may then lack a replica that began to serve after the last observation.
	provisional bool
	// inherited: an earlier leader has already written a status for the generation.
	inherited bool
	// behind: by the last observation, some replica does not decide by the generation (isBehind). Unlike Ready, it also
	// shows this for a policy that is not accepted.
	behind bool
	// refresh: the status may be written although Ready is unchanged, so that its observedTime is recent.
	refresh bool
}

// waits reports whether another observation may change the status of the policy.
func (p *trackedPolicy) waits() bool {
	return p.behind || p.provisional || p.accepted == metav1.ConditionTrue && p.written.status != metav1.ConditionTrue
}

// firstSeen is when the leader learned of a generation of a policy.
type firstSeen struct {
	generation int64
	// version is the resourceVersion of the policy at that time. Rules that have reached it include the generation.
	version string
	at      time.Time
}

// coveredBy reports whether the observation v began after the leader first saw the generation. Then v includes every
// replica that may still decide by an older generation: a replica that starts later reads the new one at its start.
func (s firstSeen) coveredBy(v view) bool { return !v.startedAt.Before(s.at) }

// Status is the part of a policy's status that says where its generation is in force.
type Status struct {
	// Replicas counts the replicas that decide by the generation, and names some that do not; nil while unknown.
	Replicas *v1alpha1.ReplicasStatus
	// Ready is the condition. The caller sets lastTransitionTime and observedGeneration.
	Ready metav1.Condition
	// Settled: the stored Ready has the current status and reason, and the stored Replicas are recent enough. The
	// caller then need not write a status in which only Replicas and the message of Ready have changed.
	Settled bool
}

// NewRollout returns a rollout for a new term of leadership.
func NewRollout(observer *Observer) *Rollout {
	return &Rollout{
		observer: observer, tracked: map[types.NamespacedName]*trackedPolicy{}, byReady: map[metav1.ConditionStatus]int{},
		budget: newRefreshBudget(time.Now()), pending: make(chan struct{}, 1),
	}
}

// Run observes the replicas repeatedly until ctx ends, and enqueues the policies whose status must be written. urgent:
// the policy was edited recently, so that its author may be waiting for the status.
func (o *Rollout) Run(ctx context.Context, enqueue func(name types.NamespacedName, urgent bool)) {
	backoff := shortestInterval
	for ctx.Err() == nil {
		began := time.Now()
		changed := o.observe(ctx)
		for _, name := range changed.urgent {
			enqueue(name, true)
		}
		for _, name := range changed.others {
			enqueue(name, false)
		}
		wait := observeInterval
		if o.anyWaits() {
			wait, backoff = backoff, min(backoff*3/2, observeBackoffMax)
		} else {
			backoff = shortestInterval
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-o.pending:
			backoff = shortestInterval
			select {
			case <-ctx.Done():
			case <-time.After(max(observeDelay, shortestInterval-time.Since(began))):
			}
		}
	}
}

// Close sets the leader's metrics to 0. It is called when this replica stops leading.
func (o *Rollout) Close() {
	o.observer.Metrics.countPolicies(nil)
	o.observer.Metrics.countReplicas(view{})
}

// changes are the policies whose status must be written.
type changes struct {
	// urgent are those that were edited recently and whose Ready changes; others are the rest.
	urgent, others []types.NamespacedName
}

// observe observes the replicas once, and returns the policies whose status must be written.
func (o *Rollout) observe(ctx context.Context) changes {
	observing, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	began := time.Now()
	seen, err := o.observer.observe(observing)
	if ctx.Err() != nil {
		return changes{}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil {
		if o.observeErr == nil {
			o.observer.Logger.Error(err, "Replicas could not be observed")
			o.failingSince = began
		}
		o.observeErr = err
	} else {
		o.view, o.observeErr = seen, nil
		o.observer.Metrics.countReplicas(seen)
	}
	return o.changes(began)
}

// changes returns the policies whose status must be written after an observation that began at now. The caller holds
// the lock.
func (o *Rollout) changes(now time.Time) changes {
	var all changes
	var stale []staleStatus
	for name, policy := range o.tracked {
		replicas, ready := o.rolloutStatus(name.Namespace, policy)
		switch {
		case policy.coveredBy(o.view):
			policy.provisional = false
			policy.behind = isBehind(replicas)
		case policy.inherited:
			continue
		}
		switch {
		case !policy.written.holds(ready, policy.behind || policy.provisional):
			if now.Sub(policy.at) < recentGeneration {
				all.urgent = append(all.urgent, name)
			} else {
				all.others = append(all.others, name)
			}
		case !policy.provisional:
			if urgency := policy.staleness(ready, now); urgency > fresh {
				stale = append(stale, staleStatus{name, urgency, policy.written.at})
			}
		}
	}
	for _, name := range o.budget.take(now, len(o.tracked), stale) {
		o.tracked[name].refresh = true
		all.others = append(all.others, name)
	}
	return all
}

// anyWaits reports whether another observation may change the status of some policy.
func (o *Rollout) anyWaits() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, policy := range o.tracked {
		if policy.waits() {
			return true
		}
	}
	return false
}

// Status returns the rollout status of a policy's current generation, and tracks that generation from then on. stored
// is the policy's stored status. It may have the resourceVersion at which an earlier leader first saw the generation.
// A replica then counts as deciding by the generation once its rules have reached that version (see track).
func (o *Rollout) Status(
	object metav1.Object, stored v1alpha1.RegistrationPolicyStatus, accepted metav1.Condition, audit bool,
) Status {
	// Ignore a status of another generation, and one that was restored with the policy from another cluster.
	if stored.Replicas != nil && stored.Replicas.UID != string(object.GetUID()) || stored.ObservedGeneration != object.GetGeneration() {
		stored = v1alpha1.RegistrationPolicyStatus{}
	}
	previous := meta.FindStatusCondition(stored.Conditions, string(v1alpha1.ConditionReady))
	o.mu.Lock()
	defer o.mu.Unlock()
	name := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	policy := o.track(name, object, stored)
	policy.accepted, policy.audit = accepted.Status, audit

	status := Status{}
	status.Replicas, status.Ready = o.rolloutStatus(name.Namespace, policy)
	policy.provisional = accepted.Status == metav1.ConditionTrue && !policy.coveredBy(o.view)
	policy.behind = isBehind(status.Replicas)
	if policy.provisional && policy.inherited && previous != nil && stored.Replicas != nil {
		status.Replicas, status.Ready = stored.Replicas, *previous
	}
	status.Settled = previous != nil && stored.Replicas != nil && !policy.refresh &&
		readyStatusOf(*previous, stored.Replicas).holds(status.Ready, policy.behind || policy.provisional)
	policy.refresh = false
	o.byReady[policy.written.status]--
	if status.Settled {
		policy.written = readyStatusOf(*previous, stored.Replicas)
	} else {
		policy.written = readyStatusOf(status.Ready, status.Replicas)
	}
	o.byReady[policy.written.status]++
	o.observer.Metrics.countPolicies(o.byReady)
	return status
}

// track returns the tracked policy of an object. If the object has a new generation, it begins to track that.
func (o *Rollout) track(name types.NamespacedName, object metav1.Object, stored v1alpha1.RegistrationPolicyStatus) *trackedPolicy {
	now := object.GetResourceVersion()
	policy := o.tracked[name]
	if policy != nil && policy.uid == object.GetUID() && policy.generation == object.GetGeneration() &&
		!freshness.Older(now, policy.version) {
		return policy
	}
	seen := firstSeen{generation: object.GetGeneration(), version: now, at: time.Now()}
	// Prefer the version at which an earlier leader first saw the generation. The object's own version may be later,
	// since each write of the status raises it. Replicas that decide by the generation would then count as behind until
	// they reach the later version.
	//
	// A stored version that is newer than the object is from before an etcd restore. It is not used, because no replica
	// would reach it.
	if told := stored.Replicas; told != nil && told.FirstSeenResourceVersion != "" && !freshness.Older(now, told.FirstSeenResourceVersion) {
		seen.version = told.FirstSeenResourceVersion
	}
	if policy != nil {
		o.byReady[policy.written.status]--
	}
	policy = &trackedPolicy{uid: object.GetUID(), firstSeen: seen, inherited: stored.Replicas != nil}
	o.tracked[name] = policy
	o.byReady[policy.written.status]++
	select {
	case o.pending <- struct{}{}:
	default:
	}
	return policy
}

// rolloutStatus returns which replicas decide by the generation of a policy, and its condition Ready. The caller holds
// the lock.
func (o *Rollout) rolloutStatus(namespace string, policy *trackedPolicy) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	replicas := replicasStatus(o.view, namespace, policy)
	switch {
	case policy.accepted != metav1.ConditionTrue, policy.coveredBy(o.view):
		ready := readyCondition(policy, namespace, replicas)
		if o.view.startedAt.IsZero() {
			replicas = nil // nothing was observed yet
		}
		return replicas, ready
	case o.observeErr != nil && (o.view.startedAt.IsZero() || time.Since(o.failingSince) > observeFailureLimit):
		return nil, metav1.Condition{
			Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionUnknown, Reason: string(v1alpha1.ReasonReplicasUnknown),
			Message: "The replicas could not be observed: " + o.observeErr.Error() + ".",
		}
	}
	if o.view.startedAt.IsZero() {
		replicas = nil
	}
	// Ready must not be True yet: o.view may lack a replica that began to serve after the observation.
	return replicas, metav1.Condition{
		Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRollingOut),
		Message: "This generation is new: the replicas have not been observed since.",
	}
}

// Forget stops tracking a deleted policy.
func (o *Rollout) Forget(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	policy := o.tracked[name]
	if policy == nil {
		return
	}
	delete(o.tracked, name)
	o.byReady[policy.written.status]--
	o.observer.Metrics.countPolicies(o.byReady)
}

// LastReplicaStops returns the accepted policies if this replica is stopping and all others have stopped or are
// stopping; nil otherwise. In the first case, Status then says that no replica serves. The caller must write that
// status for the returned policies, since no replica can do so later. LastReplicaStops fails if the replicas cannot be
// observed.
func (o *Rollout) LastReplicaStops(ctx context.Context) ([]types.NamespacedName, error) {
	local := o.observer.Local
	if local == nil || !local.Stopping() {
		return nil, nil
	}
	seen, err := o.observer.observe(ctx)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(seen.replicas, func(r replicaView) bool { return !r.stopping && r.name != local.Name() }) {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.view, o.observeErr = view{startedAt: time.Now()}, nil
	var names []types.NamespacedName
	for name, policy := range o.tracked {
		if policy.accepted == metav1.ConditionTrue {
			names = append(names, name)
		}
	}
	return names, nil
}
