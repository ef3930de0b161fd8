package freshness

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	toolscache "k8s.io/client-go/tools/cache"
)

const localPart = "zaunkoenig.rotkehlchen"

// fixture is a tracker whose watches are not run.
type fixture struct {
	*Tracker

	registry *prometheus.Registry
	log      bytes.Buffer
	mu       sync.Mutex
	changes  []string
}

func newFixture(namespaces ...string) *fixture {
	f := &fixture{registry: prometheus.NewRegistry()}
	logger := logr.FromSlogHandler(slog.NewTextHandler(&f.log, nil))
	f.Tracker = New(f.registry, namespaces, logger)
	f.OnChange(func(namespace string) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.changes = append(f.changes, namespace)
	})
	return f
}

func (f *fixture) watch(namespace string, kind Kind) *trackedWatch {
	return f.watches[watchID{namespace, kind}]
}

// fill gives both watches of a namespace a store that has come to a version.
func (f *fixture) fill(t *testing.T, namespace, version string) {
	t.Helper()
	policies, lists := fullStore(t, version), fullStore(t, version)
	f.Tracker.mu.Lock()
	defer f.Tracker.mu.Unlock()
	f.watch(namespace, Policies).store, f.watch(namespace, Lists).store = policies, lists
}

// fullStore returns a store that has come to a version, with one object of version 10.
func fullStore(t *testing.T, version string) toolscache.Store {
	t.Helper()
	store := toolscache.NewIndexer(toolscache.MetaNamespaceKeyFunc, toolscache.Indexers{})
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "list", UID: "u", ResourceVersion: "10"}}
	if err := store.Replace([]any{object}, version); err != nil {
		t.Fatal(err)
	}
	return store
}

// listAt is what an API server has at a version: pairs of name and uid/version.
func listAt(version string, objects ...[3]string) *metav1.PartialObjectMetadataList {
	list := &metav1.PartialObjectMetadataList{ListMeta: metav1.ListMeta{ResourceVersion: version}}
	for _, object := range objects {
		item := metav1.PartialObjectMetadata{}
		item.Name, item.ResourceVersion = object[0], object[2]
		item.UID = "u"
		if object[1] != "u" {
			item.UID = "v"
		}
		list.Items = append(list.Items, item)
	}
	return list
}

var sameList = [3]string{"list", "u", "10"}

func TestOneNamespacesWatchesSayNothingOfAnother(t *testing.T) {
	f := newFixture("a", "b")
	f.fill(t, "a", "120")
	f.watch("b", Policies).store = fullStore(t, "99")
	if got := f.State("a").Synced; got != "120" {
		t.Errorf("a is at %q, want 120", got)
	}
	if got := f.State("b").Synced; got != "" {
		t.Errorf("b, of which one watch has no list yet, is at %q", got)
	}
	f.watch("b", Lists).store = fullStore(t, "140")
	if got := f.State("b").Synced; got != "99" {
		t.Errorf("b is at %q, want that of the watch that is behind", got)
	}
}

func TestAComparisonBringsAWatchForwardOnlyWhereAllIsTheSame(t *testing.T) {
	f := newFixture("team")
	f.fill(t, "team", "99")
	id := watchID{"team", Lists}
	f.watch("team", Policies).store.Bookmark("200")
	for sentence, list := range map[string]*metav1.PartialObjectMetadataList{
		"an older object":           listAt("130", [3]string{"list", "u", "11"}),
		"an object of another life": listAt("130", [3]string{"list", "v", "10"}),
		"an object that is gone":    listAt("130"),
		"without a new object":      listAt("130", sameList, [3]string{"other", "u", "12"}),
	} {
		if f.compare(id, list) || f.State("team").Synced != "99" {
			t.Errorf("a store with %s counts as the same", sentence)
		}
	}
	if !f.compare(id, listAt("130", sameList)) || f.State("team").Synced != "130" {
		t.Errorf("a store with the same objects is at %q, want 130", f.State("team").Synced)
	}
	if len(f.changes) != 1 || f.changes[0] != "team" {
		t.Errorf("told of %q, want team once", f.changes)
	}
	f.watch("team", Lists).store.Bookmark("140")
	if got := f.State("team").Synced; got != "140" {
		t.Errorf("after a bookmark at %q, want 140", got)
	}
	if err := f.watch("team", Lists).store.Replace(nil, "5"); err != nil {
		t.Fatal(err)
	}
	if got := f.State("team").Synced; got != "5" {
		t.Errorf("after versions went back at %q, want 5", got)
	}
}

