package controllers

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/freshness"
)

const (
	// lookPending is how often the leader looks at the fleet while some policy is not in force everywhere.
	lookPending = 500 * time.Millisecond
	// lookSteady is how often it does otherwise.
	lookSteady = 5 * time.Second
	// lookPause is the least time between two looks.
	lookPause = 100 * time.Millisecond
	// lookTimeout is the time for one look.
	lookTimeout = 10 * time.Second
)

// rollout follows how generations of policies come into force on all replicas. It lasts for one term of leadership. All methods may
// be called at the same time.
type rollout struct {
	fleet   *Fleet
	metrics *Metrics
	logger  logr.Logger

	mu sync.Mutex
	// view is what was last seen of the fleet, and fault what was wrong with the last look.
	view  fleetView
	fault error
	known map[types.NamespacedName]followed
	// pending is told when a policy begins to wait.
	pending chan struct{}
}

// followed is a policy whose generation is followed.
type followed struct {
	uid types.UID
	firstSeen
	accepted bool
	ready    metav1.ConditionStatus
	// behind says that some replica is not known to decide by it, be it accepted or not.
	behind bool
	// meanwhile says that what is said of it is what an earlier leader has said.
	meanwhile bool
}

// waits says that another look may make a difference to the policy.
func (f followed) waits() bool {
	return f.behind || f.meanwhile || f.accepted && f.ready != metav1.ConditionTrue
}

func newRollout(fleet *Fleet, metrics *Metrics, logger logr.Logger) *rollout {
	return &rollout{
		fleet: fleet, metrics: metrics, logger: logger,
		known: map[types.NamespacedName]followed{}, pending: make(chan struct{}, 1),
	}
}

// look looks at the fleet again and again until ctx ends, and asks for the status of those policies to which it makes a difference.
func (o *rollout) look(ctx context.Context, ask func(ctrl.Request)) {
	for ctx.Err() == nil {
		wait := lookSteady
		for _, name := range o.lookOnce(ctx) {
			ask(ctrl.Request{NamespacedName: name})
		}
		if o.anyWaits() {
			wait = lookPending
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-o.pending:
			select {
			case <-ctx.Done():
			case <-time.After(lookPause):
			}
		}
	}
}

// lookOnce takes a look, and returns the policies to which it makes a difference.
func (o *rollout) lookOnce(ctx context.Context) []types.NamespacedName {
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	view, err := o.fleet.observe(looking)
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
		o.logger.Error(unquoted(err), "Could not look which replicas decide by what")
		return slices.Collect(maps.Keys(o.known)) // what was seen stays true of the generations that were known then
	}
	o.view = view
	o.metrics.ledReplicas(view)
	members := before.begun.IsZero() || !view.sameMembers(before)
	var names []types.NamespacedName
	for name, policy := range o.known {
		if members || policy.waits() && (!view.equal(before) || !policy.seenBefore(before)) {
			names = append(names, name)
		}
	}
	return names
}

func (o *rollout) anyWaits() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, policy := range o.known {
		if policy.waits() {
			return true
		}
	}
	return false
}

// of returns which replicas decide by the generation of an object, and its condition Ready. stored is the status that it has: where
// an earlier leader has seen the generation first, that counts.
func (o *rollout) of(
	object *unstructured.Unstructured, stored policyStatus, accepted metav1.Condition, audit bool,
) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name := types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
	policy, found := o.known[name]
	now := object.GetResourceVersion()
	if !found || policy.uid != object.GetUID() || policy.generation != object.GetGeneration() || freshness.Older(now, policy.version) {
		seen := firstSeen{generation: object.GetGeneration(), version: now, at: time.Now()}
		// One that is newer than the object is of before etcd was restored: no replica would reach it.
		if told := stored.Replicas; told != nil && stored.ObservedGeneration == seen.generation &&
			told.FirstSeenResourceVersion != "" && !freshness.Older(now, told.FirstSeenResourceVersion) {
			seen.version = told.FirstSeenResourceVersion
		}
		policy = followed{uid: object.GetUID(), firstSeen: seen}
	}
	replicas := replicasStatus(o.view, policy.firstSeen)
	condition := readyCondition(accepted, audit, replicas)
	policy.meanwhile = accepted.Status == metav1.ConditionTrue && !policy.seenBefore(o.view)
	if o.view.begun.IsZero() {
		replicas = nil // and not those of an earlier generation, with the version at which that was seen
	}
	if policy.meanwhile {
		replicas, condition = o.meanwhile(stored, policy.generation, replicas)
	}
	policy.accepted = accepted.Status == metav1.ConditionTrue
	policy.ready = condition.Status
	policy.behind = replicas == nil || *replicas.InForce < *replicas.Serving
	o.known[name] = policy
	o.count()
	if policy.waits() {
		select {
		case o.pending <- struct{}{}:
		default:
		}
	}
	return replicas, condition
}

// meanwhile returns what to say of a generation until the next look: a replica that has begun to take calls since the last one
// is not in view. Of a generation of which an earlier leader has spoken, that is the same.
func (o *rollout) meanwhile(
	stored policyStatus, generation int64, replicas *v1alpha1.ReplicasStatus,
) (*v1alpha1.ReplicasStatus, metav1.Condition) {
	said := meta.FindStatusCondition(stored.Conditions, string(v1alpha1.ConditionReady))
	if said != nil && said.ObservedGeneration == generation && said.Reason != string(v1alpha1.ReasonReplicasUnknown) {
		return stored.Replicas, *said
	}
	condition := metav1.Condition{Type: string(v1alpha1.ConditionReady)}
	if o.view.begun.IsZero() && o.fault != nil {
		condition.Status = metav1.ConditionUnknown
		condition.Reason = string(v1alpha1.ReasonReplicasUnknown)
		condition.Message = "It could not be found out which replicas can be asked: " + unquoted(o.fault).Error() + "."
		return nil, condition
	}
	condition.Status = metav1.ConditionFalse
	condition.Reason = string(v1alpha1.ReasonRollingOut)
	condition.Message = "This generation is new."
	return replicas, condition
}

// forget ends the following of a policy that is gone.
func (o *rollout) forget(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.known, name)
	o.count()
}

func (o *rollout) count() {
	byStatus := map[metav1.ConditionStatus]int{}
	for _, policy := range o.known {
		byStatus[policy.ready]++
	}
	o.metrics.ledPolicies(byStatus)
}
