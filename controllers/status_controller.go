package controllers

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"
)

// fieldOwner owns the status in server-side apply.
const fieldOwner = client.FieldOwner("registration-policy-operator")

// conflictRetry is how long to wait for the cache after a write met a newer object.
const conflictRetry = 200 * time.Millisecond

// StatusReconciler says of each policy what became of it: conditions, and Events where they change. The leader alone runs
// it, and no decision depends on it.
type StatusReconciler struct {
	cache     cache.Cache
	client    client.Client
	recorder  events.EventRecorder
	converter converter
	scopes    Scopes
	observing bool
	logger    logr.Logger
}

// NewStatusReconciler returns a reconciler that reads from cache and writes with client and recorder. scopes and observing are
// what the rules controller and the hook go by: observing says that the operator only observes, which every status then tells.
func NewStatusReconciler(
	cache cache.Cache, client client.Client, recorder events.EventRecorder, scopes Scopes, observing bool, logger logr.Logger,
) (*StatusReconciler, error) {
	schema, err := newSpecSchema()
	if err != nil {
		return nil, err
	}
	return &StatusReconciler{
		cache: cache, client: client, recorder: recorder, converter: converter{schema},
		scopes: scopes, observing: observing, logger: logger,
	}, nil
}

// Run writes status until ctx ends: one term of leadership. It may be called again for the next.
func (r *StatusReconciler) Run(ctx context.Context) error {
	informer, err := r.cache.GetInformer(ctx, newPolicyObject())
	if err != nil {
		return fmt.Errorf("watch policies: %w", err)
	}
	c, err := controller.NewUnmanaged("status", controller.Options{
		Reconciler:         r,
		SkipNameValidation: new(true), // every term has a controller of its own: one cannot be started twice
		CacheSyncTimeout:   untilSynced,
		Logger:             r.logger,
	})
	if err != nil {
		return fmt.Errorf("set up the status controller: %w", err)
	}
	var registration toolscache.ResourceEventHandlerRegistration
	watch := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		registration, err = informer.AddEventHandler(r.handler(queue))
		return err
	})
	if err := c.Watch(watch); err != nil {
		return err
	}
	err = c.Start(ctx)
	if registration != nil {
		// The informer outlives the term.
		if removal := informer.RemoveEventHandler(registration); removal != nil {
			r.logger.Error(removal, "Could not end the watch of a past term")
		}
	}
	return err
}

func (r *StatusReconciler) handler(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) toolscache.ResourceEventHandler {
	enqueue := func(object any) {
		if policy, ok := object.(*unstructured.Unstructured); ok {
			queue.Add(ctrl.Request{NamespacedName: types.NamespacedName{Namespace: policy.GetNamespace(), Name: policy.GetName()}})
		}
	}
	return toolscache.ResourceEventHandlerFuncs{
		AddFunc:    enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) },
		DeleteFunc: func(object any) {
			if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if policy, ok := object.(*unstructured.Unstructured); ok {
				r.deleted(policy)
			}
		},
	}
}

// Reconcile computes the status of one policy and applies it, if it is not there yet.
// A policy that cannot be used is a status; only a status that could not be written is an error.
func (r *StatusReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	object := newPolicyObject()
	if err := r.cache.Get(ctx, request.NamespacedName, object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := storedStatus(object)
	accepted := acceptedCondition(r.converter.convert(ctx, object), r.scopes, r.observing)
	after, changed := wantedStatus(before, object.GetGeneration(), accepted)
	if after.equal(before) {
		return ctrl.Result{}, nil
	}
	configuration, err := after.applyTo(object)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	err = r.client.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership)
	switch {
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case apierrors.IsConflict(err):
		return ctrl.Result{RequeueAfter: conflictRetry}, nil // the cache is behind: it brings the newer object, or a newer leader's status
	case apierrors.IsInvalid(err):
		// The stored object is refused by the API server's own schema. Trying again changes nothing.
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("apply status: refused as invalid"))
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("apply status: %w", unquoted(err))
	}
	if changed {
		r.announce(object, after)
	}
	return ctrl.Result{}, nil
}
