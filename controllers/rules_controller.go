package controllers

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"registrationpolicy.dev/operator/rules"
)

// buildInterval is the least time between the beginnings of two builds. The first change is taken at once; of a thousand that
// follow, each waits at most this long, and they share the builds.
const buildInterval = 100 * time.Millisecond

// everything is the one request of the rules controller: whatever has changed, all policies are listed and compiled anew.
var everything = ctrl.Request{NamespacedName: types.NamespacedName{Name: "policies"}}

// RulesReconciler keeps the snapshot in a store equal to the policies in a cluster. Every replica runs one.
type RulesReconciler struct {
	reader    client.Reader
	publisher publisher
	converted conversions
	lists     *Lists
	lastBuild atomic.Int64 // nanoseconds of the Unix epoch
}

// NewRulesReconciler returns a reconciler that lists policies through reader, takes what they name from lists, and publishes in
// store what scopes leave in force.
func NewRulesReconciler(
	reader client.Reader, lists *Lists, store *rules.Store, scopes Scopes, metrics *Metrics, logger logr.Logger,
) (*RulesReconciler, error) {
	schema, err := newSpecSchema()
	if err != nil {
		return nil, err
	}
	return &RulesReconciler{
		reader:    reader,
		publisher: publisher{scopes: scopes, store: store, metrics: metrics, logger: logger},
		converted: conversions{converter: converter{schema}},
		lists:     lists,
	}, nil
}

// SetupWithManager lets the manager run the controller, leader or not.
func (r *RulesReconciler) SetupWithManager(mgr ctrl.Manager) error {
	c, err := controller.New("rules", mgr, controller.Options{
		Reconciler:         r,
		NeedLeaderElection: new(false),
		SkipNameValidation: new(true), // several may run in one process: tests do
		CacheSyncTimeout:   untilSynced,
	})
	if err != nil {
		return fmt.Errorf("set up the rules controller: %w", err)
	}
	// Zero policies send no event, and must make a snapshot too.
	started := source.Func(func(_ context.Context, queue workqueue.TypedRateLimitingInterface[ctrl.Request]) error {
		queue.Add(everything)
		return nil
	})
	if err := c.Watch(started); err != nil {
		return err
	}
	// Every ConfigMap in this cache has a list, or a part of one. One that loses the label is deleted from it.
	if err := c.Watch(source.Kind(mgr.GetCache(), &corev1.ConfigMap{}, onAnyEvent[*corev1.ConfigMap](r))); err != nil {
		return err
	}
	type policy = *unstructured.Unstructured
	return c.Watch(source.Kind(mgr.GetCache(), newPolicyObject(), onAnyEvent[policy](r), predicate.TypedFuncs[policy]{
		UpdateFunc: func(e event.TypedUpdateEvent[policy]) bool {
			return e.ObjectOld.GetGeneration() != e.ObjectNew.GetGeneration() ||
				e.ObjectOld.GetUID() != e.ObjectNew.GetUID() // a status write changes no rule
		},
	}))
}

func onAnyEvent[Object client.Object](r *RulesReconciler) handler.TypedEventHandler[Object, ctrl.Request] {
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	return handler.TypedFuncs[Object, ctrl.Request]{
		CreateFunc: func(_ context.Context, _ event.TypedCreateEvent[Object], q queue) { r.enqueue(q) },
		UpdateFunc: func(_ context.Context, _ event.TypedUpdateEvent[Object], q queue) { r.enqueue(q) },
		DeleteFunc: func(_ context.Context, _ event.TypedDeleteEvent[Object], q queue) { r.enqueue(q) },
	}
}

func (r *RulesReconciler) enqueue(queue workqueue.TypedRateLimitingInterface[ctrl.Request]) {
	wait := buildInterval - time.Since(time.Unix(0, r.lastBuild.Load()))
	if wait <= 0 {
		queue.Add(everything)
		return
	}
	queue.AddAfter(everything, wait)
}

// Reconcile lists, converts, compiles and publishes all policies, with the lists that they name. The request is of no interest.
// Where the list fails, the earlier snapshot stays: an error is not the absence of policies.
func (r *RulesReconciler) Reconcile(ctx context.Context, _ ctrl.Request) (ctrl.Result, error) {
	r.lastBuild.Store(time.Now().UnixNano())
	list := newPolicyList()
	if err := r.reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		r.publisher.metrics.failed(buildListFailed)
		return ctrl.Result{}, fmt.Errorf("list policies: %w", err)
	}
	policies, err := r.lists.ResolveAll(ctx, r.converted.all(ctx, list.Items))
	if err != nil {
		r.publisher.metrics.failed(buildListFailed)
		return ctrl.Result{}, err
	}
	r.publisher.publish(policies)
	return ctrl.Result{}, nil
}

// conversions remembers what each stored version of an object was converted to, so that a change to one policy does not
// validate all the others again. It is used by one goroutine at a time.
type conversions struct {
	converter converter
	known     map[conversionKey]rules.Policy
}

type conversionKey struct {
	uid             types.UID
	resourceVersion string
}

func (c *conversions) all(ctx context.Context, objects []unstructured.Unstructured) []rules.Policy {
	policies := make([]rules.Policy, 0, len(objects))
	known := make(map[conversionKey]rules.Policy, len(objects))
	for i := range objects {
		key := conversionKey{objects[i].GetUID(), objects[i].GetResourceVersion()}
		policy, found := c.known[key]
		if !found {
			policy = c.converter.convert(ctx, &objects[i])
		}
		known[key] = policy
		policies = append(policies, policy)
	}
	c.known = known // what is gone is forgotten
	return policies
}
