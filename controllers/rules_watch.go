package controllers

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policystatus"
)

// SetupWithManager adds the controller, the informers and their [freshness.Advancer] to a manager. They run in every
// replica, not only in the leader.
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

// watchPolicies asks for a build of a namespace when one of its policies changes.
//
// The leader sets Ready only once the rules of every replica have reached the resourceVersion at which it first saw the
// policy. While a policy is not Ready, watchPolicies asks [freshness.Advancer] that the namespace soon reach that
// version. Directly after an edit, it uses the version of the edited policy instead, since the status does not name the
// other yet.
func (r *RulesReconciler) watchPolicies(_ context.Context, queue requestQueue) error {
	notify := func(object any) {
		policy, ok := object.(*unstructured.Unstructured)
		if !ok {
			return
		}
		r.enqueue(queue, policy.GetNamespace())
		if !policystatus.IsReady(policy) {
			r.advancer.Advance(policy.GetNamespace(), policy.GetResourceVersion())
		}
	}
	_, err := r.watches.OnPolicies(toolscache.ResourceEventHandlerFuncs{
		AddFunc: notify,
		UpdateFunc: func(before, after any) {
			if changesRules(before, after) {
				notify(after)
			} else if policy, ok := after.(*unstructured.Unstructured); ok && !policystatus.IsReady(policy) {
				r.advancer.Advance(policy.GetNamespace(), policystatus.FirstSeenVersion(policy))
			}
		},
		DeleteFunc: func(object any) { r.enqueue(queue, namespaceOf(object)) },
	})
	return err
}

// changesRules reports whether an update of a policy changes more than its status. The generation alone does not show
// that: after a change of the CustomResourceDefinition, an object of the same generation may have other fields.
func changesRules(before, after any) bool {
	old, isOld := before.(*unstructured.Unstructured)
	policy, isNew := after.(*unstructured.Unstructured)
	return !isOld || !isNew || !informers.SameSpec(old, policy)
}

// watchLists asks for a build of a namespace when one of its lists changes.
func (r *RulesReconciler) watchLists(_ context.Context, queue requestQueue) error {
	notify := func(object any) { r.enqueue(queue, namespaceOf(object)) }
	_, err := r.watches.OnLists(toolscache.ResourceEventHandlerFuncs{
		AddFunc: notify, DeleteFunc: notify, UpdateFunc: func(_, object any) { notify(object) },
	})
	return err
}

// namespaceOf returns the namespace of an object that an informer passes to a handler.
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

// watchFirstLists asks for a build of each namespace once its informers have synced. Otherwise a namespace without
// policies, which causes no event, would never be built.
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

// watchChanges asks for a build of each namespace that is added to r.changed.
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
