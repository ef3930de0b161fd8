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
	"registrationpolicy.dev/operator/internal/policystatus"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// fieldOwner owns the status in server-side apply.
const fieldOwner = client.FieldOwner("registration-policy-operator")

// shortRetry is the wait before a status is computed again because the informer's copy of the policy was old, or
// because warnings were being computed.
const shortRetry = 200 * time.Millisecond

// StatusReconciler writes the status of each policy, and an Event when the condition Accepted changes. Only the leader
// runs it, and no decision depends on a status.
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
	events    eventLimits
	fleet     *fleet.Observer

	// Run sets these for each term of leadership.
	warningCache *warningCache
	rollout      *fleet.Rollout
	refusedAt    sync.Map                                  // namespace → when a status write was last refused
	queue        priorityqueue.PriorityQueue[ctrl.Request] // nil before the first term
}

const (
	// statusWorkers is how many statuses are written at the same time.
	statusWorkers = 4
	// bulkPriority is the priority of requests for which no author is likely to wait, such as one for each policy at
	// the start of a term. A policy that was just edited goes first.
	bulkPriority = handler.LowPriority
	// maxEdited is how many policies an author's edit changes at most: one, or the few that share a list. If a build
	// changes more, their statuses are written at bulkPriority.
	maxEdited = 20
)

// PolicySource provides the stored policies.
type PolicySource interface {
	// Policy returns a policy; nil if there is none.
	Policy(name types.NamespacedName) *unstructured.Unstructured
	// AllPolicies returns all policies, sorted by namespace and name.
	AllPolicies() []*unstructured.Unstructured
	// OnPolicies calls a handler for each policy and each later change, until end is called.
	OnPolicies(handler toolscache.ResourceEventHandler) (end func() error, _ error)
}

// BuiltPolicies provides the policies as they were built.
type BuiltPolicies interface {
	// Built returns the policy built from this version of the object, which is in force or about to be; false if it was
	// not built yet.
	Built(object *unstructured.Unstructured) (*publish.Policy, bool)
	// OnBuilt sets a function that is called with the policies that a build has changed; nil removes it.
	OnBuilt(f func(policies []types.NamespacedName))
}

// StatusOptions configure a StatusReconciler.
type StatusOptions struct {
	// Stored provides the stored policies, and Built what was built from them.
	Stored PolicySource
	Built  BuiltPolicies
	// Client writes statuses, and Recorder Events.
	Client   client.Client
	Recorder events.EventRecorder
	// Scopes must be those to which the [publish.Publisher] limits policies, and Limits those of the rules controller.
	Scopes policyobject.Scopes
	Limits budget.Limits
	// Fleet observes the replicas.
	Fleet *fleet.Observer
	// Observing: the operator runs with --observe, and allows every call. Each status then says so.
	Observing bool
	// Logger gets errors that no status can show.
	Logger logr.Logger
}

// NewStatusReconciler returns a reconciler with these options. It fails only if the built-in schema is invalid.
func NewStatusReconciler(o StatusOptions) (*StatusReconciler, error) {
	schema, err := policyobject.NewSchema()
	if err != nil {
		return nil, err
	}
	return &StatusReconciler{
		stored: o.Stored, built: o.Built, schema: schema, client: o.Client, recorder: o.Recorder,
		scopes: o.Scopes, limits: o.Limits, observing: o.Observing, logger: o.Logger,
		events: newEventLimits(), fleet: o.Fleet, warningCache: &warningCache{}, rollout: fleet.NewRollout(o.Fleet),
	}, nil
}