func TestTheProofIsThatOfTheOldestWatchOfTheReadableNamespaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("a", "b")
		if !f.Proven().IsZero() {
			t.Error("proven without a watch")
		}
		for _, kind := range []Kind{Policies, Lists} {
			f.markProven(f.watch("a", kind))
		}
		if !f.Proven().IsZero() {
			t.Error("proven while one namespace never was")
		}
		begun := time.Now()
		f.setFault(f.watch("b", Lists), errors.New("no"))
		if !f.Proven().Equal(begun) {
			t.Errorf("proven %s, want that of the namespace that can be read", f.Proven())
		}
		time.Sleep(time.Minute)
		f.markProven(f.watch("a", Policies))
		if !f.Proven().Equal(begun) {
			t.Error("the watch of lists has been silent since")
		}
		for _, kind := range []Kind{Policies, Lists} {
			f.markProven(f.watch("b", kind))
		}
		f.setFault(f.watch("a", Lists), errors.New("no"))
		if !f.Proven().Equal(begun) {
			t.Errorf("proven %s where no namespace can be read: old rules would never be too old", f.Proven())
		}
	})
}

func TestAnUnreadableNamespaceIsNamedOnceWithAFix(t *testing.T) {
	f := newFixture("a", "b")
	w := f.watch("b", Policies)
	forbidden := apierrors.NewForbidden(schema.GroupResource{}, "", nil)
	for range 3 {
		f.setFault(w, describe(forbidden, w.id))
	}
	want := "this operator may not list and watch registrationpolicies.registrationpolicy.dev in namespace b: give its ServiceAccount " +
		"the Role and RoleBinding there, or do not watch the namespace"
	if fault := f.State("b").Fault; fault == nil || fault.Error() != want {
		t.Errorf("fault %v, want %s", fault, want)
	}
	if f.State("a").Fault != nil {
		t.Error("another namespace has a fault")
	}
	if got := strings.Count(f.log.String(), "cannot be read"); got != 1 || len(f.changes) != 1 {
		t.Errorf("%d lines, told of %q; want one each", got, f.changes)
	}
	metrics := `
# HELP registration_policy_namespace_unreadable 1 while the API server does not let the namespace be read.
# TYPE registration_policy_namespace_unreadable gauge
registration_policy_namespace_unreadable{watched_namespace="a"} 0
registration_policy_namespace_unreadable{watched_namespace="b"} 1
`
	if err := testutil.GatherAndCompare(f.registry, strings.NewReader(metrics), "registration_policy_namespace_unreadable"); err != nil {
		t.Error(err)
	}
	f.listCompleted(w)
	if f.State("b").Fault != nil || !strings.Contains(f.log.String(), "can be read again") || len(f.changes) != 2 {
		t.Errorf("after a list: fault %v, told of %q", f.State("b").Fault, f.changes)
	}
}

