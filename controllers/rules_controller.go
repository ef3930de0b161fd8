package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/build"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/replica"
)

const (
	// buildsAtOnce is how many namespaces are built at the same time, so that one with slow lists does not delay the
	// others.
	buildsAtOnce = 4
	// refusedInterval is the wait after the API server answered 403 because this operator lacks a permission.
	refusedInterval = 5 * time.Second
	// retryInterval and retryIntervalMax are the shortest and longest wait after a failed build.
	retryInterval    = 200 * time.Millisecond
	retryIntervalMax = 10 * time.Second
	// syncedInterval is the time between two checks of whether a namespace has reached the resourceVersion that
	// [freshness.Advancer] was asked for.
	syncedInterval = time.Second
	// firstReadLimit is how long a namespace that was never read may be refused by the API server before it counts as
	// unreadable. A Role that is created together with the operator takes a moment to apply. Until then nothing is
	// published; afterwards see [publish.Publisher.SetUnreadable].
	firstReadLimit = 5 * time.Second
	// listLagLimit is how long builds of a namespace may fail before they read the newest version of each list, even if
	// the watch has not delivered it yet (see listSource).
	listLagLimit = 5 * time.Second
	// buildFailureLimit is how long builds of a namespace may fail, although the API server answers, before the
	// namespace counts as unreadable. While an API server starts, it may answer with errors for about that long.
	buildFailureLimit = 30 * time.Second
)

// cacheSyncTimeout is how long a controller waits for its first list: practically forever. After controller-runtime's
// default of two minutes the process would end, and an unreachable API server would cause a crash loop.
const cacheSyncTimeout = 10 * 365 * 24 * time.Hour

// RulesReconciler keeps the rules in a [rules.Store] up to date with the policies in a cluster. Every replica runs one.
// A reconcile request names a namespace: all of its policies are checked, and the changed ones are compiled again.
type RulesReconciler struct {
	watches   *informers.Set
	tracker   *freshness.Tracker
	advancer  *freshness.Advancer
	builder   *build.Builder
	publisher *publish.Publisher
	metrics   *publish.Metrics
	// changed are namespaces to reconcile although none of their objects changed. A reconcile also updates the
	// resourceVersion up to which the rules are current. It is due when AdvanceTo asks for a later version, and when
	// the [freshness.Advancer] finds that a watch has reached one. It is also due when the namespace becomes unreadable
	// or readable.
	changed *pendingNamespaces

	mu           sync.Mutex
	built        map[string]*build.Namespace // the last build, by namespace
	buildStarted map[string]time.Time        // the start of the last build, by namespace
	failingSince map[string]time.Time        // since when builds fail although the API server answers, by namespace
	onBuilt      func(policies []types.NamespacedName)
}

// RulesOptions configure a RulesReconciler.
type RulesOptions struct {
	// Watches provides policies and lists. Tracker, the one of Watches, tells how current they are.
	Watches *informers.Set
	Tracker *freshness.Tracker
	// Lists reads and compiles the lists that policies name.
	Lists *publish.Lists
	// Publisher compiles policies and puts them in force.
	Publisher *publish.Publisher
	// Limits are the memory limits of namespaces; nil: no limits.
	Limits budget.Limits
	// Metrics counts failed builds, and shows how much memory each namespace needs.
	Metrics *publish.Metrics
}

// NewRulesReconciler returns a reconciler with these options. It fails only if the built-in schema is invalid.
func NewRulesReconciler(o RulesOptions) (*RulesReconciler, error) {
	builder, err := build.New(build.Options{
		Stored: o.Watches, Lists: o.Lists, Publisher: o.Publisher, Limits: o.Limits, Metrics: o.Metrics,
	})
	if err != nil {
		return nil, err
	}
	r := &RulesReconciler{
		watches: o.Watches, tracker: o.Tracker, advancer: freshness.NewAdvancer(o.Tracker, o.Watches.ListMetadata),
		builder: builder, publisher: o.Publisher, metrics: o.Metrics, changed: newPendingNamespaces(),
		built: map[string]*build.Namespace{}, buildStarted: map[string]time.Time{}, failingSince: map[string]time.Time{},
	}
	o.Tracker.OnChange(r.changed.add)
	for _, namespace := range o.Tracker.Namespaces() {
		o.Metrics.Budget(namespace, 0, o.Limits[namespace]) // until the first build
	}
	return r, nil
}

