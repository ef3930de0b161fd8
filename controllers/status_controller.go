package controllers

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
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
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/policyobject"
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
	schema    *policyobject.Schema
	built     BuiltPolicies
	client    client.Client
	recorder  events.EventRecorder
	scopes    policyobject.Scopes
	limits    budget.Limits
	observing bool
	logger    logr.Logger
	events    eventBudgets
	fleet     *fleet.Observer

	// These are of one term of leadership.
	warned   *warnedSet
	rollout  *fleet.Rollout
	refusals sync.Map                                  // when a status was last refused, by namespace
	queue    priorityqueue.PriorityQueue[ctrl.Request] // nil before the first
}

const (
	// statusWorkers is how many statuses are written at the same time.
	statusWorkers = 4
	// sweep is the priority of requests that come for many policies at once: what somebody has just edited goes before them.
	sweep = handler.LowPriority
	// editedAtOnce is how many policies a build changes at most by what somebody has just edited: one, or those that share a list.
	editedAtOnce = 20
)

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
	// Scopes and Limits are what the rules controller goes by. Each status tells the limit of its namespace.
	Scopes policyobject.Scopes
	Limits budget.Limits
	// Fleet is where it is learned which replicas decide by what.
	Fleet *fleet.Observer
	// Observing says that the operator only observes, which every status then tells.
	Observing bool
	// Logger takes what cannot be told in a status.
	Logger logr.Logger
}

// NewStatusReconciler returns a reconciler of these parts.
func NewStatusReconciler(o StatusOptions) (*StatusReconciler, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	return &StatusReconciler{
		stored: o.Stored, built: o.Built, schema: schema, client: o.Client, recorder: o.Recorder,
		scopes: o.Scopes, limits: o.Limits, observing: o.Observing, logger: o.Logger,
		events: newEventBudgets(), fleet: o.Fleet, warned: &warnedSet{}, rollout: fleet.NewRollout(o.Fleet),
	}, nil
}

// Run writes status until ctx ends: one term of leadership. It may be called again for the next.
func (r *StatusReconciler) Run(ctx context.Context) error {
	c, err := controller.NewUnmanaged("status", controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: statusWorkers,
		UsePriorityQueue:        new(true),
		SkipNameValidation:      new(true), // every term has a controller of its own: one cannot be started twice
		CacheSyncTimeout:        untilCacheSynced,
		Logger:                  ctrl.Log.WithName("status"), // the library's: its lines are not ours
	})
	if err != nil {
		return fmt.Errorf("set up the status controller: %w", err)
	}
	r.refusals.Clear()
	r.warned, r.rollout = &warnedSet{}, fleet.NewRollout(r.fleet) // what was known in a past term may be long gone
	defer r.rollout.Close()
	end := func() error { return nil }
	watch := source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) (err error) {
		var ok bool
		if r.queue, ok = queue.(priorityqueue.PriorityQueue[ctrl.Request]); !ok {
			return fmt.Errorf("the queue is a %T, which knows no priorities", queue)
		}
		go r.rollout.Run(ctx, func(name types.NamespacedName, urgent bool) { r.enqueue(name, !urgent) })
		r.built.OnBuilt(r.onBuilt)
		end, err = r.stored.OnPolicies(r.onPolicy())
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
	err = c.Start(ctx)
	r.lastLeaves()
	return err
}

// onBuilt asks for the status of policies that a build has changed. Where a namespace is beyond its budget, each further policy changes
// what the status of all of them says: the policies of other namespaces do not wait for that.
func (r *StatusReconciler) onBuilt(policies []types.NamespacedName) {
	for _, name := range policies {
		r.enqueue(name, len(policies) > editedAtOnce)
	}
}

// enqueue asks for the status of a policy. isSweep says that it is one of many, and nobody waits for it.
func (r *StatusReconciler) enqueue(name types.NamespacedName, isSweep bool) {
	options := priorityqueue.AddOpts{}
	if isSweep {
		options.Priority = new(sweep)
	}
	r.queue.AddWithOpts(options, ctrl.Request{NamespacedName: name})
}

func (r *StatusReconciler) onPolicy() toolscache.ResourceEventHandler {
	return toolscache.ResourceEventHandlerDetailedFuncs{
		AddFunc: func(object any, isInInitialList bool) {
			if policy, ok := object.(*unstructured.Unstructured); ok {
				r.enqueue(policyobject.NameOf(policy), isInInitialList)
			}
		},
		UpdateFunc: func(before, after any) {
			if policy, ok := after.(*unstructured.Unstructured); ok {
				r.enqueue(policyobject.NameOf(policy), !changesRules(before, after))
			}
		},
		DeleteFunc: func(object any) {
			if gone, ok := object.(toolscache.DeletedFinalStateUnknown); ok {
				object = gone.Obj
			}
			if policy, ok := object.(*unstructured.Unstructured); ok {
				r.deleted(policy)
				r.enqueue(policyobject.NameOf(policy), false)
				r.enqueue(everyPolicy.NamespacedName, false)
			}
		},
	}
}

