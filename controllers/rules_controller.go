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
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

const (
	// buildsAtOnce is how many namespaces are built at the same time: one whose lists take long to compile holds up no other.
	buildsAtOnce = 4
	// refusedInterval is the wait after an API server has refused what only somebody else can change: a Role.
	refusedInterval = 5 * time.Second
	// retryInterval and retryIntervalMax bound the wait after a build that failed.
	retryInterval    = 200 * time.Millisecond
	retryIntervalMax = 10 * time.Second
	// syncedInterval is the time between two looks at a namespace that somebody waits for.
	syncedInterval = time.Second
	// readPatience is how long a namespace that was never read may be refused before the others come into force without it: a Role that
	// is made together with the operator takes a moment.
	readPatience = 5 * time.Second
	// failingPatience is how long builds of a namespace may fail, with an API server that answers, before the others do not wait for it: as
	// long as an API server that restarts may take.
	failingPatience = 30 * time.Second
)

// untilCacheSynced is how long a controller waits for its first list. controller-runtime gives up after two minutes and ends the
// process, which turns an API server that is away into a crash loop; this one waits, unready, for as long as it takes.
const untilCacheSynced = 10 * 365 * 24 * time.Hour

// RulesReconciler keeps the snapshot in a store equal to the policies in a cluster. Every replica runs one. A request names a
// namespace: whatever has changed there, all of its policies are looked at, and those that changed are compiled anew.
type RulesReconciler struct {
	watches   *informers.Set
	tracker   *freshness.Tracker
	advancer  *freshness.Advancer
	publisher *publish.Publisher
	schema    *policyobject.Schema
	lists     *publish.Lists
	limits    budget.Limits
	metrics   *publish.Metrics
	// changed has the namespaces that came forward, or can no longer be read, or again.
	changed *pendingNamespaces

	mu         sync.Mutex
	namespaces map[string]*namespaceBuild
	began      map[string]time.Time // of the last build of a namespace
	failing    map[string]time.Time // since when an API server that answers has let no build of a namespace succeed
	onBuilt    func(policies []types.NamespacedName)
}

// namespaceBuild is the last build of a namespace. It is immutable.
type namespaceBuild struct {
	policies map[string]*builtPolicy
	// refused stands for all policies where they are more than the namespace may take, wanted is what they took when that was said.
	refused *publish.Policy
	wanted  int64
}

// builtPolicy is a policy as it was built from one version of its object.
type builtPolicy struct {
	// object is the cached one, with its spec.
	object    *unstructured.Unstructured
	converted rules.Policy // without its lists
	*publish.Policy
}

// RulesOptions are what a RulesReconciler is made from.
type RulesOptions struct {
	// Watches is where policies and lists are read, and Tracker follows it.
	Watches *informers.Set
	Tracker *freshness.Tracker
	// Lists is where the lists that policies name are found.
	Lists *publish.Lists
	// Publisher puts rules in force.
	Publisher *publish.Publisher
	// Limits are what each namespace may take in memory; nil limits none.
	Limits budget.Limits
	// Metrics counts builds that failed, and what each namespace takes.
	Metrics *publish.Metrics
}

// NewRulesReconciler returns a reconciler of these parts.
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
		began: map[string]time.Time{}, failing: map[string]time.Time{},
	}
	o.Tracker.OnChange(r.changed.add)
	for _, namespace := range o.Tracker.Namespaces() {
		o.Metrics.Budget(namespace, 0, o.Limits[namespace]) // before the first build
	}
	return r, nil
}

type requestQueue = workqueue.TypedRateLimitingInterface[ctrl.Request]

// SetupWithManager lets the manager run the controller, its watches and what brings them forward, leader or not.
func (r *RulesReconciler) SetupWithManager(mgr ctrl.Manager) error {
	c, err := controller.New("rules", mgr, controller.Options{
		Reconciler:              r,
		NeedLeaderElection:      new(false),
		SkipNameValidation:      new(true), // several may run in one process: tests do
		CacheSyncTimeout:        untilCacheSynced,
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
				r.advancer.Advance(policy.GetNamespace(), firstSeen(policy)) // what the leader waits for
			}
		},
		DeleteFunc: func(object any) { r.enqueue(queue, namespaceOf(object)) },
	})
	return err
}

