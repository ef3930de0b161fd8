package freshness

import (
	"context"
	"io"
	"reflect"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

// watchdogLimit is how long a watch may receive nothing before it is replaced. An API server sends a bookmark about
// once a minute; three missing ones are more than a delay.
const watchdogLimit = 3 * time.Minute

// watchDuration is how long a watch lasts; jitter may double it. Informers ask for 5 to 10 minutes by default. Each new
// watch of policies needs a new list, so fifty namespaces would cause seven lists a minute.
const watchDuration = 30 * time.Minute

// emptyWatch is the type of the watch that client-go returns, without an error, if the connection ends or times out
// before the answer. Such a watch does not show that the API server is alive.
var emptyWatch = reflect.TypeOf(watch.NewEmptyWatch())

// NewInformer returns an informer of a kind in one of the tracker's namespaces, whose watch the tracker follows.
// NewInformer may be called once for each namespace and kind. It fails only if transform cannot be set.
func (t *Tracker) NewInformer(
	namespace string, kind Kind, lw toolscache.ListerWatcherWithContext, example runtime.Object, transform toolscache.TransformFunc,
) (toolscache.SharedIndexInformer, error) {
	t.mu.Lock()
	w := t.watches[watchID{namespace, kind}]
	t.mu.Unlock()
	informer := toolscache.NewSharedIndexInformer(trackedListWatch{lw, t, w}, example, 0, toolscache.Indexers{})
	if err := informer.SetTransform(transform); err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	w.store = informer.GetStore()
	return informer, nil
}

// trackedListWatch tells the tracker when the API server has sent something: a list, an event, or a bookmark, which comes
// about once a minute. It stops a watch that receives nothing for too long. The informer then starts a new one.
type trackedListWatch struct {
	toolscache.ListerWatcherWithContext

	tracker *Tracker
	watch   *trackedWatch
}

// ListWithContext lists the newest state, whichever version the informer asks for. Otherwise a replica that starts could
// have older rules than the other replicas: before Kubernetes 1.31, a list from the cache of an API server may be older
// than an earlier list. A first list that is streamed (sendInitialEvents) is consistent anyway.
func (l trackedListWatch) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	options.ResourceVersion, options.ResourceVersionMatch = "", ""
	list, err := retryUntilAllowed(ctx, l, func() (runtime.Object, error) {
		return l.ListerWatcherWithContext.ListWithContext(ctx, options)
	})
	if err == nil {
		l.tracker.listCompleted(l.watch)
	}
	return list, err
}

// WatchWithContext starts a watch whose events are recorded by the tracker.
func (l trackedListWatch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	streamed := options.SendInitialEvents != nil && *options.SendInitialEvents
	if !l.tracker.mayStart(l.watch, streamed) {
		return nil, apierrors.NewResourceExpired("the previous watch has ended: list again")
	}
	options.TimeoutSeconds = new(int64(wait.Jitter(watchDuration, 1).Seconds()))
	events, err := retryUntilAllowed(ctx, l, func() (watch.Interface, error) {
		events, err := l.ListerWatcherWithContext.WatchWithContext(ctx, options)
		if err == nil && reflect.TypeOf(events) == emptyWatch {
			return nil, io.ErrUnexpectedEOF
		}
		return events, err
	})
	if err != nil {
		return nil, err
	}
	l.tracker.watchStarted(l.watch, streamed)
	dog := startWatchdog(l.tracker.watchdogLimit, func() {
		l.tracker.watchdogFired(l.watch)
		events.Stop()
	})
	return guardedWatch{watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		dog.reset()
		if event.Type != watch.Error {
			l.tracker.markProven(l.watch)
		}
		return event, true
	}), dog}, nil
}

// List completes the interface ListerWatcher, which informers still require.
func (l trackedListWatch) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// Watch completes the interface ListerWatcher, which informers still require.
func (l trackedListWatch) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

// guardedWatch is a watch with a watchdog, which ends with the watch.
type guardedWatch struct {
	watch.Interface

	watchdog *watchdog
}

// Stop ends the watch and its watchdog.
func (w guardedWatch) Stop() {
	w.watchdog.end()
	w.Interface.Stop()
}

// watchdog calls a function once after a watch has received nothing for a time limit.
type watchdog struct {
	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer // nil once the watch has ended
}

// startWatchdog returns a watchdog that calls fire once it was not reset for as long as limit.
func startWatchdog(limit time.Duration, fire func()) *watchdog {
	w := &watchdog{limit: limit}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(limit, func() {
		if w.end() {
			fire()
		}
	})
	return w
}

// reset restarts the time limit.
func (w *watchdog) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

// end stops the watchdog, and reports whether it was still running.
func (w *watchdog) end() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return false
	}
	w.timer.Stop()
	w.timer = nil
	return true
}