func TestAMalformedVersionIsEarlierThanAny(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"9", "10", true}, {"10", "9", false}, {"10", "10", false}, {"", "1", true}, {"1", "", false}, {"", "", false}, {"x", "1", true}, {"x", "", false},
	} {
		if got := Older(c.a, c.b); got != c.want {
			t.Errorf("Older(%q, %q) is %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// mute is a list-watcher whose watches say nothing, but what they are told to.
type mute struct {
	toolscache.ListerWatcherWithContext
	opened chan *watch.FakeWatcher
}

func (m mute) WatchWithContext(context.Context, metav1.ListOptions) (watch.Interface, error) {
	opened := watch.NewFake()
	m.opened <- opened
	return opened, nil
}

func TestAWatchByWhichNothingComesIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("a")
		m := mute{opened: make(chan *watch.FakeWatcher, 1)}
		l := trackedListWatch{m, f.Tracker, f.watch("a", Policies)}
		f.listCompleted(l.watch)
		events, err := l.WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		server := <-m.opened
		for range 5 { // bookmarks, as an API server sends them
			time.Sleep(watchdogLimit - time.Second)
			go server.Action(watch.Bookmark, &metav1.PartialObjectMetadata{})
			<-events.ResultChan()
		}
		if got := testutil.ToFloat64(f.metrics.restarts); got != 0 {
			t.Error("a watch by which bookmarks come was stopped")
		}
		time.Sleep(watchdogLimit + time.Second)
		if _, open := <-events.ResultChan(); open || testutil.ToFloat64(f.metrics.restarts) != 1 {
			t.Errorf("after a long silence: open %v, stopped %v times; want an end, once", open, testutil.ToFloat64(f.metrics.restarts))
		}
		// One that its informer ends is not.
		f.listCompleted(l.watch)
		events, err = l.WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		<-m.opened
		events.Stop()
		time.Sleep(2 * watchdogLimit)
		if got := testutil.ToFloat64(f.metrics.restarts); got != 1 {
			t.Errorf("stopped %v times, want 1: the second had ended", got)
		}
	})
}

// cutOff is a list-watcher whose connection ends before the answer, for some time.
type cutOff struct {
	mute
	until time.Time
}

func (c cutOff) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	if time.Now().Before(c.until) {
		return watch.NewEmptyWatch(), nil
	}
	return c.mute.WatchWithContext(ctx, options)
}

func TestAWatchThatEndedBeforeItsAnswerProvesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture("a")
		w := f.watch("a", Lists)
		const away = time.Minute
		began := time.Now()
		l := trackedListWatch{cutOff{mute{opened: make(chan *watch.FakeWatcher, 1)}, began.Add(away)}, f.Tracker, w}
		events, err := l.WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer events.Stop()
		if w.provenAt.Before(began.Add(away)) {
			t.Errorf("proven %s after the connection was cut, want once there was an answer", w.provenAt.Sub(began))
		}
	})
}

func TestAWatchOfPoliciesBeginsWithAList(t *testing.T) {
	m := mute{opened: make(chan *watch.FakeWatcher, 9)}
	f := newFixture("a")
	policies, lists := trackedListWatch{m, f.Tracker, f.watch("a", Policies)}, trackedListWatch{m, f.Tracker, f.watch("a", Lists)}
	begin := func(l trackedListWatch, options metav1.ListOptions) error {
		_, err := l.WatchWithContext(t.Context(), options)
		return err
	}
	f.listCompleted(policies.watch)
	if err := begin(policies, metav1.ListOptions{}); err != nil {
		t.Errorf("after a list: %v", err)
	}
	if err := begin(policies, metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
		t.Errorf("after a watch: %v, want Expired, upon which informers list", err)
	}
	if err := begin(policies, metav1.ListOptions{SendInitialEvents: new(true)}); err != nil {
		t.Errorf("one that begins with a list: %v", err)
	}
	for range 2 {
		if err := begin(lists, metav1.ListOptions{}); err != nil {
			t.Errorf("a watch of lists, whose definition does not change: %v", err)
		}
	}
	f.watchdogFired(lists.watch)
	if err := begin(lists, metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
		t.Errorf("after one that the watchdog stopped: %v, want Expired", err)
	}
	f.listCompleted(lists.watch)
	if err := begin(lists, metav1.ListOptions{}); err != nil {
		t.Errorf("after that and a list: %v", err)
	}
}

func tooLarge() error {
	err := apierrors.NewTimeoutError("Too large resource version", 1)
	err.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge}}
	return err
}

