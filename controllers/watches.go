package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"

	"registrationpolicy.dev/operator/internal/freshness"
)

// silenceLimit is how long nothing may come by a watch before it is given up for a new one. An API server sends a bookmark about
// once a minute; three that are missing are no delay any more.
const silenceLimit = 3 * time.Minute

// awayInterval is how long to wait before an API server that is away is asked again, up to twice that.
const awayInterval = time.Second

// awayPatience is how long an API server that restarts may take.
const awayPatience = 30 * time.Second

// watches are the watches that the rules are built from: of policies and of lists, in each namespace. All methods may be called at
// the same time.
type watches struct {
	mu      sync.Mutex
	watches []*ruleWatch
	// restarted is told of every watch that was given up.
	restarted func()
	// silenceLimit is that of this package, but in tests.
	silenceLimit time.Duration
	// logger is told of an API server that does not answer.
	logger logr.Logger
}

// ruleWatch is one of them.
type ruleWatch struct {
	place watchPlace
	store toolscache.Store
	// proof is when the API server was last known to send what there is; zero while it never was.
	proof time.Time
	// relisted says that no watch has begun since the last list.
	relisted bool
	// givenUp says that the last watch was: it may have waited for a version that etcd, restored, has not come to again.
	givenUp bool
	// compared is a resourceVersion at which the API server was seen to have the same objects as the store; "" while there is none.
	compared string
	// reached is the store's own when it was last asked: what the watch has brought. Where versions go back, as after etcd was
	// restored, compared says nothing.
	reached string
}

// watchPlace says what a watch is of.
type watchPlace struct {
	policies  bool // otherwise lists
	namespace string
}

func newWatches(restarted func()) *watches {
	return &watches{restarted: restarted, silenceLimit: silenceLimit, logger: logr.Discard()}
}

// tell says who is told of an API server that does not answer.
func (w *watches) tell(logger logr.Logger) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.logger = logger
}

// add returns a further watch, of objects of this kind. Its namespace and store are not known yet.
func (w *watches) add(object runtime.Object) *ruleWatch {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, policies := object.(*unstructured.Unstructured)
	added := &ruleWatch{place: watchPlace{policies: policies}}
	w.watches = append(w.watches, added)
	return added
}

func (w *watches) prove(of *ruleWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of.proof = time.Now()
}

func (w *watches) listed(of *ruleWatch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of.relisted, of.givenUp = true, false
}

// follows says whether a watch may begin where another has ended, without a list between. One of policies may not: where their
// CustomResourceDefinition changes, the watches that are open go on for a moment by the earlier one, and end. What they bring then
// lacks the fields that are new, and nothing would bring it again. Nor may one where the last was given up. streamed says that the
// watch begins with a list.
func (w *watches) follows(of *ruleWatch, streamed bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return streamed || of.relisted || !of.place.policies && !of.givenUp
}

// begun says that a watch has begun.
func (w *watches) begun(of *ruleWatch, streamed bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	of.relisted = false
	of.givenUp = of.givenUp && !streamed
}

func (w *watches) gaveUp(on *ruleWatch) {
	w.restarted()
	w.mu.Lock()
	defer w.mu.Unlock()
	on.givenUp = true
}

// oldestProof returns the proof of the watch that has been silent for longest; zero if some watch has none, or there is no
// watch. A watch that died in silence shows by its age alone.
func (w *watches) oldestProof() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	var oldest time.Time
	for i, one := range w.watches {
		if one.proof.IsZero() {
			return time.Time{}
		}
		if i == 0 || one.proof.Before(oldest) {
			oldest = one.proof
		}
	}
	return oldest
}

// oldestProofSeconds is oldestProof in Unix seconds; 0 where that is zero.
func (w *watches) oldestProofSeconds() float64 {
	return unixSeconds(w.oldestProof())
}

func unixSeconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / float64(time.Second/time.Millisecond)
}

// through returns the resourceVersion through which all of the stores reflect what the API server has, and the one that the watch
// which is ahead of all others has brought; "" while some store has not been filled. What a comparison has found does not put a
// watch ahead: other things change all the time where policies and lists do not, and the others would be compared for ever.
//
// It compares versions of different kinds and namespaces, which have one order where one etcd keeps them, as it does unless
// an API server is told to keep ConfigMaps elsewhere (--etcd-servers-overrides).
func (w *watches) through() (least, most string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i, one := range w.watches {
		position := one.position()
		if position == "" {
			return "", ""
		}
		if i == 0 || freshness.Older(position, least) {
			least = position
		}
		if i == 0 || freshness.Older(most, one.reached) {
			most = one.reached
		}
	}
	return least, most
}

