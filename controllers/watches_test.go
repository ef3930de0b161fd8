package controllers

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	toolscache "k8s.io/client-go/tools/cache"

	"registrationpolicy.dev/operator/internal/freshness"
)

func TestFreshnessIsThatOfTheWatchThatHasBeenSilentForLongest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWatches(func() {})
		want := func(sentence string, want float64) {
			t.Helper()
			if got := w.oldestProofSeconds(); got != want {
				t.Errorf("%s: %v, want %v", sentence, got, want)
			}
		}
		now := func() float64 { return float64(time.Now().Unix()) }
		want("without a watch", 0)
		first, second := w.add(newPolicyObject()), w.add(&corev1.ConfigMap{})
		w.prove(first)
		want("with a watch that was never proven", 0)
		begun := now()
		time.Sleep(time.Minute)
		w.prove(second)
		want("with a watch that is silent", begun)
		time.Sleep(time.Minute)
		w.prove(first)
		want("with both proven", now()-60)
	})
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

func TestAPositionIsTheLeastOverAllWatches(t *testing.T) {
	w := newWatches(func() {})
	wantThrough := func(sentence, wantLeast, wantMost string) {
		t.Helper()
		if least, most := w.through(); least != wantLeast || most != wantMost {
			t.Errorf("%s: through %q, at most %q; want %q and %q", sentence, least, most, wantLeast, wantMost)
		}
	}
	wantThrough("without a watch", "", "")
	first, second := w.add(newPolicyObject()), w.add(&corev1.ConfigMap{})
	first.store = fullStore(t, "120")
	wantThrough("with a store that was never filled", "", "")
	second.store = fullStore(t, "99")
	second.place.namespace = "team"
	wantThrough("with two that were", "99", "120")

	there := map[string]objectVersion{"list": {"u", "10"}}
	place := watchPlace{namespace: "team"}
	if w.compare(place, "130", map[string]objectVersion{"list": {"u", "11"}}) {
		t.Error("a store with an older object counts as the same")
	}
	if w.compare(place, "130", map[string]objectVersion{"list": {"v", "10"}}) {
		t.Error("a store with an object of another life counts as the same")
	}
	if w.compare(place, "130", map[string]objectVersion{}) {
		t.Error("a store with an object that is gone counts as the same")
	}
	if w.compare(place, "130", map[string]objectVersion{"list": {"u", "10"}, "other": {"w", "12"}}) {
		t.Error("a store without a new object counts as the same")
	}
	wantThrough("after comparisons that found a difference", "99", "120")
	if !w.compare(place, "130", there) {
		t.Error("a store with the same objects counts as another")
	}
	wantThrough("after a comparison that found none", "120", "120")
	second.store.Bookmark("140")
	wantThrough("after a bookmark", "120", "140")
	if err := second.store.Replace(nil, "5"); err != nil {
		t.Fatal(err)
	}
	wantThrough("after versions went back", "5", "120")
}

func TestAVersionThatIsNoneIsEarlierThanAny(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"9", "10", true}, {"10", "9", false}, {"10", "10", false}, {"", "1", true}, {"1", "", false}, {"", "", false}, {"x", "1", true}, {"x", "", false},
	} {
		if got := freshness.Older(c.a, c.b); got != c.want {
			t.Errorf("freshness.Older(%q, %q) is %v, want %v", c.a, c.b, got, c.want)
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

func TestAWatchByWhichNothingComesIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var restarts atomic.Int32
		w := newWatches(func() { restarts.Add(1) })
		m := mute{opened: make(chan *watch.FakeWatcher, 1)}
		p := proven{m, w, w.add(newPolicyObject())}
		p.watches.listed(p.watch)
		events, err := p.WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		server := <-m.opened
		for range 5 { // bookmarks, as an API server sends them
			time.Sleep(silenceLimit - time.Second)
			go server.Action(watch.Bookmark, newPolicyObject())
			<-events.ResultChan()
		}
		if restarts.Load() != 0 {
			t.Error("a watch by which bookmarks come was given up")
		}
		time.Sleep(silenceLimit + time.Second)
		if _, open := <-events.ResultChan(); open || restarts.Load() != 1 {
			t.Errorf("after a long silence: open %v, given up %d times; want an end, once", open, restarts.Load())
		}
		// One that its informer ends is not given up.
		p.watches.listed(p.watch)
		events, err = p.WatchWithContext(t.Context(), metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		<-m.opened
		events.Stop()
		time.Sleep(2 * silenceLimit)
		if restarts.Load() != 1 {
			t.Errorf("given up %d times, want 1: the second was ended", restarts.Load())
		}
	})
}