func TestAnAPIServerIsAskedAgainSoonForAsLongAsItTakes(t *testing.T) {
	resource := schema.GroupResource{}
	for sentence, c := range map[string]struct {
		fault      error
		again      bool
		unreadable bool
	}{
		"nobody listens":            {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true, false},
		"the connection ends":       {io.ErrUnexpectedEOF, true, false},
		"it does not know us":       {apierrors.NewUnauthorized("token expired"), false, true}, // once it has lasted
		"it refuses":                {apierrors.NewForbidden(resource, "", nil), true, true},
		"it has no such definition": {apierrors.NewNotFound(resource, ""), true, true},
		"its etcd was restored":     {tooLarge(), false, false},
		"the version is gone":       {apierrors.NewResourceExpired("too old"), false, false},
		"it streams no lists":       {apierrors.NewInvalid(schema.GroupKind{}, "", nil), false, false},
		"it refuses otherwise":      {apierrors.NewBadRequest("no"), false, true},
		"it is ended":               {context.Canceled, false, false},
		"an answer without sense":   {errors.New("no kind"), true, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture("a")
				l := trackedListWatch{nil, f.Tracker, f.watch("a", Policies)}
				const lasts = 5 * time.Minute
				began := time.Now()
				answer, err := retryUntilAllowed(t.Context(), l, func() (string, error) {
					if time.Since(began) < lasts {
						return "", c.fault
					}
					return "answer", nil
				})
				switch {
				case !c.again && !errors.Is(err, c.fault):
					t.Errorf("%v; want the fault, for the informer", err)
				case c.again && (answer != "answer" || err != nil):
					t.Errorf("%q, %v; want the answer", answer, err)
				case c.again && time.Since(began) > lasts+2*refusedIntervalMax:
					t.Errorf("answered %s after it was there again", time.Since(began)-lasts)
				}
				if got := f.State("a").Fault != nil; got != c.unreadable {
					t.Errorf("unreadable: %v, want %v", got, c.unreadable)
				}
			})
		})
	}
}

func TestOfAnAnswerThatCannotBeReadNothingIsQuoted(t *testing.T) {
	id := watchID{"a", Policies}
	for fault, want := range map[error]string{
		fmt.Errorf("decode: no such kind: %q", localPart+"@acme.com"):                                      "could not be read",
		&url.Error{Op: "Get", URL: "https://10.0.0.1/apis", Err: &net.OpError{Err: errors.New("refused")}}: "refused",
		apierrors.NewBadRequest(localPart + "@acme.com"):                                                   "answers a list of",
	} {
		if text := describe(fault, id).Error(); strings.Contains(text, "zaunkoenig") || !strings.Contains(text, want) {
			t.Errorf("%s; want %q", text, want)
		}
	}
}

// server is an API server for an advancer: it counts what it is asked.
type server struct {
	version atomic.Int64
	asked   atomic.Int64
	fault   atomic.Pointer[error]
	delay   time.Duration
	most    atomic.Int64
	now     atomic.Int64
}

func (s *server) list(_ context.Context, _ string, _ Kind) (*metav1.PartialObjectMetadataList, error) {
	s.asked.Add(1)
	if now := s.now.Add(1); now > s.most.Load() {
		s.most.Store(now)
	}
	defer s.now.Add(-1)
	time.Sleep(s.delay)
	if fault := s.fault.Load(); fault != nil {
		return nil, *fault
	}
	return listAt(fmt.Sprint(s.version.Load()), sameList), nil
}

func runAdvancer(t *testing.T, f *fixture, s *server) *Advancer {
	t.Helper()
	a := NewAdvancer(f.Tracker, s.list)
	var running sync.WaitGroup
	ctx, stop := context.WithCancel(t.Context())
	running.Go(func() { _ = a.Start(ctx) })
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return a
}

