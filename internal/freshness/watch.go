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

// watchdogLimit is the time after which a watch that receives nothing is stopped. An API server sends a bookmark about
// once a minute, so by then about three are missing.
const watchdogLimit = 3 * time.Minute

// watchDuration is how long a watch lasts; jitter may double it. It is longer than the informers' default of 5 to 10
// minutes, because each new watch of policies needs a new list (see mayStart). With the default, fifty namespaces would
// cause about seven lists a minute.
const watchDuration = 30 * time.Minute

// emptyWatch is the type of the watch that client-go returns, without an error, if the connection ends or times out
// before the answer. Such a watch does not show that the API server is alive.
var emptyWatch = reflect.TypeOf(watch.NewEmptyWatch())

// NewInformer returns an informer of a kind in one of the tracker's namespaces. The tracker records the state of the
// informer's watch. NewInformer may be called once for each namespace and kind. It fails only if transform cannot be
// set.
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

// trackedListWatch does the lists and watches of an informer, and tells the tracker whenever the API server has sent a
// list, an event or a bookmark. It stops a watch that receives nothing for too long; the informer then starts a new
// one.
type trackedListWatch struct {
	toolscache.ListerWatcherWithContext

	tracker *Tracker
	watch   *trackedWatch
}

// ListWithContext lists the newest state of etcd, whichever version the informer asks for. Before Kubernetes 1.31, a
// list from the API server's cache may be older than an earlier list, so a replica that starts could have older rules
// than the others. A first list that is streamed (sendInitialEvents) is a watch, and as new as etcd anyway.
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

// WatchWithContext starts a watch with a watchdog. The tracker records when an event arrives. If the watch may not
// start (see mayStart), WatchWithContext fails with 410, so that the informer lists first.
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

// guardedWatch is a watch whose Stop also ends its watchdog.
type guardedWatch struct {
	watch.Interface

	watchdog *watchdog
}

// Stop stops the watch and its watchdog.
func (w guardedWatch) Stop() {
	w.watchdog.end()
	w.Interface.Stop()
}

// watchdog calls a function, at most once, when a watch has received nothing for a time limit.
type watchdog struct {
	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer // nil once the watchdog has fired or was stopped
}

// startWatchdog returns a running watchdog that calls fire if it is not reset within limit.
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
