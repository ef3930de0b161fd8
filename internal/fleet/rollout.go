package fleet

import (
	"context"
	"maps"
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
	// observePending is how often the leader looks at the fleet while some policy is not in force everywhere.
	observePending = 500 * time.Millisecond
	// observeSteady is how often it does otherwise.
	observeSteady = 5 * time.Second
	// observePause is the least time between two looks.
	observePause = 100 * time.Millisecond
	// observeTimeout is the time for one look.
	observeTimeout = 10 * time.Second
)

// Rollout tracks how generations of policies come into force on all replicas. It lasts for one term of leadership. All methods may
// be called at the same time.
type Rollout struct {
	observer *Observer

	mu sync.Mutex
	// view is what was last seen of the fleet, and fault what was wrong with the last look.
	view    view
	fault   error
	tracked map[types.NamespacedName]trackedPolicy
	// pending is full when a policy begins to wait.
	pending chan struct{}
}

// trackedPolicy is a policy whose generation is tracked.
type trackedPolicy struct {
	uid types.UID
	firstSeen
	accepted bool
	ready    metav1.ConditionStatus
	// behind says that some replica is not known to decide by the generation, be it accepted or not.
	behind bool
	// provisional says that the status still repeats the previous leader's, or says that the generation is new.
	provisional bool
}

// waits reports whether another look may make a difference to the policy.
func (p trackedPolicy) waits() bool {
	return p.behind || p.provisional || p.accepted && p.ready != metav1.ConditionTrue
}

// firstSeen is when the leader learned of a generation of a policy.
type firstSeen struct {
	generation int64
	// version is the resourceVersion of the policy at which it did. Every replica whose rules are as new has that generation.
	version string
	at      time.Time
}

// observedBefore reports whether the generation was known before the look began: a replica that served by then is in view.
func (s firstSeen) observedBefore(v view) bool { return !v.begun.Before(s.at) }

// NewRollout returns a rollout for the term that begins.
func NewRollout(observer *Observer) *Rollout {
	return &Rollout{observer: observer, tracked: map[types.NamespacedName]trackedPolicy{}, pending: make(chan struct{}, 1)}
}

// Run looks at the fleet again and again until ctx ends, and enqueues the policies to which a look makes a difference.
func (o *Rollout) Run(ctx context.Context, enqueue func(types.NamespacedName)) {
	for ctx.Err() == nil {
		wait := observeSteady
		for _, name := range o.observe(ctx) {
			enqueue(name)
		}
		if o.anyWaits() {
			wait = observePending
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-o.pending:
			select {
			case <-ctx.Done():
			case <-time.After(observePause):
			}
		}
	}
}

// Close ends the term: this replica counts nothing any more.
func (o *Rollout) Close() {
	o.observer.Metrics.countPolicies(nil)
	o.observer.Metrics.countReplicas(view{})
}

// observe takes a look, and returns the policies to which it makes a difference.
func (o *Rollout) observe(ctx context.Context) []types.NamespacedName {
	looking, cancel := context.WithTimeout(ctx, observeTimeout)
	defer cancel()
	seen, err := o.observer.observe(looking)
	if ctx.Err() != nil {
		return nil
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	before, failedBefore := o.view, o.fault != nil
	o.fault = err
	if err != nil {
		if failedBefore {
			return nil
		}
		o.observer.Logger.Error(err, "Replicas could not be observed")
		return slices.Collect(maps.Keys(o.tracked)) // what was seen stays true of the generations that were known then
	}
	o.view = seen
	o.observer.Metrics.countReplicas(seen)
	members := before.begun.IsZero() || !seen.sameMembers(before)
	var names []types.NamespacedName
	for name, policy := range o.tracked {
		if members || policy.waits() && (!seen.equal(before) || !policy.observedBefore(before)) {
			names = append(names, name)
		}
	}
	return names
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

// Status returns which replicas decide by the generation of an object, and its condition Ready, but for the fields that depend on
// the object's history. stored is the status that it has: where an earlier leader has seen the generation first, that counts.
func (o *Rollout) Status(
	object metav1.Object, stored v1alpha1.RegistrationPolicyStatus, accepted metav1.Condition, audit bool,
) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	policy, found := o.tracked[name]
	now := object.GetResourceVersion()
	if !found || policy.uid != object.GetUID() || policy.generation != object.GetGeneration() || freshness.Older(now, policy.version) {
		seen := firstSeen{generation: object.GetGeneration(), version: now, at: time.Now()}
		// A version that is newer than the object is from before etcd was restored: no replica would reach it.
		if told := stored.Replicas; told != nil && stored.ObservedGeneration == seen.generation &&
			told.FirstSeenResourceVersion != "" && !freshness.Older(now, told.FirstSeenResourceVersion) {
			seen.version = told.FirstSeenResourceVersion
		}
		policy = trackedPolicy{uid: object.GetUID(), firstSeen: seen}
	}
	replicas := replicasStatus(o.view, name.Namespace, policy.firstSeen)
	condition := readyCondition(accepted, audit, name.Namespace, replicas)
	policy.provisional = accepted.Status == metav1.ConditionTrue && !policy.observedBefore(o.view)
	if o.view.begun.IsZero() {
		replicas = nil // and not those of an earlier generation, with the version at which that was seen
	}
	if policy.provisional {
		replicas, condition = o.provisional(stored, policy.generation, replicas)
	}
	policy.accepted = accepted.Status == metav1.ConditionTrue
	policy.ready = condition.Status
	policy.behind = replicas == nil || *replicas.InForce < *replicas.Serving
	o.tracked[name] = policy
	o.count()
	if policy.waits() {
		select {
		case o.pending <- struct{}{}:
		default:
		}
	}
	return replicas, condition
}

// provisional returns what to say of a generation until the next look: a replica that has begun to serve since the last one is not
// in view. Where an earlier leader has spoken of the generation, it repeats that.
func (o *Rollout) provisional(
	stored v1alpha1.RegistrationPolicyStatus, generation int64, replicas *v1alpha1.ReplicasStatus,
) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	previous := meta.FindStatusCondition(stored.Conditions, string(v1alpha1.ConditionReady))
	if previous != nil && previous.ObservedGeneration == generation && previous.Reason != string(v1alpha1.ReasonReplicasUnknown) {
		return stored.Replicas, *previous
	}
	condition := metav1.Condition{Type: string(v1alpha1.ConditionReady)}
	if o.view.begun.IsZero() && o.fault != nil {
		condition.Status = metav1.ConditionUnknown
		condition.Reason = string(v1alpha1.ReasonReplicasUnknown)
		condition.Message = "The replicas could not be observed: " + o.fault.Error() + "."
		return nil, condition
	}
	condition.Status = metav1.ConditionFalse
	condition.Reason = string(v1alpha1.ReasonRollingOut)
	condition.Message = "This generation is new."
	return replicas, condition
}

// Forget ends the tracking of a policy that is gone.
func (o *Rollout) Forget(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.tracked, name)
	o.count()
}

func (o *Rollout) count() {
	byStatus := map[metav1.ConditionStatus]int{}
	for _, policy := range o.tracked {
		byStatus[policy.ready]++
	}
	o.observer.Metrics.countPolicies(byStatus)
}