// Reconcile updates the rules of a namespace. If policies or lists cannot be read, the earlier rules stay in force.
func (r *RulesReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	namespace := request.Name
	state := r.tracker.State(namespace) // read before the policies, so that these are at least as new as state.Synced
	if state.Fault != nil {
		if wait := firstReadLimit - time.Since(state.FaultSince); wait > 0 && state.Synced == "" {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
		r.publisher.SetUnreadable(namespace, "namespace "+namespace+" was not read yet: "+state.Fault.Error())
	} else {
		r.publisher.SetReadable(namespace)
	}
	if state.Synced == "" {
		return ctrl.Result{}, nil
	}
	r.mu.Lock()
	before := r.built[namespace]
	r.buildStarted[namespace] = time.Now()
	r.mu.Unlock()
	if before == nil {
		before = &build.Namespace{}
	}
	now, err := r.builder.Build(ctx, namespace, before, r.listSource(namespace))
	if err != nil {
		return r.retryAfterFailure(namespace, err)
	}
	r.tracker.SetContentsFault(namespace, nil)
	r.setFailing(namespace, false)
	r.mu.Lock()
	r.built[namespace] = now
	onBuilt := r.onBuilt
	r.mu.Unlock()
	if r.publisher.HasRead(namespace) && now.Equal(before) {
		r.publisher.Advance(namespace, state.Synced)
		return r.requeueUntilSynced(namespace, state), nil
	}
	r.publisher.Publish(namespace, publish.Build{Policies: now.Policies(), Synced: state.Synced})
	if onBuilt != nil {
		onBuilt(r.builder.Changed(namespace, now, before))
	}
	return r.requeueUntilSynced(namespace, state), nil
}

// retryAfterFailure returns when to build a namespace again after a failed build. If the API server answers 403, or
// builds have failed for longer than buildFailureLimit, it records the namespace as unreadable. Otherwise this replica
// could not confirm its reports: see [freshness.Tracker.SetContentsFault].
func (r *RulesReconciler) retryAfterFailure(namespace string, err error) (ctrl.Result, error) {
	refused, answered := errors.AsType[policyobject.Refusal](err)
	changed := errors.Is(err, publish.ErrChanged)
	if !answered && !changed { // the API server is unreachable, which is not a fault of the namespace
		r.setFailing(namespace, false)
		r.metrics.ListFailed()
		return ctrl.Result{}, err
	}
	since := r.setFailing(namespace, true)
	switch {
	case answered && refused.Forbidden():
		err = fmt.Errorf("%w: its Role must let this operator get, list and watch policies and ConfigMaps", err)
		fallthrough
	case time.Since(since) > buildFailureLimit:
		r.tracker.SetContentsFault(namespace, err)
	}
	switch {
	case changed: // not counted as a failure: the watch will soon deliver the change
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	case refused.Forbidden(): // SetContentsFault has logged it
		r.metrics.ListFailed()
		return ctrl.Result{RequeueAfter: refusedInterval}, nil
	default:
		r.metrics.ListFailed()
		return ctrl.Result{}, err
	}
}

// setFailing records whether builds of a namespace fail. It returns when they began to fail; zero if they do not.
func (r *RulesReconciler) setFailing(namespace string, failing bool) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !failing {
		delete(r.failingSince, namespace)
	} else if r.failingSince[namespace].IsZero() {
		r.failingSince[namespace] = time.Now()
	}
	return r.failingSince[namespace]
}

// listSource returns where to read a namespace's lists. Normally a build may use only the versions that the watch has
// delivered, and fails if there are newer ones: see [publish.ErrChanged]. If builds have failed for longer than
// listLagLimit, the lists may be changing faster than the watch delivers. Builds then read the newest versions.
// Otherwise no change of the namespace would come into force.
func (r *RulesReconciler) listSource(namespace string) publish.ConfigMaps {
	r.mu.Lock()
	since := r.failingSince[namespace]
	r.mu.Unlock()
	if !since.IsZero() && time.Since(since) > listLagLimit {
		return informers.Uncached{Set: r.watches}
	}
	return r.watches
}

// Built returns the policy built from this version of the object, which is in force or about to be; ok is false if it
// was not built yet.
func (r *RulesReconciler) Built(object *unstructured.Unstructured) (policy *publish.Policy, ok bool) {
	r.mu.Lock()
	last := r.built[object.GetNamespace()]
	r.mu.Unlock()
	if last == nil {
		return nil, false
	}
	return last.Policy(object)
}

// OnBuilt sets a function that is called with the policies that a build has changed, once the build is in force. The
// function must not block; nil removes it.
func (r *RulesReconciler) OnBuilt(f func(policies []types.NamespacedName)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onBuilt = f
}

// AdvanceTo asks that the rules of every readable namespace soon be current up to this resourceVersion. A replica calls
// it with the version of its own report.
func (r *RulesReconciler) AdvanceTo(version string) {
	r.advancer.AdvanceTo(version)
	for _, namespace := range r.tracker.Namespaces() {
		r.changed.add(namespace)
	}
}

// requeueUntilSynced requeues a namespace until it has reached the resourceVersion that [freshness.Advancer] was asked
// for. A watch may reach the version by a bookmark, for which the informer calls no handler that would ask for a build.
func (r *RulesReconciler) requeueUntilSynced(namespace string, state freshness.State) ctrl.Result {
	if state.Fault == nil && r.advancer.Wants(namespace, state.Synced) {
		return ctrl.Result{RequeueAfter: syncedInterval}
	}
	return ctrl.Result{}
}

// InForce returns which rules are in force, and a channel that is closed when that changes.
func (r *RulesReconciler) InForce() (replica.InForce, <-chan struct{}) {
	now, changed := r.publisher.InForce()
	return replica.InForce(now), changed
}
