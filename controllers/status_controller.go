package controllers

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	toolscache "k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/events"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// fieldOwner owns the status in server-side apply.
const fieldOwner = client.FieldOwner("registration-policy-operator")

// conflictRetry is how long to wait for the cache after a write met a newer object.
const conflictRetry = 200 * time.Millisecond

// StatusReconciler says of each policy what became of it: conditions, and Events where they change. The leader alone runs
// it, and no decision depends on it.
type StatusReconciler struct {
	stored    PolicySource
	built     BuiltPolicies
	converter converter
	client    client.Client
	recorder  events.EventRecorder
	scopes    Scopes
	observing bool
	logger    logr.Logger
	warned    warnedSet
	fleet     *fleet.Observer
	rollout   *fleet.Rollout
}

// PolicySource is where policies are read as they are stored.
type PolicySource interface {
	// Policy returns a policy; nil if there is none.
	Policy(name types.NamespacedName) *unstructured.Unstructured
	// AllPolicies returns all policies, by namespace and name.
	AllPolicies() []*unstructured.Unstructured
	// OnPolicies calls a handler for each policy and each later change, until the returned function is called.
	OnPolicies(handler toolscache.ResourceEventHandler) (end func() error, _ error)
}

// BuiltPolicies are policies as the rules in force were made of them.
type BuiltPolicies interface {
	// Built returns a policy as it is in force or about to be, if this version of the object has been built.
	Built(object *unstructured.Unstructured) (*publish.Policy, bool)
	// OnBuilt sets what is called with the policies that a build has changed; nil ends that.
	OnBuilt(f func(policies []types.NamespacedName))
}

// StatusOptions are what a StatusReconciler is made from.
type StatusOptions struct {
	// Stored is where policies are read from, and Built what was made of them.
	Stored PolicySource
	Built  BuiltPolicies
	// Client and Recorder are what is written with.
	Client   client.Client
	Recorder events.EventRecorder
	// Scopes are what the rules controller goes by.
	Scopes Scopes
	// Fleet is where it is learned which replicas decide by what.
	Fleet *fleet.Observer
	// Observing says that the operator only observes, which every status then tells.
	Observing bool
	// Logger takes what cannot be told in a status.
	Logger logr.Logger
}

// NewStatusReconciler returns a reconciler of these parts.
func NewStatusReconciler(o StatusOptions) (*StatusReconciler, error) {
	schema, err := newSpecSchema()
	if err != nil {
		return nil, err
	}
	return &StatusReconciler{
		stored: o.Stored, built: o.Built, converter: converter{schema}, client: o.Client, recorder: o.Recorder,
		scopes: o.Scopes, observing: o.Observing, logger: o.Logger,
		fleet: o.Fleet, rollout: fleet.NewRollout(o.Fleet),
	}, nil
}

// Run writes status until ctx ends: one term of leadership. It may be called again for the next.
func (r *StatusReconciler) Run(ctx context.Context) error {
	c, err := controller.NewUnmanaged("status", controller.Options{
		Reconciler:         r,
		SkipNameValidation: new(true), // every term has a controller of its own: one cannot be started twice
		CacheSyncTimeout:   untilSynced,
		Logger:             r.logger,
	})
	if err != nil {
		return fmt.Errorf("set up the status controller: %w", err)
	}
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	r.warned = warnedSet{} // what was known in a past term may be long gone
	r.rollout = fleet.NewRollout(r.fleet)
	defer r.rollout.Close()
	looking := source.Func(func(ctx context.Context, q queue) error {
		go r.rollout.Run(ctx, func(name types.NamespacedName) { q.Add(ctrl.Request{NamespacedName: name}) })
		return nil
	})
	if err := c.Watch(looking); err != nil {
		return err
	}
	end := func() error { return nil }
	watch := source.Func(func(_ context.Context, q queue) (err error) {
		end, err = r.stored.OnPolicies(r.onPolicy(q))
		r.built.OnBuilt(func(policies []types.NamespacedName) {
			for _, name := range policies {
				q.Add(ctrl.Request{NamespacedName: name})
			}
		})
		return err
	})
	if err := c.Watch(watch); err != nil {
		return err
	}
	defer func() { // the informers and the rules outlive the term
		r.built.OnBuilt(nil)
		if err := end(); err != nil {
			r.logger.Error(err, "Could not end the watch of a past term")
		}
	}()
	return c.Start(ctx)
}

func (r *StatusReconciler) onPolicy(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) toolscache.ResourceEventHandler {
	r.warned.changed = queue.Add
	enqueue := func(object any) {
		if policy, ok := object.(*unstructured.Unstructured); ok {
			queue.Add(ctrl.Request{NamespacedName: nameOf(policy)})
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
				queue.Add(everyPolicy)
				queue.Add(ctrl.Request{NamespacedName: nameOf(policy)})
			}
		},
	}
}

func nameOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// isUnprocessed says that an API server answered 500, as it does to a field that its CustomResourceDefinition does not have.
func isUnprocessed(err error) bool {
	const internalServerError = 500
	answer, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && answer.ErrStatus.Code == internalServerError
}

// Reconcile computes the status of one policy and applies it, if it is not there yet.
// A policy that cannot be used is a status; only a status that could not be written is an error.
func (r *StatusReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request == everyPolicy {
		return ctrl.Result{RequeueAfter: r.warnAgain()}, nil
	}
	object := r.stored.Policy(request.NamespacedName)
	if object == nil {
		r.rollout.Forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	before := storedStatus(object)
	built, ok := r.built.Built(object)
	if !ok {
		return ctrl.Result{}, nil // its build asks again
	}
	policy := built.Written
	warnings, wait := r.warnings(object, &policy)
	if wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	accepted := acceptedCondition(policy, r.scopes, r.observing, warnings)
	replicas, ready := r.rollout.Status(object, before.RegistrationPolicyStatus, accepted, policy.Mode == rules.Audit)
	after, changed := wantedStatus(before, policyStatus{v1alpha1.RegistrationPolicyStatus{
		Conditions: []metav1.Condition{accepted, ready},
		Replicas:   replicas, Entries: entriesStatus(&policy, r.scopes), Lists: listStatuses(&policy),
	}}, object.GetGeneration())
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
	case isUnprocessed(err):
		return ctrl.Result{}, fmt.Errorf("apply status: %w; is the CustomResourceDefinition an earlier one than this operator's?", unquoted(err))
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("apply status: %w", unquoted(err))
	}
	if changed {
		r.announce(object, after)
	}
	return ctrl.Result{}, nil
}
