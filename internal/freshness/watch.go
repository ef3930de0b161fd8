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

// watchdogLimit is how long nothing may come by a watch before it is stopped for a new one. An API server sends a bookmark about
// once a minute; three missing ones are more than a delay.
const watchdogLimit = 3 * time.Minute

// watchDuration is how long a watch lasts, up to twice that. Informers ask for 5 to 10 minutes, and one of policies ends with a new
// list: with fifty namespaces that makes seven lists a minute.
const watchDuration = 30 * time.Minute

// emptyWatch is what client-go returns, without an error, where a connection ended or a time ran out before the answer. It proves
// nothing of the API server.
var emptyWatch = reflect.TypeOf(watch.NewEmptyWatch())

// NewInformer returns an informer of a kind in a namespace of the tracker, which follows its watch. It is called once for each.
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

// trackedListWatch notes every proof that the API server sends what there is: a list, an event, or one of the bookmarks that come
// about once a minute. A watch by which nothing comes is stopped; its informer then makes a new one.
type trackedListWatch struct {
	toolscache.ListerWatcherWithContext

	tracker *Tracker
	watch   *trackedWatch
}

// ListWithContext asks for the newest state, whichever version an informer asks for: a replica that starts must not begin with rules
// older than what another one has decided by, and before 1.31 an API server may not have come to the version of the last list. A
// streamed first list is consistent anyway.
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

// WatchWithContext opens a watch that notes what comes by it.
func (l trackedListWatch) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	streamed := options.SendInitialEvents != nil && *options.SendInitialEvents
	if !l.tracker.mayStart(l.watch, streamed) {
		return nil, apierrors.NewResourceExpired("the watch before this one has ended: what there is, is listed again")
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
			l.tracker.prove(l.watch)
		}
		return event, true
	}), dog}, nil
}

// List and Watch complete the older interface, which informers take.
func (l trackedListWatch) List(options metav1.ListOptions) (runtime.Object, error) {
	return l.ListWithContext(context.Background(), options)
}

// Watch completes the older interface.
func (l trackedListWatch) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return l.WatchWithContext(context.Background(), options)
}

// guardedWatch ends its watchdog when it is stopped.
type guardedWatch struct {
	watch.Interface

	watchdog *watchdog
}

// Stop ends the watch.
func (w guardedWatch) Stop() {
	w.watchdog.end()
	w.Interface.Stop()
}

// watchdog calls a function once nothing has come by a watch for too long.
type watchdog struct {
	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer // nil once the watch has ended
}

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

// reset begins the wait anew.
func (w *watchdog) reset() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Reset(w.limit)
	}
}

// end ends the wait, and says whether it had not ended yet.
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
