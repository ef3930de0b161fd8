package controllers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/replica"
	"registrationpolicy.dev/operator/rules"
)

const (
	// buildsAtOnce is how many namespaces are built at the same time, so that one with slow lists does not delay the
	// others.
	buildsAtOnce = 4
	// refusedInterval is the wait after the API server refused a request for a missing right.
	refusedInterval = 5 * time.Second
	// retryInterval and retryIntervalMax are the shortest and longest wait after a failed build.
	retryInterval    = 200 * time.Millisecond
	retryIntervalMax = 10 * time.Second
	// syncedInterval is the time between two checks of a namespace whose version is waited for.
	syncedInterval = time.Second
	// firstReadLimit is how long the operator waits for a namespace that it has never read and that the API server
	// refuses to let it read. Then the rules of the other namespaces come into force without it. A Role that is created
	// together with the operator takes a moment to apply.
	firstReadLimit = 5 * time.Second
	// buildFailureLimit is how long builds of a namespace may fail, although the API server answers, before the others
	// no longer wait for it: a restarting API server may take that long.
	buildFailureLimit = 30 * time.Second
)

// cacheSyncTimeout is how long a controller waits for its first list: practically forever. controller-runtime's default
// of two minutes would end the process, and turn an unreachable API server into a crash loop.
const cacheSyncTimeout = 10 * 365 * 24 * time.Hour

// RulesReconciler keeps the snapshot in a store up to date with the policies in a cluster. Every replica runs one. A
// request names a namespace: all of its policies are checked, and the changed ones are compiled again.
type RulesReconciler struct {
	watches   *informers.Set
	tracker   *freshness.Tracker
	advancer  *freshness.Advancer
	publisher *publish.Publisher
	schema    *policyobject.Schema
	lists     *publish.Lists
	limits    budget.Limits
	metrics   *publish.Metrics
	// changed are the namespaces for which the tracker called OnChange.
	changed *pendingNamespaces

	mu           sync.Mutex
	namespaces   map[string]*namespaceBuild
	buildStarted map[string]time.Time // of the last build, by namespace
	failingSince map[string]time.Time // since when its builds fail although the API server answers
	onBuilt      func(policies []types.NamespacedName)
}

// namespaceBuild is the last build of a namespace. It is immutable.
type namespaceBuild struct {
	policies map[string]*builtPolicy
	// refused replaces all policies if they are over the budget; wanted is how many bytes they needed then.
	refused *publish.Policy
	wanted  int64
}

// builtPolicy is the result of building one version of a policy object.
type builtPolicy struct {
	// object is in the cached form, with its spec.
	object    *unstructured.Unstructured
	converted rules.Policy // without its lists
	*publish.Policy
}

// RulesOptions configure a RulesReconciler.
type RulesOptions struct {
	// Watches provides policies and lists; Tracker tracks its watches.
	Watches *informers.Set
	Tracker *freshness.Tracker
	// Lists resolves the lists that policies name.
	Lists *publish.Lists
	// Publisher puts rules in force.
	Publisher *publish.Publisher
	// Limits are the memory limits of namespaces; nil: no limits.
	Limits budget.Limits
	// Metrics counts failed builds, and the memory that each namespace needs.
	Metrics *publish.Metrics
}

// NewRulesReconciler returns a reconciler with these options. It fails only if the built-in schema is invalid.
func NewRulesReconciler(o RulesOptions) (*RulesReconciler, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	r := &RulesReconciler{
		watches: o.Watches, tracker: o.Tracker, publisher: o.Publisher, schema: schema,
		lists: o.Lists, limits: o.Limits, metrics: o.Metrics,
		advancer: freshness.NewAdvancer(o.Tracker, o.Watches.ListMetadata),
		changed:  newPendingNamespaces(), namespaces: map[string]*namespaceBuild{},
		buildStarted: map[string]time.Time{}, failingSince: map[string]time.Time{},
	}
	o.Tracker.OnChange(r.changed.add)
	for _, namespace := range o.Tracker.Namespaces() {
		o.Metrics.Budget(namespace, 0, o.Limits[namespace]) // before the first build
	}
	return r, nil
}

type requestQueue = workqueue.TypedRateLimitingInterface[ctrl.Request]