func TestAWatchOfPoliciesBeginsWithAList(t *testing.T) {
	m := mute{opened: make(chan *watch.FakeWatcher, 9)}
	w := newWatches(func() {})
	policies, lists := proven{m, w, w.add(newPolicyObject())}, proven{m, w, w.add(&corev1.ConfigMap{})}
	begin := func(p proven, options metav1.ListOptions) error {
		_, err := p.WatchWithContext(t.Context(), options)
		return err
	}
	policies.watches.listed(policies.watch)
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
	lists.watches.gaveUp(lists.watch)
	if err := begin(lists, metav1.ListOptions{}); !apierrors.IsResourceExpired(err) {
		t.Errorf("after one that was given up: %v, want Expired", err)
	}
	lists.watches.listed(lists.watch)
	if err := begin(lists, metav1.ListOptions{}); err != nil {
		t.Errorf("after that and a list: %v", err)
	}
}

func TestAnAPIServerThatIsAwayIsAskedAgainSoonForAsLongAsItTakes(t *testing.T) {
	tooLarge := apierrors.NewTimeoutError("Too large resource version", 1)
	tooLarge.ErrStatus.Details.Causes = []metav1.StatusCause{{Type: metav1.CauseTypeResourceVersionTooLarge}}
	synctest.Test(t, func(t *testing.T) {
		for sentence, c := range map[string]struct {
			fault error
			again bool
		}{
			"nobody listens":        {&net.OpError{Op: "dial", Err: errors.New("connection refused")}, true},
			"the connection ends":   {io.ErrUnexpectedEOF, true},
			"its etcd was restored": {tooLarge, false},
			"it refuses":            {apierrors.NewForbidden(schema.GroupResource{}, "", nil), false},
			"the version is gone":   {apierrors.NewResourceExpired("too old"), false},
			"nobody waits any more": {context.Canceled, false},
		} {
			const away = 5 * time.Minute
			began, asked := time.Now(), 0
			answer, err := untilAnswered(t.Context(), func(error) {}, func() (string, error) {
				if asked++; time.Since(began) < away {
					return "", c.fault
				}
				return "answer", nil
			})
			switch {
			case !c.again && (asked != 1 || !errors.Is(err, c.fault)):
				t.Errorf("%s: asked %d times, %v; want the fault, at once", sentence, asked, err)
			case c.again && (answer != "answer" || err != nil):
				t.Errorf("%s: %q, %v; want the answer", sentence, answer, err)
			case c.again && time.Since(began) > away+2*awayInterval:
				t.Errorf("%s: answered %s after it was there again", sentence, time.Since(began)-away)
			}
		}
	})
}

