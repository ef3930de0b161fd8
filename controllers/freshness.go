package controllers

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// freshness knows when the watches of policies were last proven to be alive: by a list, an event, or one of the bookmarks that an
// API server sends about once a minute. A watch that died in silence shows by its age alone. All methods may be called at the
// same time.
type freshness struct {
	mu     sync.Mutex
	proofs []time.Time // of each watch; zero while there is none
}

// add returns the function that notes a proof of a further watch.
func (f *freshness) add() (prove func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	i := len(f.proofs)
	f.proofs = append(f.proofs, time.Time{})
	return func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.proofs[i] = time.Now()
	}
}

// oldest returns the proof of the watch that has been silent for longest, in Unix seconds; 0 if some watch has none, or there
// is no watch.
func (f *freshness) oldest() float64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	var oldest time.Time
	for i, proof := range f.proofs {
		if proof.IsZero() {
			return 0
		}
		if i == 0 || proof.Before(oldest) {
			oldest = proof
		}
	}
	if oldest.IsZero() {
		return 0
	}
	return float64(oldest.UnixMilli()) / float64(time.Second/time.Millisecond)
}

// proven notes every proof that passes through a list-watcher.
type proven struct {
	toolscache.ListerWatcherWithContext
	prove func()
}

func (p proven) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := p.ListerWatcherWithContext.ListWithContext(ctx, options)
	if err == nil {
		p.prove()
	}
	return list, err
}

func (p proven) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	events, err := p.ListerWatcherWithContext.WatchWithContext(ctx, options)
	if err != nil {
		return nil, err
	}
	return watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		if event.Type != watch.Error {
			p.prove()
		}
		return event, true
	}), nil
}