// SetupWithManager adds the controller, its watches and their advancer to a manager, which runs them whether it leads
// or not.
func (r *RulesReconciler) SetupWithManager(mgr ctrl.Manager) error {
	c, err := controller.New("rules", mgr, controller.Options{
		Reconciler:              r,
		NeedLeaderElection:      new(false),
		SkipNameValidation:      new(true), // tests run several in one process
		CacheSyncTimeout:        cacheSyncTimeout,
		MaxConcurrentReconciles: buildsAtOnce,
		RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[ctrl.Request](retryInterval, retryIntervalMax),
	})
	if err != nil {
		return fmt.Errorf("set up the rules controller: %w", err)
	}
	for _, watch := range []func(context.Context, requestQueue) error{r.watchPolicies, r.watchLists, r.watchFirstLists, r.watchChanges} {
		if err := c.Watch(source.Func(watch)); err != nil {
			return err
		}
	}
	for _, runnable := range []interface {
		Start(ctx context.Context) error
		NeedLeaderElection() bool
	}{r.watches, r.advancer} {
		if err := mgr.Add(runnable); err != nil {
			return err
		}
	}
	return nil
}

func (r *RulesReconciler) watchPolicies(_ context.Context, queue requestQueue) error {
	notify := func(object any) {
		policy, ok := object.(*unstructured.Unstructured)
		if !ok {
			return
		}
		r.enqueue(queue, policy.GetNamespace())
		if !isReady(policy) {
			r.advancer.Advance(policy.GetNamespace(), policy.GetResourceVersion())
		}
	}
	_, err := r.watches.OnPolicies(toolscache.ResourceEventHandlerFuncs{
		AddFunc: notify,
		UpdateFunc: func(before, after any) {
			if changesRules(before, after) {
				notify(after)
			} else if policy, ok := after.(*unstructured.Unstructured); ok && !isReady(policy) {
				r.advancer.Advance(policy.GetNamespace(), firstSeenVersion(policy)) // the leader waits for this version
			}
		},
		DeleteFunc: func(object any) { r.enqueue(queue, namespaceOf(object)) },
	})
	return err
}

// changesRules reports whether an update of a policy changes more than its status.
func changesRules(before, after any) bool {
	old, isOld := before.(*unstructured.Unstructured)
	policy, isNew := after.(*unstructured.Unstructured)
	return !isOld || !isNew || old.GetGeneration() != policy.GetGeneration() || old.GetUID() != policy.GetUID() ||
		informers.SpecHash(old) != informers.SpecHash(policy) // a changed CustomResourceDefinition may show other fields
}

func (r *RulesReconciler) watchLists(_ context.Context, queue requestQueue) error {
	notify := func(object any) { r.enqueue(queue, namespaceOf(object)) }
	_, err := r.watches.OnLists(toolscache.ResourceEventHandlerFuncs{
		AddFunc: notify, DeleteFunc: notify, UpdateFunc: func(_, object any) { notify(object) },
	})
	return err
}

func namespaceOf(object any) string {
	if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	accessor, err := meta.Accessor(object)
	if err != nil {
		return ""
	}
	return accessor.GetNamespace()
}

// watchFirstLists asks for a build of each namespace once its informers have synced: a namespace without policies
// causes no event that would ask for one.
func (r *RulesReconciler) watchFirstLists(ctx context.Context, queue requestQueue) error {
	for _, namespace := range r.tracker.Namespaces() {
		go func() {
			if toolscache.WaitForCacheSync(ctx.Done(), r.watches.HasSynced(namespace)...) {
				r.enqueue(queue, namespace)
			}
		}()
	}
	return nil
}

// watchChanges asks for a build of each namespace in changed.
func (r *RulesReconciler) watchChanges(ctx context.Context, queue requestQueue) error {
	go func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-r.changed.added:
				for _, namespace := range r.changed.take() {
					r.enqueue(queue, namespace)
				}
			}
		}
	}()
	return nil
}

