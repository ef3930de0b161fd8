package controllers

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
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

	watches *watches
	inForce *inForce
	// rebuild asks for a build although no object has changed: the watches have come forward.
	rebuild chan event.GenericEvent
	// target is the resourceVersion that somebody waits for; "" or earlier than what is in force where nobody does.
	target atomic.Value
	// hurry says that there is a new target.
	hurry chan struct{}
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
	inForce := &inForce{}
	metrics.watches.tell(logger)
	return &RulesReconciler{
		inForce:   inForce,
		reader:    reader,
		publisher: publisher{scopes: scopes, store: store, metrics: metrics, logger: logger, inForce: inForce},
		converted: conversions{converter: converter{schema}},
		lists:     lists,
		watches:   metrics.watches,
		rebuild:   make(chan event.GenericEvent, 1),
		hurry:     make(chan struct{}, 1),
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
	type queue = workqueue.TypedRateLimitingInterface[ctrl.Request]
	// Zero policies send no event, and must make a snapshot too.
	started := source.Func(func(_ context.Context, queue queue) error {
		queue.Add(everything)
		return nil
	})
	if err := c.Watch(started); err != nil {
		return err
	}
	onDemand := handler.Funcs{GenericFunc: func(_ context.Context, _ event.GenericEvent, q queue) { q.Add(everything) }}
	if err := c.Watch(source.Channel(r.rebuild, onDemand)); err != nil {
		return err
	}
	if err := mgr.Add(&forward{rules: r, catchUp: &catchUp{mgr.GetAPIReader(), r.watches}}); err != nil {
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
				e.ObjectOld.GetUID() != e.ObjectNew.GetUID() || // a status write changes no rule
				!equality.Semantic.DeepEqual(e.ObjectOld.Object["spec"], e.ObjectNew.Object["spec"]) // but another definition may
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
	through, _ := r.watches.through() // before the list: what is listed is at least as new
	list := newPolicyList()
	if err := r.reader.List(ctx, list, client.UnsafeDisableDeepCopy); err != nil {
		r.publisher.metrics.failed(buildListFailed)
		return ctrl.Result{}, fmt.Errorf("list policies: %w", err)
	}
	policies, lists, err := r.lists.resolveAll(ctx, r.converted.all(ctx, list.Items))
	if err != nil {
		r.publisher.metrics.failed(buildListFailed)
		return ctrl.Result{}, err
	}
	r.publisher.publish(policies, &builtFrom{policies: list.Items, lists: lists, publishedThrough: through})
	return ctrl.Result{}, nil
}

// Freshness is how near the rules in force are to what the API server has.
type Freshness struct {
	// PublishedThrough is the resourceVersion through which they reflect all policies and lists; "" while there are none.
	PublishedThrough string
	// Proven is when the watch that has been silent for longest was last known to be alive; zero if some watch never was.
	Proven time.Time
}

// Freshness returns how near the rules in force are to what the API server has.
func (r *RulesReconciler) Freshness() Freshness {
	_, through, _ := r.inForce.get()
	return Freshness{through, r.watches.oldestProof()}
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
	// spec tells the one object that was converted from another of the same version, as long as the cache has it: under another
	// CustomResourceDefinition, the API server may show more or fewer fields of it.
	spec uintptr
}

func (c *conversions) all(ctx context.Context, objects []unstructured.Unstructured) []rules.Policy {
	policies := make([]rules.Policy, 0, len(objects))
	known := make(map[conversionKey]rules.Policy, len(objects))
	for i := range objects {
		spec, _ := objects[i].Object["spec"].(map[string]any)
		key := conversionKey{objects[i].GetUID(), objects[i].GetResourceVersion(), reflect.ValueOf(spec).Pointer()}
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