func TestWatchesAreComparedOnlyWhereSomebodyWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFixture("a", "b", "c"), &server{}
		for _, namespace := range []string{"a", "b", "c"} {
			f.fill(t, namespace, "100")
		}
		s.version.Store(200)
		a := runAdvancer(t, f, s)
		time.Sleep(time.Hour)
		if got := s.asked.Load(); got != 0 {
			t.Errorf("asked %d times while nobody waits", got)
		}
		a.Advance("a", "150")
		time.Sleep(time.Hour)
		if got := s.asked.Load(); got != 2 || f.State("a").Synced != "200" || f.State("b").Synced != "100" {
			t.Errorf("asked %d times for one namespace, want 2; it is at %s", got, f.State("a").Synced)
		}
		a.AdvanceTo("190")
		time.Sleep(time.Hour)
		if got := s.asked.Load(); got != 6 || f.State("c").Synced != "200" {
			t.Errorf("asked %d times in all, want 6: what had come that far is not asked for", got)
		}
	})
}

func TestManyNamespacesAreComparedSideBySideAndBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var namespaces []string
		for i := range 50 {
			namespaces = append(namespaces, fmt.Sprint("team-", i))
		}
		f, s := newFixture(namespaces...), &server{delay: 300 * time.Millisecond}
		for _, namespace := range namespaces {
			f.fill(t, namespace, "100")
		}
		s.version.Store(200)
		a := runAdvancer(t, f, s)
		// A goal that moves all the time does not begin anew: all are compared in the time that one goal takes.
		for i := range 4 {
			a.AdvanceTo(fmt.Sprint(150 + i))
			time.Sleep(300 * time.Millisecond)
		}
		synctest.Wait()
		for _, namespace := range namespaces {
			if got := f.State(namespace).Synced; got != "200" {
				t.Fatalf("%s is at %s", namespace, got)
			}
		}
		if got := s.asked.Load(); got != 100 || s.most.Load() != maxComparisons {
			t.Errorf("asked %d times, at most %d at once; want 100, and %d", got, s.most.Load(), maxComparisons)
		}
	})
}

func TestAVersionOfBeforeAnEtcdRestoreIsNotChasedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFixture("a"), &server{}
		f.fill(t, "a", "100")
		s.version.Store(120)
		a := runAdvancer(t, f, s)
		a.AdvanceTo("900")
		a.Advance("a", "800")
		time.Sleep(time.Hour)
		if got := s.asked.Load(); got > 4 {
			t.Errorf("asked %d times for versions that never come", got)
		}
	})
}

func TestATargetIsKeptUntilThereAreWatchesToBringToIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFixture("a"), &server{}
		s.version.Store(200)
		a := runAdvancer(t, f, s)
		a.AdvanceTo("150") // informers begin after reports
		time.Sleep(time.Second)
		f.fill(t, "a", "100")
		time.Sleep(2 * compareInterval)
		if got := f.State("a").Synced; got != "200" {
			t.Errorf("at %s, want 200", got)
		}
	})
}

func TestANamespaceThatCannotBeReadIsAskedForUntilItCan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, s := newFixture("a", "b"), &server{}
		f.fill(t, "a", "100")
		f.fill(t, "b", "100")
		s.version.Store(200)
		forbidden := error(apierrors.NewForbidden(schema.GroupResource{}, "", nil))
		s.fault.Store(&forbidden)
		a := runAdvancer(t, f, s)
		a.Advance("a", "150")
		time.Sleep(time.Minute)
		if f.State("a").Fault == nil || f.State("b").Fault != nil {
			t.Errorf("faults: %v, %v; want one of the first alone", f.State("a").Fault, f.State("b").Fault)
		}
		if got := s.asked.Load(); got > 2+2*int64(time.Minute/refusedIntervalMax) {
			t.Errorf("asked %d times in a minute", got)
		}
		s.fault.Store(nil)
		time.Sleep(2 * refusedIntervalMax)
		if got := f.State("a"); got.Fault != nil || got.Synced != "200" {
			t.Errorf("afterwards %+v", got)
		}
	})
}
