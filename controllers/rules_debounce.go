package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// buildInterval is the shortest time between the starts of two builds of one namespace. The first change is built at
// once; each further one waits at most this long, and shares its build with others.
const buildInterval = 100 * time.Millisecond

func namespaceRequest(namespace string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Name: namespace}}
}

// enqueue asks for a build of a namespace, at the earliest buildInterval after the start of the last one.
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

// pendingNamespaces is a set of namespaces for one reader. Its methods do not block.
type pendingNamespaces struct {
	added chan struct{}

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

func (p *pendingNamespaces) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	names := slices.Collect(maps.Keys(p.names))
	clear(p.names)
	return names
}