// Run writes status for one term of leadership, until ctx ends. It may be called again for the next term.
func (r *StatusReconciler) Run(ctx context.Context) error {
	c, err := controller.NewUnmanaged("status", controller.Options{
		Reconciler:              r,
		MaxConcurrentReconciles: statusWorkers,
		UsePriorityQueue:        new(true),
		SkipNameValidation:      new(true), // every term needs a new controller, since one cannot be started twice
		CacheSyncTimeout:        cacheSyncTimeout,
		Logger:                  ctrl.Log.WithName("status"), // for lines of controller-runtime only
	})
	if err != nil {
		return fmt.Errorf("set up the status controller: %w", err)
	}
	r.refusedAt.Clear()
	// The state of an earlier term may be outdated.
	r.warningCache, r.rollout = &warningCache{}, fleet.NewRollout(r.fleet)
	defer r.rollout.Close()
	end := func() error { return nil }
	watch := source.Func(func(ctx context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) (err error) {
		var ok bool
		if r.queue, ok = queue.(priorityqueue.PriorityQueue[ctrl.Request]); !ok {
			return fmt.Errorf("the queue is a %T, which has no priorities", queue)
		}
		go r.rollout.Run(ctx, func(name types.NamespacedName, urgent bool) { r.enqueue(name, !urgent) })
		r.built.OnBuilt(r.onBuilt)
		end, err = r.stored.OnPolicies(r.onPolicy())
		return err
	})
	if err := c.Watch(watch); err != nil {
		return err
	}
	// The informers and the builds go on after the term, so they must no longer call this term's handlers.
	defer func() {
		r.built.OnBuilt(nil)
		if err := end(); err != nil {
			r.logger.Error(err, "Could not end the watch of a past term")
		}
	}()
	err = c.Start(ctx)
	r.reportLastReplica()
	return err
}

// onBuilt asks for the status of the policies that a build has changed, at bulkPriority if they are many. In a
// namespace over its memory limit, one more policy may change the status of all. These statuses must not delay those of
// other namespaces.
func (r *StatusReconciler) onBuilt(policies []types.NamespacedName) {
	for _, name := range policies {
		r.enqueue(name, len(policies) > maxEdited)
	}
}

// enqueue asks for the status of a policy. bulk: at bulkPriority.
func (r *StatusReconciler) enqueue(name types.NamespacedName, bulk bool) {
	options := priorityqueue.AddOpts{}
	if bulk {
		options.Priority = new(bulkPriority)
	}
	r.queue.AddWithOpts(options, ctrl.Request{NamespacedName: name})
}

// onPolicy returns a handler that asks for the status of each policy that changes.
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
				r.recordDeletion(policy)
				r.enqueue(policyobject.NameOf(policy), false)
				r.enqueue(computeWarningsRequest.NamespacedName, false)
			}
		},
	}
}