// namespaces returns the namespaces that are watched.
func (w *watches) namespaces() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var namespaces []string
	for _, one := range w.watches {
		if namespace := one.place.namespace; namespace != "" && !slices.Contains(namespaces, namespace) {
			namespaces = append(namespaces, namespace)
		}
	}
	return namespaces
}

// behind returns the places of the watches whose stores have not reached a version.
func (w *watches) behind(version string) []watchPlace {
	w.mu.Lock()
	defer w.mu.Unlock()
	var places []watchPlace
	for _, one := range w.watches {
		if position := one.position(); position != "" && freshness.Older(position, version) {
			places = append(places, one.place)
		}
	}
	return places
}

// position returns what the store has reached by its own watch or by comparison.
func (r *ruleWatch) position() string {
	if r.store == nil {
		return ""
	}
	position := r.store.LastStoreSyncResourceVersion()
	if freshness.Older(position, r.reached) {
		r.compared = ""
	}
	r.reached = position
	if position != "" && freshness.Older(position, r.compared) {
		return r.compared
	}
	return position
}

// compare holds what an API server has at a version, by the names of its objects, against a store. Where it is the same, the
// store has reached that version, although no watch has told so.
func (w *watches) compare(place watchPlace, at string, there map[string]objectVersion) (same bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, one := range w.watches {
		if one.place != place || one.store == nil {
			continue
		}
		have := one.store.List()
		if len(have) != len(there) {
			return false
		}
		for _, object := range have {
			accessor, ok := object.(metav1.Object)
			if !ok || there[accessor.GetName()] != versionOfObject(accessor) {
				return false
			}
		}
		one.compared = at
		one.proof = time.Now()
		return true
	}
	return false
}

// objectVersion tells one stored version of an object from all others.
type objectVersion struct{ uid, resourceVersion string }

func versionOfObject(object metav1.Object) objectVersion {
	return objectVersion{string(object.GetUID()), object.GetResourceVersion()}
}

// newInformer returns an informer whose watch is among w, if it is of what rules are built from.
func (w *watches) newInformer(
	lw toolscache.ListerWatcher, object runtime.Object, resync time.Duration, indexers toolscache.Indexers,
) toolscache.SharedIndexInformer {
	consistent := consistentFirstList{toolscache.ToListerWatcherWithContext(lw)}
	switch object.(type) {
	case *unstructured.Unstructured, *corev1.ConfigMap:
	default:
		return toolscache.NewSharedIndexInformer(consistent, object, resync, indexers)
	}
	added := w.add(object)
	informer := toolscache.NewSharedIndexInformer(proven{consistent, w, added}, object, resync, indexers)
	w.mu.Lock()
	defer w.mu.Unlock()
	added.store = informer.GetStore()
	return placedInformer{informer, w, added}
}

// placedInformer learns of which namespace it is.
type placedInformer struct {
	toolscache.SharedIndexInformer

	watches *watches
	watch   *ruleWatch
}

// SetTransform sets the transform, and asks it for its namespace: of all that a cache tells its informers, the transform alone can
// know that. See transformIn.
func (p placedInformer) SetTransform(transform toolscache.TransformFunc) error {
	question := &namespaceQuestion{}
	if _, err := transform(question); err != nil {
		return err
	}
	p.watches.mu.Lock()
	p.watch.place.namespace = question.answer
	p.watches.mu.Unlock()
	return p.SharedIndexInformer.SetTransform(transform)
}

// namespaceQuestion is given to a transform as if it were an object.
type namespaceQuestion struct{ answer string }

// transformIn returns the transform of a namespace's informers: it removes what nobody reads from an object before it is cached.
func transformIn(namespace string) toolscache.TransformFunc {
	return func(object any) (any, error) {
		if question, asked := object.(*namespaceQuestion); asked {
			question.answer = namespace
			return object, nil
		}
		return dropUnread(object)
	}
}

// proven is a list-watcher that notes every proof that the API server sends what there is: a list, an event, or one of the bookmarks
// that come about once a minute. A watch by which nothing comes is given up; its informer then makes a new one.
type proven struct {
	toolscache.ListerWatcherWithContext

	watches *watches
	watch   *ruleWatch
}