// changesRules reports whether an update of a policy is more than one of its status.
func changesRules(before, after any) bool {
	old, isOld := before.(*unstructured.Unstructured)
	policy, isNew := after.(*unstructured.Unstructured)
	return !isOld || !isNew || old.GetGeneration() != policy.GetGeneration() || old.GetUID() != policy.GetUID() ||
		informers.SpecHash(old) != informers.SpecHash(policy) // another definition may show more of it
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

// watchFirstLists asks for a build of each namespace once its first lists are there: a namespace without policies sends no event.
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

// watchChanges asks for a build where a namespace came forward, or can no longer be read, or again.
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

// Reconcile brings the rules of a namespace up to date. Where its lists cannot be read, the earlier rules stay: an error is not the
// absence of policies.
func (r *RulesReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	namespace := request.Name
	state := r.tracker.State(namespace) // before the objects: these are at least as new
	if state.Fault != nil {
		if wait := readPatience - time.Since(state.FaultSince); wait > 0 && state.Synced == "" {
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
	r.began[namespace] = time.Now()
	r.mu.Unlock()
	if before == nil {
		before = &namespaceBuild{}
	}
	now, build, err := r.build(ctx, namespace, before)
	if err != nil {
		return r.failed(namespace, err)
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
		return r.untilSynced(namespace, state), nil
	}
	build.Synced = state.Synced
	r.publisher.Publish(namespace, build)
	if onBuilt != nil {
		onBuilt(r.changedSince(namespace, now, before))
	}
	return r.untilSynced(namespace, state), nil
}

// failed returns when to build a namespace again. Where the API server answers, and a build has failed for long or can succeed only once
// somebody changes a Role, no other namespace waits for this one.
func (r *RulesReconciler) failed(namespace string, err error) (ctrl.Result, error) {
	refused, answered := errors.AsType[policyobject.Refusal](err)
	changed := errors.Is(err, publish.ErrChanged)
	if !answered && !changed { // an API server that is away has nothing to do with the namespace
		r.setFailing(namespace, false)
		r.metrics.ListFailed()
		return ctrl.Result{}, err
	}
	since := r.setFailing(namespace, true)
	switch {
	case answered && refused.Forbidden():
		err = fmt.Errorf("%w: its Role must let this operator get, list and watch policies and ConfigMaps", err)
		fallthrough
	case time.Since(since) > failingPatience:
		r.tracker.SetContentsFault(namespace, err)
	}
	switch {
	case changed: // which is no failure: the watch brings it, and asks for a build
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	case refused.Forbidden(): // the tracker has logged it
		r.metrics.ListFailed()
		return ctrl.Result{RequeueAfter: refusedInterval}, nil
	default:
		r.metrics.ListFailed()
		return ctrl.Result{}, err
	}
}

// setFailing notes whether builds of a namespace fail, and returns since when.
func (r *RulesReconciler) setFailing(namespace string, failing bool) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !failing {
		delete(r.failing, namespace)
	} else if r.failing[namespace].IsZero() {
		r.failing[namespace] = time.Now()
	}
	return r.failing[namespace]
}

// listsOf is where the lists of a namespace are read. Where they change faster than its watch brings it, they are read as they are
// stored: the order in which changes come into force then counts for less than that later ones do.
func (r *RulesReconciler) listsOf(namespace string) publish.ConfigMaps {
	r.mu.Lock()
	since := r.failing[namespace]
	r.mu.Unlock()
	if !since.IsZero() && time.Since(since) > readPatience {
		return informers.Uncached{Set: r.watches}
	}
	return r.watches
}

// changedSince returns the policies that are built otherwise than before.
func (r *RulesReconciler) changedSince(namespace string, now, before *namespaceBuild) []types.NamespacedName {
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

// build converts, resolves and compiles what has changed since before. Policies that are together beyond the budget of the namespace
// are not read: its scope is denied.
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
		if before.refused == nil || isFar(account.Wanted(), before.wanted) {
			now.refused, now.wanted = r.publisher.RefuseNamespace(namespace, refusal), account.Wanted()
		}
		r.lists.Forget(namespace)
		return now, publish.Build{Policies: []*publish.Policy{now.refused}}, nil
	}
	now := &namespaceBuild{policies: map[string]*builtPolicy{}}
	converted := make([]rules.Policy, len(objects))
	for i, object := range objects {
		if known := before.policies[object.GetName()]; known.isOf(object) {
			objects[i], converted[i] = known.object, known.converted
			continue
		}
		stored, err := r.watches.ReadPolicy(ctx, object)
		if err != nil {
			return nil, publish.Build{}, err
		}
		objects[i], converted[i] = stored.Cached, r.schema.Convert(ctx, stored.Whole)
	}
	resolved, err := r.lists.Resolve(ctx, namespace, r.listsOf(namespace), account, converted)
	if err != nil {
		return nil, publish.Build{}, err
	}
	build := publish.Build{}
	for i, object := range objects {
		built := &builtPolicy{object: object, converted: converted[i]}
		if known := before.policies[object.GetName()]; known.isOf(object) && sameLists(&known.Written, &resolved[i]) {
			built.Policy = known.Policy
		} else {
			built.Policy = r.publisher.Compile(resolved[i])
		}
		now.policies[object.GetName()] = built
		build.Policies = append(build.Policies, built.Policy)
	}
	return now, build, nil
}

// isFar reports whether a size has changed by more than a fourth. The status of each policy of a refused namespace names it: written at
// each change, a tenant's policies beyond his budget would cost as many writes as there are of them, each time.
func isFar(now, before int64) bool {
	const fourth = 4
	return max(now-before, before-now) > before/fourth
}

// isOf reports whether the policy was built from what the object says. A status write makes another object that says the same.
func (b *builtPolicy) isOf(object *unstructured.Unstructured) bool {
	return b != nil && b.object.GetUID() == object.GetUID() && b.object.GetGeneration() == object.GetGeneration() &&
		informers.SpecHash(b.object) == informers.SpecHash(object)
}

// Built returns a policy as it is in force or about to be, if this version of the object has been built.
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
	if !known.isOf(object) {
		return nil, false
	}
	return known.Policy, true
}