// Reconcile updates the rules of a namespace. If policies or lists cannot be read, the earlier rules stay in force.
func (r *RulesReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	namespace := request.Name
	state := r.tracker.State(namespace) // read before the objects, so that these are at least as new
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
	before := r.namespaces[namespace]
	r.buildStarted[namespace] = time.Now()
	r.mu.Unlock()
	if before == nil {
		before = &namespaceBuild{}
	}
	now, build, err := r.build(ctx, namespace, before)
	if err != nil {
		return r.retryAfterFailure(namespace, err)
	}
	r.tracker.SetContentsFault(namespace, nil)
	r.setFailing(namespace, false)
	r.mu.Lock()
	r.namespaces[namespace] = now
	onBuilt := r.onBuilt
	r.mu.Unlock()
	if r.publisher.HasRead(namespace) && before.refused == now.refused &&
		maps.EqualFunc(before.policies, now.policies, sameBuild) {
		r.publisher.Advance(namespace, state.Synced)
		return r.requeueUntilSynced(namespace, state), nil
	}
	build.Synced = state.Synced
	r.publisher.Publish(namespace, build)
	if onBuilt != nil {
		onBuilt(r.changedPolicies(namespace, now, before))
	}
	return r.requeueUntilSynced(namespace, state), nil
}

