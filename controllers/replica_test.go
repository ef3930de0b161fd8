package controllers

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/election"
	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/replica"
	"registrationpolicy.dev/operator/rules"
)

// testReplica is a replica of the operator, wired as the program does it, but for the hook server.
type testReplica struct {
	identity  string
	store     *rules.Store
	lists     *publish.Lists
	watches   *informers.Set
	tracker   *freshness.Tracker
	publisher *publish.Publisher
	registry  *prometheus.Registry
	log       *transcript
	rules     *RulesReconciler
	report    *replica.Replica
	// ended is closed when the replica has ended, which it must not do before it is told to.
	ended chan struct{}
	err   error
	stop  func()
}

// leaseName is that of the lease of the leader.
const leaseName = "operator"

// startReplica starts a replica that watches one namespace, and stops it at the end of the test. Its leases are in the namespace.
func startReplica(t *testing.T, config *rest.Config, namespace, identity string) *testReplica {
	t.Helper()
	return startReplicaAs(t, config, namespace, identity, setup{})
}

// setup is in what a replica differs from others.
type setup struct {
	fence         time.Duration
	scopes        policyobject.Scopes
	watchdogLimit time.Duration // 0: that of the package
	service       string
	instance      string   // "": made of its identity
	watched       []string // besides its own namespace
}

func startReplicaAs(t *testing.T, config *rest.Config, namespace, identity string, setup setup) *testReplica {
	t.Helper()
	r := &testReplica{
		identity: identity, store: &rules.Store{}, registry: prometheus.NewRegistry(), log: &transcript{},
		ended: make(chan struct{}),
	}
	logger := loggerTo(r.log)
	metrics, fleetMetrics, publishMetrics := election.NewMetrics(r.registry), fleet.NewMetrics(r.registry), publish.NewMetrics(r.registry)
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme), coordinationv1.AddToScheme(scheme),
		discoveryv1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Logger:                 logger,
		MapperProvider:         func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return policyobject.Mapper(), nil },
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	watched := append([]string{namespace}, setup.watched...)
	r.tracker = freshness.New(r.registry, watched, logger.WithName("watch"))
	if setup.watchdogLimit > 0 {
		r.tracker.SetWatchdogLimit(setup.watchdogLimit)
	}
	if r.watches, err = informers.New(config, mgr.GetAPIReader(), r.tracker, nil); err != nil {
		t.Fatal(err)
	}
	r.lists = publish.NewLists(publishMetrics)
	r.publisher = publish.New(publish.Options{
		Namespaces: watched, Bound: setup.scopes.Bound, Store: r.store, Metrics: publishMetrics, Logger: logger.WithName("rules"),
	})
	rulesReconciler, err := NewRulesReconciler(RulesOptions{
		Watches: r.watches, Tracker: r.tracker, Lists: r.lists, Publisher: r.publisher, Metrics: publishMetrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	r.rules = rulesReconciler
	if err := rulesReconciler.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	leases, err := coordinationv1client.NewForConfigAndClient(config, mgr.GetHTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	r.report = replica.New(rulesReconciler, replica.Options{
		Leases: leases, Namespace: namespace, LeaseName: leaseName, Name: identity, Instance: cmp.Or(setup.instance, identity+"-instance"),
		Version: "v0.0.0-test", FenceAfter: setup.fence, Metrics: replica.NewMetrics(r.registry), Logger: logger.WithName("replica"),
	})
	status, err := NewStatusReconciler(StatusOptions{
		Stored: r.watches, Built: rulesReconciler, Client: mgr.GetClient(), Recorder: mgr.GetEventRecorder("registration-policy-operator"),
		Scopes: setup.scopes, Logger: logger.WithName("status"),
		Fleet: &fleet.Observer{
			Reader: mgr.GetAPIReader(), Namespace: namespace, LeaseName: leaseName, ServiceName: setup.service, Local: r.report,
			Metrics: fleetMetrics, Logger: logger.WithName("status"),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := mgr.Add(&election.Election{
		Leases: leases, Namespace: namespace, Name: leaseName, Identity: identity,
		Lead: status.Run, Metrics: metrics, Logger: logger.WithName("election"),
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	reporting := make(chan struct{})
	go func() {
		defer close(reporting)
		if err := r.report.Start(ctx); err != nil {
			t.Errorf("%s: %v", identity, err)
		}
	}()
	go func() {
		defer close(r.ended)
		r.err = mgr.Start(ctx)
		<-reporting
	}()
	r.stop = sync.OnceFunc(func() {
		cancel()
		<-r.ended
		if r.err != nil {
			t.Errorf("%s ended with %v", identity, r.err)
		}
	})
	t.Cleanup(r.stop)
	return r
}

// wantRunning fails the test if the replica has ended.
func (r *testReplica) wantRunning(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
		t.Fatalf("%s has ended: %v", r.identity, r.err)
	default:
	}
}

func snapshotOf(t *testing.T, r *testReplica) *rules.Snapshot {
	t.Helper()
	snapshot, err := r.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// wire records the calls to an API server.
type wire struct {
	mu    sync.Mutex
	calls []call
	// refuse, if set, answers a call with "400 Bad Request" instead of the API server.
	refuse func(*http.Request) bool
}

type call struct {
	method, path string
	query        map[string][]string
	status       int // of the answer; 0 while there is none
}

// onTheWire returns a copy of config whose calls are recorded.
func onTheWire(config *rest.Config, refuse func(*http.Request) bool) (*wire, *rest.Config) {
	recorded := rest.CopyConfig(config)
	w := &wire{refuse: refuse}
	recorded.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return &wireEnd{wire: w, next: next}
	})
	return w, recorded
}

type wireEnd struct {
	wire *wire
	next http.RoundTripper
}

func (e *wireEnd) RoundTrip(request *http.Request) (*http.Response, error) {
	e.wire.mu.Lock()
	at := len(e.wire.calls)
	e.wire.calls = append(e.wire.calls, call{method: request.Method, path: request.URL.Path, query: request.URL.Query()})
	e.wire.mu.Unlock()
	if e.wire.refuse != nil && e.wire.refuse(request) {
		return &http.Response{
			StatusCode: http.StatusBadRequest, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
			Header: http.Header{}, Body: http.NoBody, Request: request,
		}, nil
	}
	response, err := e.next.RoundTrip(request)
	if err == nil {
		e.wire.mu.Lock()
		e.wire.calls[at].status = response.StatusCode
		e.wire.mu.Unlock()
	}
	return response, err
}

// to returns the recorded calls whose path ends so.
func (w *wire) to(method, end string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var found []call
	for _, c := range w.calls {
		if c.method == method && strings.HasSuffix(c.path, end) {
			found = append(found, c)
		}
	}
	return found
}
