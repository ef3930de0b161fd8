package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
)

// buildInterval is the shortest time between the starts of two builds of one namespace. It debounces changes: the first
// is built at once, and further ones wait at most this long and share one build.
const buildInterval = 100 * time.Millisecond

type requestQueue = workqueue.TypedRateLimitingInterface[ctrl.Request]

func namespaceRequest(namespace string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Name: namespace}}
}

// enqueue asks for a build of a namespace, not earlier than buildInterval after the start of its last build.
func (r *RulesReconciler) enqueue(queue requestQueue, namespace string) {
	r.mu.Lock()
	began := r.buildStarted[namespace]
	r.mu.Unlock()
	if wait := buildInterval - time.Since(began); wait > 0 {
		queue.AddAfter(namespaceRequest(namespace), wait)
		return
	}
	queue.Add(namespaceRequest(namespace))
}

// pendingNamespaces is a set of namespaces. Several goroutines may add to it, and one takes them. Its methods do not
// block.
type pendingNamespaces struct {
	added chan struct{} // receives a value when a namespace is added

	mu    sync.Mutex
	names map[string]bool
}

func newPendingNamespaces() *pendingNamespaces {
	return &pendingNamespaces{added: make(chan struct{}, 1), names: map[string]bool{}}
}

func (p *pendingNamespaces) add(namespace string) {
	p.mu.Lock()
	p.names[namespace] = true
	p.mu.Unlock()
	select {
	case p.added <- struct{}{}:
	default:
	}
}

// take returns the namespaces and empties the set.
func (p *pendingNamespaces) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := slices.Collect(maps.Keys(p.names))
	clear(p.names)
	return names
}
