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
	// observeSteady is the time between two observations of the fleet while every policy is in force everywhere.
	observeSteady = 45 * time.Second
	// observeFirst is the time from a new generation to an observation: about what replicas take to build and report it.
	observeFirst = 300 * time.Millisecond
	// observePause is the least time between two observations. While a generation waits, each takes half as long again to come as
	// the one before, up to observePendingMax.
	observePause      = 600 * time.Millisecond
	observePendingMax = 15 * time.Second
	// observeTimeout is the time for one observation.
	observeTimeout = 10 * time.Second
	// faultLimit is how long observations may fail before new generations are said to be unknown.
	faultLimit = 5 * time.Second
)

// Rollout tracks how generations of policies come into force on all replicas. It lasts for one term of leadership. All methods may
// be called at the same time.
type Rollout struct {
	observer *Observer

	mu sync.Mutex
	// view is what was last seen of the fleet. fault is what was wrong with the last observation, and faultSince since when they fail.
	view       view
	fault      error
	faultSince time.Time
	tracked    map[types.NamespacedName]*trackedPolicy
	byReady    map[metav1.ConditionStatus]int
	budget     refreshBudget
	// pending is full when a new generation begins to wait.
	pending chan struct{}
}

// trackedPolicy is a policy whose generation is tracked.
type trackedPolicy struct {
	firstSeen

	uid      types.UID
	accepted metav1.ConditionStatus
	audit    bool
	// said is what the status says of Ready.
	said said
	// provisional says that this is from before the generation was observed: that it is new, or, if inherited, what the previous
	// leader said.
	provisional, inherited bool
	// behind says that some replica is not known to decide by the generation, be it accepted or not.
	behind bool
	// refresh says that the status may be written although Ready stays as it is.
	refresh bool
}

// waits reports whether another observation may make a difference to the policy.
func (p *trackedPolicy) waits() bool {
	return p.behind || p.provisional || p.accepted == metav1.ConditionTrue && p.said.status != metav1.ConditionTrue
}

// firstSeen is when the leader learned of a generation of a policy.
type firstSeen struct {
	generation int64
	// version is the resourceVersion of the policy at which it did. Every replica whose rules are as new has that generation.
	version string
	at      time.Time
}

// observedBefore reports whether the generation was known before the observation began: a replica that served by then is in view.
func (s firstSeen) observedBefore(v view) bool { return !v.begun.Before(s.at) }

// Status is what to say of the generation of a policy.
type Status struct {
	// Replicas says which replicas decide by it; nil while that is not known.
	Replicas *v1alpha1.ReplicasStatus
	// Ready is the condition, but for the fields that depend on the object's history.
	Ready metav1.Condition
	// Settled says that the stored status says the same of Ready. For what else is new in Replicas it need not be written.
	Settled bool
}

// NewRollout returns a rollout for the term that begins.
func NewRollout(observer *Observer) *Rollout {
	return &Rollout{
		observer: observer, tracked: map[types.NamespacedName]*trackedPolicy{}, byReady: map[metav1.ConditionStatus]int{},
		budget: newRefreshBudget(time.Now()), pending: make(chan struct{}, 1),
	}
}

// Run observes the fleet again and again until ctx ends, and enqueues the policies to which that makes a difference. urgent says
// that somebody may be waiting for it.
func (o *Rollout) Run(ctx context.Context, enqueue func(name types.NamespacedName, urgent bool)) {
	backoff := observePause
	for ctx.Err() == nil {
		began := time.Now()
		changed := o.observe(ctx)
		for _, name := range changed.urgent {
			enqueue(name, true)
		}
		for _, name := range changed.others {
			enqueue(name, false)
		}
		wait := observeSteady
		if o.anyWaits() {
			wait, backoff = backoff, min(backoff*3/2, observePendingMax)
		} else {
			backoff = observePause
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-o.pending:
			backoff = observePause
			select {
			case <-ctx.Done():
			case <-time.After(max(observeFirst, observePause-time.Since(began))):
			}
		}
	}
}

// Close ends the term: this replica counts nothing any more.
func (o *Rollout) Close() {
	o.observer.Metrics.countPolicies(nil)
	o.observer.Metrics.countReplicas(view{})
}

// changes are the policies whose status has to be written.
type changes struct {
	// urgent are those whose Ready changes soon after an edit; others are those for which nobody waits.
	urgent, others []types.NamespacedName
}

// observe observes the fleet once.
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
		if o.fault == nil {
			o.observer.Logger.Error(err, "Replicas could not be observed")
			o.faultSince = began
		}
		o.fault = err
	} else {
		o.view, o.fault = seen, nil
		o.observer.Metrics.countReplicas(seen)
	}
	return o.changes(began)
}

// changes returns what is to be written after an observation.
func (o *Rollout) changes(now time.Time) changes {
	var all changes
	var stale []staleStatus
	for name, policy := range o.tracked {
		replicas, ready := o.compute(name.Namespace, policy)
		switch observed := policy.observedBefore(o.view); {
		case observed:
			policy.provisional = false
			policy.behind = isBehind(replicas)
		case policy.inherited:
			continue
		}
		switch {
		case !policy.said.same(ready, policy.behind || policy.provisional):
			if now.Sub(policy.at) < recentGeneration {
				all.urgent = append(all.urgent, name)
			} else {
				all.others = append(all.others, name)
			}
		case !policy.provisional:
			if urgency := policy.staleness(ready, now); urgency > fresh {
				stale = append(stale, staleStatus{name, urgency, policy.said.at})
			}
		}
	}
	for _, name := range o.budget.take(now, len(o.tracked), stale) {
		o.tracked[name].refresh = true
		all.others = append(all.others, name)
	}
	return all
}

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