func TestAnErrorThatLastsIsLeftToTheInformerAndSilenceIsToldOfOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for sentence, fault := range map[string]error{
			"it cannot reach its etcd": apierrors.NewInternalError(errors.New("etcdserver: leader changed")),
			"it starts":                apierrors.NewServiceUnavailable("not yet"),
		} {
			began, asked := time.Now(), 0
			_, err := untilAnswered(t.Context(), func(error) {}, func() (string, error) {
				asked++
				return "", fault
			})
			if !errors.Is(err, fault) || asked < 10 || time.Since(began) < awayPatience {
				t.Errorf("%s: %v after %s, asked %d times; want the fault once it has lasted", sentence, err, time.Since(began), asked)
			}
		}
		told, until := 0, time.Now().Add(10*awayPatience)
		_, err := untilAnswered(t.Context(), func(error) { told++ }, func() (string, error) {
			if time.Now().Before(until) {
				return "", io.ErrUnexpectedEOF
			}
			return "", nil
		})
		if err != nil || told != 1 {
			t.Errorf("%v, told %d times that nobody answers, want once", err, told)
		}
	})
}

// Informers begin after reports: were the first report's version given up for want of a watch, a new replica would wait for bookmarks.
func TestATargetIsKeptUntilThereAreWatchesToBringToIt(t *testing.T) {
	rules := &RulesReconciler{watches: newWatches(func() {}), inForce: &inForce{}, hurry: make(chan struct{}, 1)}
	f := &forward{rules: rules, catchUp: &catchUp{watches: rules.watches}}
	rules.AdvanceTo("120")
	f.step(t.Context())
	if target, _ := rules.target.Load().(string); target != "120" {
		t.Errorf("without a watch, the target is %q, want 120", target)
	}
	rules.watches.add(newPolicyObject()) // not filled yet
	f.step(t.Context())
	if target, _ := rules.target.Load().(string); target != "120" {
		t.Errorf("with a watch that has brought nothing yet, the target is %q, want 120", target)
	}
}

func TestOfAnAnswerThatCannotBeReadNothingIsQuoted(t *testing.T) {
	log := &transcript{}
	w := newWatches(func() {})
	w.tell(loggerTo(log))
	p := proven{nil, w, w.add(newPolicyObject())}
	p.away(fmt.Errorf("decode: no such kind: %q", localPart+"@acme.com"))
	p.away(&url.Error{Op: "Get", URL: "https://10.0.0.1/apis", Err: errors.New("connection refused")})
	if text := log.String(); holdsLocalPart(text) != "" || !strings.Contains(text, "could not be read") || !strings.Contains(text, "connection refused") {
		t.Errorf("the log says %s", text)
	}
}

// deaf is a transport by which, once it is told so, the watches that are open then bring nothing any more, on connections that live.
type deaf struct {
	next  http.RoundTripper
	since atomic.Pointer[chan struct{}] // closed once they bring nothing
}

func (d *deaf) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := d.next.RoundTrip(request)
	if err == nil && request.URL.Query().Get("watch") != "" {
		response.Body = &deafBody{ReadCloser: response.Body, since: *d.since.Load(), closed: make(chan struct{})}
	}
	return response, err
}

type deafBody struct {
	io.ReadCloser
	since  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func (b *deafBody) Read(into []byte) (int, error) {
	n, err := b.ReadCloser.Read(into)
	select {
	case <-b.since:
		<-b.closed
		return 0, io.ErrUnexpectedEOF
	default:
		return n, err
	}
}

func (b *deafBody) Close() error {
	b.once.Do(func() { close(b.closed) })
	return b.ReadCloser.Close()
}

func TestAWatchThatDiedInSilenceIsMadeAnew(t *testing.T) {
	t.Parallel()
	namespace := cluster.namespace(t)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	config := rest.CopyConfig(cluster.config)
	dead := make(chan struct{})
	var transport *deaf
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		transport = &deaf{next: next}
		transport.since.Store(&dead)
		return transport
	})
	const limit = 10 * time.Second
	r := startReplicaAs(t, config, namespace, "first", setup{silenceLimit: limit})
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")

	alive := make(chan struct{})
	transport.since.Store(&alive) // for those to come
	close(dead)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventuallyAnswers(t, limit+within, r.store, localPart+"@beta.example", "ALLOW Allowed")
	if given := metric(t, r.registry, "registration_policy_watch_restarts_total"); given == 0 {
		t.Error("no watch was given up")
	}
}
