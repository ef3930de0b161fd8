package controllers

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// replica is a replica of the operator, wired as the program does it, but for the hook server.
type replica struct {
	identity string
	store    *rules.Store
	lists    *Lists
	registry *prometheus.Registry
	log      *transcript
	// ended is closed when the replica has ended, which it must not do before it is told to.
	ended chan struct{}
	err   error
	stop  func()
}

// startReplica starts a replica that watches one namespace, and stops it at the end of the test. Its lease is in the namespace.
func startReplica(t *testing.T, config *rest.Config, namespace, identity string) *replica {
	t.Helper()
	r := &replica{
		identity: identity, store: &rules.Store{}, registry: prometheus.NewRegistry(), log: &transcript{},
		ended: make(chan struct{}),
	}
	logger := loggerTo(r.log)
	metrics := NewMetrics(r.registry)
	scheme := runtime.NewScheme()
	if err := errors.Join(v1alpha1.AddToScheme(scheme), corev1.AddToScheme(scheme)); err != nil {
		t.Fatal(err)
	}
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                 scheme,
		Logger:                 logger,
		Cache:                  CacheOptions([]string{namespace}, metrics),
		MapperProvider:         func(*rest.Config, *http.Client) (meta.RESTMapper, error) { return Mapper(), nil },
		Metrics:                metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress: "0",
	})
	if err != nil {
		t.Fatal(err)
	}
	r.lists = NewLists(mgr.GetCache(), metrics)
	rulesReconciler, err := NewRulesReconciler(mgr.GetCache(), r.lists, r.store, nil, metrics, logger.WithName("rules"))
	if err != nil {
		t.Fatal(err)
	}
	if err := rulesReconciler.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	status, err := NewStatusReconciler(mgr.GetCache(), mgr.GetClient(), mgr.GetEventRecorder("registration-policy-operator"),
		r.lists, nil, false, logger.WithName("status"))
	if err != nil {
		t.Fatal(err)
	}
	leases, err := coordinationv1.NewForConfigAndClient(config, mgr.GetHTTPClient())
	if err != nil {
		t.Fatal(err)
	}
	if err := mgr.Add(&Election{
		Leases: leases, Namespace: namespace, Name: "operator", Identity: identity,
		Lead: status.Run, Metrics: metrics, Logger: logger.WithName("election"),
	}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	go func() {
		defer close(r.ended)
		r.err = mgr.Start(ctx)
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
func (r *replica) wantRunning(t *testing.T) {
	t.Helper()
	select {
	case <-r.ended:
		t.Fatalf("%s has ended: %v", r.identity, r.err)
	default:
	}
}

func snapshotOf(t *testing.T, r *replica) *rules.Snapshot {
	t.Helper()
	snapshot, err := r.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	return snapshot
}

// metric returns a counter or gauge; labels are written as in result="published".
func metric(t *testing.T, gatherer prometheus.Gatherer, name string, labels ...string) float64 {
	t.Helper()
	families, err := gatherer.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
	series:
		for _, series := range family.GetMetric() {
			var has []string
			for _, pair := range series.GetLabel() {
				has = append(has, pair.GetName()+`="`+pair.GetValue()+`"`)
			}
			for _, label := range labels {
				if !strings.Contains(strings.Join(has, ","), label) {
					continue series
				}
			}
			return series.GetCounter().GetValue() + series.GetGauge().GetValue()
		}
	}
	t.Fatalf("no metric %s with %s", name, labels)
	return 0
}

func builds(t *testing.T, gatherer prometheus.Gatherer, result string) int {
	t.Helper()
	return int(metric(t, gatherer, "registration_policy_rules_builds_total", `result="`+result+`"`))
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