// OnBuilt sets what is called with the policies that a build has changed, after it is in force; nil ends that. It must not block.
func (r *RulesReconciler) OnBuilt(f func(policies []types.NamespacedName)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.onBuilt = f
}

// AdvanceTo asks that the rules of every readable namespace soon reflect at least this resourceVersion.
func (r *RulesReconciler) AdvanceTo(version string) {
	r.advancer.AdvanceTo(version)
	for _, namespace := range r.tracker.Namespaces() {
		r.changed.add(namespace)
	}
}

// untilSynced asks for another look while somebody waits for the namespace: a bookmark brings a watch forward without an event.
func (r *RulesReconciler) untilSynced(namespace string, state freshness.State) ctrl.Result {
	if state.Fault == nil && r.advancer.Wants(namespace, state.Synced) {
		return ctrl.Result{RequeueAfter: syncedInterval}
	}
	return ctrl.Result{}
}

// InForce returns what is in force, and a channel that is closed when it changes.
func (r *RulesReconciler) InForce() (fleet.InForce, <-chan struct{}) {
	now, changed := r.publisher.InForce()
	return fleet.InForce(now), changed
}

// firstSeen returns the version at which the leader first saw a policy's generation; "" where its status does not say.
func firstSeen(object *unstructured.Unstructured) string {
	if replicas := storedStatus(object).Replicas; replicas != nil {
		return replicas.FirstSeenResourceVersion
	}
	return ""
}

// isReady reports whether a policy's status says that its generation is in force on every replica.
func isReady(object *unstructured.Unstructured) bool {
	ready := meta.FindStatusCondition(storedStatus(object).Conditions, string(v1alpha1.ConditionReady))
	return ready != nil && ready.Status == metav1.ConditionTrue && ready.ObservedGeneration == object.GetGeneration()
}

// sameLists reports whether two readings of a policy found the same lists.
func sameLists(a, b *rules.Policy) bool {
	return slices.Equal(a.Allow.Lists, b.Allow.Lists) && slices.Equal(a.Deny.Lists, b.Deny.Lists)
}