// reportLastReplica sets Ready of each accepted policy to say: no replica serves. It does so only if this replica is
// stopping, and all others are stopping too or have stopped.
func (r *StatusReconciler) reportLastReplica() {
	ctx, cancel := context.WithTimeout(context.Background(), lastReplicaTimeout)
	defer cancel()
	policies, err := r.rollout.LastReplicaStops(ctx)
	if err != nil {
		r.logger.Error(policyobject.Unquoted(err), "Could not tell whether another replica serves; Ready is left unchanged")
		return
	}
	var writing sync.WaitGroup
	var written atomic.Int64
	next := make(chan types.NamespacedName)
	for range lastReplicaWorkers {
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
	// lastReplicaTimeout is the time limit of reportLastReplica. It is a part of the pod's termination grace period.
	// With thousands of policies, some statuses may not be written.
	lastReplicaTimeout = 2 * time.Second
	// lastReplicaWorkers is how many of these statuses are written at the same time.
	lastReplicaWorkers = 16
)

// noteRefusal notes that a status write was refused in a namespace, and logs the first refusal.
func (r *StatusReconciler) noteRefusal(namespace string) {
	if _, known := r.refusedAt.Swap(namespace, time.Now()); !known {
		err := errors.New("this operator may not patch the status of policies there: give its ServiceAccount the Role and RoleBinding")
		r.logger.Error(err, "Status of a namespace cannot be written", "namespace", namespace)
	}
}

// refusalWait returns how long to wait before the next write in a namespace after a refusal; 0 if there was none.
// Without the wait, a write would be tried and refused for each of thousands of policies.
func (r *StatusReconciler) refusalWait(namespace string) time.Duration {
	last, known := r.refusedAt.Load(namespace)
	if !known {
		return 0
	}
	at, _ := last.(time.Time)
	return max(0, refusedInterval-time.Since(at))
}

// isServerError reports whether an API server answered 500. An API server does so after a server-side apply with a
// field that its CustomResourceDefinition lacks.
func isServerError(err error) bool {
	const internalServerError = 500
	answer, ok := errors.AsType[*apierrors.StatusError](err)
	return ok && answer.ErrStatus.Code == internalServerError
}

// Reconcile computes the status of one policy, and writes it if it differs from the stored status. It fails only if the
// status cannot be written.
func (r *StatusReconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	if request == computeWarningsRequest {
		return ctrl.Result{RequeueAfter: r.computeWarnings()}, nil
	}
	object := r.stored.Policy(request.NamespacedName)
	if object == nil {
		r.rollout.Forget(request.NamespacedName)
		return ctrl.Result{}, nil
	}
	if wait := r.refusalWait(request.Namespace); wait > 0 {
		return ctrl.Result{RequeueAfter: wait}, nil
	}
	before := policystatus.Stored(object)
	built, ok := r.built.Built(object)
	if !ok {
		return ctrl.Result{}, nil // the build of this version enqueues the policy again
	}
	var warned policyWarnings
	if built.Refused == "" { // otherwise the namespace is over its memory limit, and no policy of it was read
		var wait time.Duration
		if warned, wait = r.warnings(object, &built.Written); wait > 0 {
			return ctrl.Result{RequeueAfter: wait}, nil
		}
	}
	accepted := policystatus.AcceptedCondition(built, r.scopes, r.observing, warned.warnings)
	rollout := r.rollout.Status(object, before.RegistrationPolicyStatus, accepted, built.Written.Mode == rules.Audit)
	wanted := policystatus.Status{RegistrationPolicyStatus: v1alpha1.RegistrationPolicyStatus{
		Conditions: []metav1.Condition{accepted, rollout.Ready},
		Replicas:   rollout.Replicas, Entries: policystatus.Entries(built), Lists: policystatus.Lists(&built.Written),
		NamespaceMemoryLimitBytes: r.limits[object.GetNamespace()],
	}}
	if warned.overruled != nil && accepted.Status == metav1.ConditionTrue {
		wanted.Conditions = append(wanted.Conditions, warned.overruled.Condition())
	}
	after, changed := policystatus.After(before, wanted, object.GetGeneration())
	if after.Equal(before) || rollout.Settled && after.EqualExceptReady(before) {
		return ctrl.Result{}, nil
	}
	configuration, err := after.ApplyConfiguration(object)
	if err != nil {
		return ctrl.Result{}, reconcile.TerminalError(err)
	}
	err = r.client.Status().Apply(ctx, configuration, fieldOwner, client.ForceOwnership)
	switch {
	case err != nil && ctx.Err() != nil:
		return ctrl.Result{}, nil //nolint:nilerr // this term has ended: the next leader writes the status
	case apierrors.IsNotFound(err):
		return ctrl.Result{}, nil
	case apierrors.IsConflict(err):
		// The stored object is newer than the informer's, for example because a new leader has written a status.
		return ctrl.Result{RequeueAfter: shortRetry}, nil
	case apierrors.IsForbidden(err):
		r.noteRefusal(object.GetNamespace())
		return ctrl.Result{RequeueAfter: refusedInterval}, nil
	case apierrors.IsInvalid(err):
		// The stored object violates the API server's current schema. A retry would fail as well.
		return ctrl.Result{}, reconcile.TerminalError(fmt.Errorf("apply status: the API server refused the object as invalid"))
	case isServerError(err):
		return ctrl.Result{}, fmt.Errorf("apply status: %w; is the CustomResourceDefinition older than this operator?",
			policyobject.Unquoted(err))
	case err != nil:
		return ctrl.Result{}, fmt.Errorf("apply status: %w", policyobject.Unquoted(err))
	}
	r.refusedAt.Delete(object.GetNamespace())
	if changed {
		r.recordAccepted(object, after)
	}
	return ctrl.Result{}, nil
}