// retryAfterFailure returns when to build a namespace again. If the API server answers, but a right is missing or
// builds have failed for long, the other namespaces no longer wait for this one.
func (r *RulesReconciler) retryAfterFailure(namespace string, err error) (ctrl.Result, error) {
	refused, answered := errors.AsType[policyobject.Refusal](err)
	changed := errors.Is(err, publish.ErrChanged)
	if !answered && !changed { // an unreachable API server is not a fault of the namespace
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
	case changed: // not a failure: the watch brings the change and asks for a build
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	case refused.Forbidden(): // the tracker has logged it
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

// listSource returns the source of a namespace's lists. If they change faster than the watch brings the changes, their
// newest versions are read instead: it is then more important that changes come into force than that they do so in
// order.
func (r *RulesReconciler) listSource(namespace string) publish.ConfigMaps {
	r.mu.Lock()
	since := r.failingSince[namespace]
	r.mu.Unlock()
	if !since.IsZero() && time.Since(since) > firstReadLimit {
		return informers.Uncached{Set: r.watches}
	}
	return r.watches
}

// changedPolicies returns the policies whose build differs from the one before.
func (r *RulesReconciler) changedPolicies(namespace string, now, before *namespaceBuild) []types.NamespacedName {
	var names []types.NamespacedName
	if now.refused != before.refused {
		for _, policy := range r.watches.Policies(namespace) {
			names = append(names, policyobject.NameOf(policy))
		}
		return names
	}
	for name, policy := range now.policies {
		if known := before.policies[name]; known == nil || !sameBuild(known, policy) {
			names = append(names, types.NamespacedName{Namespace: namespace, Name: name})
		}
	}
	return names
}

func sameBuild(a, b *builtPolicy) bool { return a.Policy == b.Policy }

// build converts, resolves and compiles what has changed since before. If the policies are together over the budget of
// the namespace, it reads none of them, and the calls in the namespace's scope are denied.
func (r *RulesReconciler) build(ctx context.Context, namespace string, before *namespaceBuild) (*namespaceBuild, publish.Build, error) {
	objects := r.watches.Policies(namespace)
	r.watches.RecountSpecs(namespace, objects)
	sizes := make([]int64, len(objects))
	for i, object := range objects {
		sizes[i] = informers.SpecSize(object)
	}
	account := r.limits.Open(namespace, sizes)
	defer func() { r.metrics.Budget(namespace, account.Wanted(), account.Limit()) }()
	if refusal := account.Refusal(); refusal != "" {
		now := &namespaceBuild{refused: before.refused, wanted: before.wanted}
		if before.refused == nil || sizeChanged(account.Wanted(), before.wanted) {
			now.refused, now.wanted = r.publisher.RefuseNamespace(namespace, refusal), account.Wanted()
		}
		r.lists.Forget(namespace)
		return now, publish.Build{Policies: []*publish.Policy{now.refused}}, nil
	}
	now := &namespaceBuild{policies: map[string]*builtPolicy{}}
	converted := make([]rules.Policy, len(objects))
	for i, object := range objects {
		if known := before.policies[object.GetName()]; known.isBuiltFrom(object) {
			objects[i], converted[i] = known.object, known.converted
			continue
		}
		stored, err := r.watches.ReadPolicy(ctx, object)
		if err != nil {
			return nil, publish.Build{}, err
		}
		objects[i], converted[i] = stored.Cached, r.schema.Convert(ctx, stored.Whole)
	}
	resolved, err := r.lists.Resolve(ctx, namespace, r.listSource(namespace), account, converted)
	if err != nil {
		return nil, publish.Build{}, err
	}
	build := publish.Build{}
	for i, object := range objects {
		built := &builtPolicy{object: object, converted: converted[i]}
		if known := before.policies[object.GetName()]; known.isBuiltFrom(object) && sameLists(&known.Written, &resolved[i]) {
			built.Policy = known.Policy
		} else {
			built.Policy = r.publisher.Compile(resolved[i])
		}
		now.policies[object.GetName()] = built
		build.Policies = append(build.Policies, built.Policy)
	}
	return now, build, nil
}

// sizeChanged reports whether a size has changed by more than a fourth. The status of every policy of a refused
// namespace names the size, so updating it at each change would write all of these statuses each time.
func sizeChanged(now, before int64) bool {
	const fourth = 4
	return max(now-before, before-now) > before/fourth
}

// isBuiltFrom reports whether the policy was built from the spec of the object, whose status may have changed since.
func (b *builtPolicy) isBuiltFrom(object *unstructured.Unstructured) bool {
	return b != nil && b.object.GetUID() == object.GetUID() && b.object.GetGeneration() == object.GetGeneration() &&
		informers.SpecHash(b.object) == informers.SpecHash(object)
}

// Built returns the policy built from this version of the object, which is in force or about to be; ok is false if it
// was not built yet.
func (r *RulesReconciler) Built(object *unstructured.Unstructured) (*publish.Policy, bool) {
	r.mu.Lock()
	last := r.namespaces[object.GetNamespace()]
	r.mu.Unlock()
	if last == nil {
		return nil, false
	}
	if last.refused != nil {
		return last.refused, true
	}
	known := last.policies[object.GetName()]
	if !known.isBuiltFrom(object) {
		return nil, false
	}
	return known.Policy, true
}

// OnBuilt sets a function that is called with the policies that a build has changed, once it is in force; nil removes
// it. The function must not block.
func (r *RulesReconciler) OnBuilt(f func(policies []types.NamespacedName)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onBuilt = f
}

// AdvanceTo asks that the rules of every readable namespace soon reach this resourceVersion.
func (r *RulesReconciler) AdvanceTo(version string) {
	r.advancer.AdvanceTo(version)
	for _, namespace := range r.tracker.Namespaces() {
		r.changed.add(namespace)
	}
}

// requeueUntilSynced requeues a namespace while a later version of it is waited for, since a bookmark advances a watch
// without an event.
func (r *RulesReconciler) requeueUntilSynced(namespace string, state freshness.State) ctrl.Result {
	if state.Fault == nil && r.advancer.Wants(namespace, state.Synced) {
		return ctrl.Result{RequeueAfter: syncedInterval}
	}
	return ctrl.Result{}
}

// InForce returns what is in force, and a channel that is closed when that changes.
func (r *RulesReconciler) InForce() (replica.InForce, <-chan struct{}) {
	now, changed := r.publisher.InForce()
	return replica.InForce(now), changed
}

// firstSeenVersion returns the version at which the leader first saw a policy's generation, from its status; "" if
// unknown.
func firstSeenVersion(object *unstructured.Unstructured) string {
	if replicas := storedStatus(object).Replicas; replicas != nil {
		return replicas.FirstSeenResourceVersion
	}
	return ""
}

// isReady reports whether the condition Ready is True for a policy's current generation.
func isReady(object *unstructured.Unstructured) bool {
	ready := meta.FindStatusCondition(storedStatus(object).Conditions, string(v1alpha1.ConditionReady))
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.GetGeneration()
}

// sameLists reports whether two versions of a policy have the same resolved lists.
func sameLists(a, b *rules.Policy) bool {
	return slices.Equal(a.Allow.Lists, b.Allow.Lists) && slices.Equal(a.Deny.Lists, b.Deny.Lists)
}