// lastLeaves says of each policy that no replica serves, where this one was the last that did: nobody will say so later.
func (r *StatusReconciler) lastLeaves() {
	ctx, cancel := context.WithTimeout(context.Background(), lastTimeout)
	defer cancel()
	policies, err := r.rollout.LastReplicaStops(ctx)
	if err != nil {
		r.logger.Error(policyobject.Unquoted(err), "Could not tell whether another replica serves; Ready is left unchanged")
		return
	}
	var writing sync.WaitGroup
	var written atomic.Int64
	next := make(chan types.NamespacedName)
	for range lastWorkers {
		writing.Go(func() {
			for name := range next {
				if result, err := r.Reconcile(ctx, ctrl.Request{NamespacedName: name}); err == nil && result.IsZero() {
					written.Add(1)
				}
			}
		})
	}
	for _, name := range policies {
		next <- name
	}
	close(next)
	writing.Wait()
	if len(policies) > 0 {
		r.logger.Info("The last replica stops: Ready says so", "policies", len(policies), "written", written.Load())
	}
}

const (
	// lastTimeout is the time to say that the last replica stops: a part of what a pod has to end. Of thousands of policies, not all may
	// be written.
	lastTimeout = 2 * time.Second
	// lastWorkers is how many are written at the same time.
	lastWorkers = 16
)

// refused notes that no status can be written in a namespace, and logs it the first time.
func (r *StatusReconciler) refused(namespace string) {
	if _, known := r.refusals.Swap(namespace, time.Now()); !known {
		err := errors.New("this operator may not patch the status of policies there: give its ServiceAccount the Role and RoleBinding")
		r.logger.Error(err, "Status of a namespace cannot be written", "namespace", namespace)
	}
}

// refusedFor returns how long not to write in a namespace. Of thousands of policies in one that refuses, one is tried now and then.
func (r *StatusReconciler) refusedFor(namespace string) time.Duration {
	last, known := r.refusals.Load(namespace)
	if !known {
		return 0
	}
	at, _ := last.(time.Time)
	return max(0, refusedInterval-time.Since(at))
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
	if wait := r.refusedFor(request.Namespace); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	before := storedStatus(object)
	built, ok := r.built.Built(object)
	if !ok {
		return ctrl.Result{}, nil // its build asks again
	}
	var warned warnedPolicy
	if built.Refused == "" { // or else it stands for all of its namespace, in which nothing is read
		var wait time.Duration
		if warned, wait = r.warnings(object, &built.Written); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	accepted := acceptedCondition(built, r.scopes, r.observing, warned.warnings)
	rollout := r.rollout.Status(object, before.RegistrationPolicyStatus, accepted, built.Written.Mode == rules.Audit)
	wanted := policyStatus{v1alpha1.RegistrationPolicyStatus{
		Conditions: []metav1.Condition{accepted, rollout.Ready},
		Replicas:   rollout.Replicas, Entries: entriesStatus(built), Lists: listStatuses(&built.Written),
		NamespaceMemoryLimitBytes: r.limits[object.GetNamespace()],
	}}
	if warned.overruled != nil && accepted.Status == metav1.ConditionTrue {
		wanted.Conditions = append(wanted.Conditions, warned.overruled.condition())
	}
	after, changed := wantedStatus(before, wanted, object.GetGeneration())
	if after.equal(before) || rollout.Settled && after.equalBesidesReady(before) {
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
	case apierrors.IsForbidden(err):
		r.refused(object.GetNamespace())
		return ctrl.Result{RequeueAfter: refusedInterval}, nil
	case apierrors.IsInvalid(err):
		// The stored object is refused by the API server's own schema. Trying again changes nothing.
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("apply status: refused as invalid"))
	case isUnprocessed(err):
		return ctrl.Result{}, fmt.Errorf("apply status: %w; is the CustomResourceDefinition an earlier one than this operator's?", policyobject.Unquoted(err))
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("apply status: %w", policyobject.Unquoted(err))
	}
	r.refusals.Delete(object.GetNamespace())
	if changed {
		r.announce(object, after)
	}
	return ctrl.Result{}, nil
}