func (p proven) ListWithContext(ctx context.Context, options metav1.ListOptions) (runtime.Object, error) {
	list, err := untilAnswered(ctx, p.away, func() (runtime.Object, error) {
		return p.ListerWatcherWithContext.ListWithContext(ctx, options)
	})
	if err == nil {
		p.watches.listed(p.watch)
		p.watches.prove(p.watch)
	}
	return list, err
}

func (p proven) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	streamed := options.SendInitialEvents != nil && *options.SendInitialEvents
	if !p.watches.follows(p.watch, streamed) {
		return nil, apierrors.NewResourceExpired("the watch before this one has ended: what there is, is listed again")
	}
	events, err := untilAnswered(ctx, p.away, func() (watch.Interface, error) {
		return p.ListerWatcherWithContext.WatchWithContext(ctx, options)
	})
	if err != nil {
		return nil, err
	}
	p.watches.begun(p.watch, streamed)
	silence := p.watches.listenTo(events, p.watch)
	return watched{watch.Filter(events, func(event watch.Event) (watch.Event, bool) {
		silence.broken()
		if event.Type != watch.Error {
			p.watches.prove(p.watch)
		}
		return event, true
	}), silence}, nil
}

// untilAnswered asks an API server again and again while it is away. Informers do so too, but wait longer each time, up to a minute:
// too long for a replica that has nothing but old rules. What has lasted for patience is told of once, and an answer that is an error
// for as long is left to the informer.
func untilAnswered[Answer any](ctx context.Context, told func(error), ask func() (Answer, error)) (Answer, error) {
	began, hasTold := time.Now(), false
	for {
		answer, err := ask()
		if err == nil || !isAway(err) {
			return answer, err
		}
		if lasts := time.Since(began) > awayPatience; lasts {
			if _, answered := errors.AsType[*apierrors.StatusError](err); answered {
				return answer, err
			}
			if !hasTold {
				told(err)
			}
			hasTold = true
		}
		select {
		case <-ctx.Done():
			return answer, err
		case <-time.After(wait.Jitter(awayInterval, 1)):
		}
	}
}

// away tells that the API server does not answer. Only what is said of a connection is logged: an answer that could not be read may be
// quoted in the error, and have addresses.
func (p proven) away(err error) {
	if _, connection := errors.AsType[net.Error](err); !connection && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("an answer that could not be read (%T)", err)
	}
	p.watches.mu.Lock()
	logger, place := p.watches.logger, p.watch.place
	p.watches.mu.Unlock()
	logger.Error(err, "The API server does not answer; the rules stay as they are", "watch", place.String())
}

// isAway says that an error is no answer, but the lack of one: nothing is there, or it cannot reach its etcd. What an API server
// refuses, it will refuse again, and informers know what to do about it.
func isAway(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	if _, answered := errors.AsType[*apierrors.StatusError](err); !answered {
		return true
	}
	if apierrors.HasStatusCause(err, metav1.CauseTypeResourceVersionTooLarge) {
		return false // etcd was restored: informers then ask for what there is
	}
	return apierrors.IsServiceUnavailable(err) || apierrors.IsServerTimeout(err) || apierrors.IsTimeout(err) ||
		apierrors.IsInternalError(err)
}

// List and Watch complete the older interface, which informers take.
func (p proven) List(options metav1.ListOptions) (runtime.Object, error) {
	return p.ListWithContext(context.Background(), options)
}

func (p proven) Watch(options metav1.ListOptions) (watch.Interface, error) {
	return p.WatchWithContext(context.Background(), options)
}

// watched ends the count of its silence when it is stopped.
type watched struct {
	watch.Interface

	silence *silence
}

func (w watched) Stop() {
	w.silence.end()
	w.Interface.Stop()
}

// silence stops a watch by which nothing comes.
type silence struct {
	mu    sync.Mutex
	limit time.Duration
	timer *time.Timer // nil once the watch has ended
}

func (w *watches) listenTo(events watch.Interface, of *ruleWatch) *silence {
	s := &silence{limit: w.silenceLimit}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.timer = time.AfterFunc(s.limit, func() {
		if s.end() {
			w.gaveUp(of)
			events.Stop()
		}
	})
	return s
}

// broken begins the count anew.
func (s *silence) broken() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer != nil {
		s.timer.Reset(s.limit)
	}
}

// end ends the count, and says whether it had not ended yet.
func (s *silence) end() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.timer == nil {
		return false
	}
	s.timer.Stop()
	s.timer = nil
	return true
}

// String names a place for a log.
func (p watchPlace) String() string {
	kind := "lists"
	if p.policies {
		kind = "policies"
	}
	return strings.Join([]string{kind, "in", p.namespace}, " ")
}
