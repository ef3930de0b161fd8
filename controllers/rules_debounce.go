package controllers

import (
	"maps"
	"slices"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
)

// buildInterval is the least time between the beginnings of two builds of one namespace. The first change is taken at once; of a
// thousand that follow, each waits at most this long, and they share the builds.
const buildInterval = 100 * time.Millisecond

func namespaceRequest(namespace string) ctrl.Request {
	return ctrl.Request{NamespacedName: types.NamespacedName{Name: namespace}}
}

// enqueue asks for a build of a namespace, not before buildInterval has passed since the last began.
func (r *RulesReconciler) enqueue(queue requestQueue, namespace string) {
	r.mu.Lock()
	began := r.began[namespace]
	r.mu.Unlock()
	if wait := buildInterval - time.Since(began); wait > 0 {
		queue.AddAfter(namespaceRequest(namespace), wait)
		return
	}
	queue.Add(namespaceRequest(namespace))
}

// pendingNamespaces collects namespaces for one reader. It never blocks.
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