// Status returns what to say of the generation of an object. stored is the status that it has: where an earlier leader has seen the
// generation first, that counts.
func (o *Rollout) Status(
	object metav1.Object, stored v1alpha1.RegistrationPolicyStatus, accepted metav1.Condition, audit bool,
) Status {
	if stored.Replicas != nil && stored.Replicas.UID != string(object.GetUID()) || stored.ObservedGeneration != object.GetGeneration() {
		stored = v1alpha1.RegistrationPolicyStatus{} // of another generation, or restored from another cluster
	}
	previous := meta.FindStatusCondition(stored.Conditions, string(v1alpha1.ConditionReady))
	o.mu.Lock()
	defer o.mu.Unlock()
	name := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	policy := o.track(name, object, stored)
	policy.accepted, policy.audit = accepted.Status, audit

	status := Status{}
	status.Replicas, status.Ready = o.compute(name.Namespace, policy)
	policy.provisional = accepted.Status == metav1.ConditionTrue && !policy.observedBefore(o.view)
	policy.behind = isBehind(status.Replicas)
	if policy.provisional && policy.inherited && previous != nil && stored.Replicas != nil {
		status.Replicas, status.Ready = stored.Replicas, *previous
	}
	status.Settled = previous != nil && stored.Replicas != nil && !policy.refresh &&
		saidOf(*previous, stored.Replicas).same(status.Ready, policy.behind || policy.provisional)
	policy.refresh = false
	o.byReady[policy.said.status]--
	if status.Settled {
		policy.said = saidOf(*previous, stored.Replicas)
	} else {
		policy.said = saidOf(status.Ready, status.Replicas)
	}
	o.byReady[policy.said.status]++
	o.observer.Metrics.countPolicies(o.byReady)
	return status
}

// track returns what is known of the generation of an object. One that is new begins to wait.
func (o *Rollout) track(name types.NamespacedName, object metav1.Object, stored v1alpha1.RegistrationPolicyStatus) *trackedPolicy {
	now := object.GetResourceVersion()
	policy := o.tracked[name]
	if policy != nil && policy.uid == object.GetUID() && policy.generation == object.GetGeneration() &&
		!freshness.Older(now, policy.version) {
		return policy
	}
	seen := firstSeen{generation: object.GetGeneration(), version: now, at: time.Now()}
	// A version that is newer than the object is from before etcd was restored: no replica would reach it.
	if told := stored.Replicas; told != nil && told.FirstSeenResourceVersion != "" && !freshness.Older(now, told.FirstSeenResourceVersion) {
		seen.version = told.FirstSeenResourceVersion
	}
	if policy != nil {
		o.byReady[policy.said.status]--
	}
	policy = &trackedPolicy{uid: object.GetUID(), firstSeen: seen, inherited: stored.Replicas != nil}
	o.tracked[name] = policy
	o.byReady[policy.said.status]++
	select {
	case o.pending <- struct{}{}:
	default:
	}
	return policy
}

// compute returns which replicas decide by the generation of a policy, and its condition Ready.
func (o *Rollout) compute(namespace string, policy *trackedPolicy) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	replicas := replicasStatus(o.view, namespace, policy)
	switch {
	case policy.accepted != metav1.ConditionTrue, policy.observedBefore(o.view):
		ready := readyCondition(policy, namespace, replicas)
		if o.view.begun.IsZero() {
			replicas = nil // and not those of an earlier generation, with the version at which that was seen
		}
		return replicas, ready
	case o.fault != nil && (o.view.begun.IsZero() || time.Since(o.faultSince) > faultLimit):
		return nil, metav1.Condition{
			Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionUnknown, Reason: string(v1alpha1.ReasonReplicasUnknown),
			Message: "The replicas could not be observed: " + o.fault.Error() + ".",
		}
	}
	if o.view.begun.IsZero() {
		replicas = nil
	}
	// A replica that has begun to serve since the last observation is not in view.
	return replicas, metav1.Condition{
		Type: string(v1alpha1.ConditionReady), Status: metav1.ConditionFalse, Reason: string(v1alpha1.ReasonRollingOut),
		Message: "This generation is new.",
	}
}

// Forget ends the tracking of a policy that is gone.
func (o *Rollout) Forget(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	policy := o.tracked[name]
	if policy == nil {
		return
	}
	delete(o.tracked, name)
	o.byReady[policy.said.status]--
	o.observer.Metrics.countPolicies(o.byReady)
}

// LastLeaves reports whether this replica is told to stop and no other one goes on serving. Then it is the last that can say so, and
// returns the policies whose Ready says otherwise: from now on, Status says that no replica serves.
func (o *Rollout) LastLeaves(ctx context.Context) ([]types.NamespacedName, error) {
	if self := o.observer.Replica; self == nil || !self.stopping.Load() {
		return nil, nil
	}
	seen, err := o.observer.observe(ctx)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(seen.replicas, func(r replicaView) bool { return !r.stopping && r.name != o.observer.Replica.options.Name }) {
		return nil, nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.view, o.fault = view{begun: time.Now()}, nil
	var names []types.NamespacedName
	for name, policy := range o.tracked {
		if policy.accepted == metav1.ConditionTrue {
			names = append(names, name)
		}
	}
	return names, nil
}
