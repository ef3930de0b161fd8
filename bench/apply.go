package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic/dynamicinformer"
	toolscache "k8s.io/client-go/tools/cache"
	ctrl "sigs.k8s.io/controller-runtime"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"registrationpolicy.dev/operator/bench/report"
	"registrationpolicy.dev/operator/controllers"
	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/informers"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

const (
	edited       = "edited" // the policy that is edited
	editsOfRound = 20
	// editPause is the time from an edit in force to the next edit. It is longer than the operator's 100 ms between
	// builds; otherwise edits would wait for the next build.
	editPause = 150 * time.Millisecond
	// editDeadline limits the time of one edit. It only guards against a hang.
	editDeadline = 30 * time.Second
	// pollInterval is the interval at which the rules are checked for an edit. It is the error of the measurement.
	pollInterval = 100 * time.Microsecond
)

// measureApply measures the time until an edit is in force, against the delivery of the same edit to a bare informer.
func (h *house) measureApply(ctx context.Context, p *report.Part) error {
	rows := [][]string{{"beside", "informer p50, ms", "in force p50, ms", "in force p99, ms", "ratio of the p50s"}}
	for _, beside := range []struct {
		name            string
		others, entries int
	}{
		{"1 policy", 1, 0}, {"100 policies", 100, 0}, {"10,000 policies", 10_000, 0}, {"a list of 1,000,000", 1, 1_000_000},
	} {
		edits := editsOfRound
		if h.quick {
			edits, beside.others, beside.entries = 5, min(beside.others, 200), min(beside.entries, 50_000)
		}
		informed, inForce, err := h.edits(ctx, beside.others, beside.entries, edits)
		if err != nil {
			return fmt.Errorf("beside %s: %w", beside.name, err)
		}
		var ratio []float64
		for i := range informed {
			ratio = append(ratio, inForce[i].p50/informed[i].p50)
		}
		p50 := func(q quantiles) float64 { return q.p50 }
		rows = append(rows, []string{
			beside.name,
			p.Add(beside.name+"/informer p50", "ms", each(informed, p50)), p.Add(beside.name+"/in force p50", "ms", each(inForce, p50)),
			p.Add(beside.name+"/in force p99", "ms", each(inForce, func(q quantiles) float64 { return q.p99 })),
			p.Add(beside.name+"/in force to informer", "ratio", ratio),
		})
		say("apply: beside %s", beside.name)
	}
	p.Paragraph("Rounds (%d) of %d edits of one policy on the real API server, each from before it is sent until the rules decide by it. "+
		"Beside it, the time until a bare client-go informer in the same process delivers the edit. p99 is the slowest edit of a round.",
		h.rounds, editsOfRound)
	p.Table(rows...)
	return nil
}

// quantiles are in milliseconds.
type quantiles struct{ p50, p99 float64 }

func each(all []quantiles, of func(quantiles) float64) []float64 {
	values := make([]float64, len(all))
	for i, q := range all {
		values[i] = of(q)
	}
	return values
}

func quantilesOf(times []time.Duration) quantiles {
	slices.Sort(times)
	at := func(share float64) float64 {
		return times[int(math.Ceil(float64(len(times))*share))-1].Seconds() * 1000
	}
	return quantiles{at(0.50), at(0.99)}
}

// edits returns the times of each round until the informer has an edit, and until it is in force.
func (h *house) edits(ctx context.Context, others, entries, edits int) (informed, inForce []quantiles, err error) {
	c, err := startCluster()
	if err != nil {
		return nil, nil, err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := errors.Join(c.createOthers(ctx, others), c.create(ctx, edited, allowSpec(editDomain(0)))); err != nil {
		return nil, nil, err
	}
	if entries > 0 {
		if err := errors.Join(c.writeList(ctx, entries, 0), c.createListing(ctx)); err != nil {
			return nil, nil, err
		}
	}
	watching, stop := context.WithCancel(ctx)
	e := &editor{cluster: c, store: &rules.Store{}, seen: make(chan delivery, 1)}
	ended, err := e.watch(watching)
	if err != nil {
		stop()
		return nil, nil, err
	}
	defer func() {
		stop()
		err = errors.Join(err, <-ended)
	}()
	if err := e.await(ctx, editDomain(0)); err != nil {
		return nil, nil, err
	}
	for range h.rounds {
		var informedRound, inForceRound []time.Duration
		for range edits {
			select {
			case <-time.After(editPause):
			case <-ctx.Done():
				return nil, nil, context.Cause(ctx)
			}
			atInformer, atRules, err := e.edit(ctx)
			if err != nil {
				return nil, nil, err
			}
			informedRound, inForceRound = append(informedRound, atInformer), append(inForceRound, atRules)
		}
		informed, inForce = append(informed, quantilesOf(informedRound)), append(inForce, quantilesOf(inForceRound))
	}
	return informed, inForce, nil
}

// editor edits one policy, and watches it by a bare informer and by the operator's rules controller, each with a watch
// of its own.
type editor struct {
	cluster *cluster
	store   *rules.Store
	seen    chan delivery
	made    int
}

// delivery is an event of the bare informer.
type delivery struct {
	generation int64
	at         time.Time
}

// watch starts the informer and the controller. The channel gets the result of the controller's end.
func (e *editor) watch(ctx context.Context) (<-chan error, error) {
	informer := dynamicinformer.NewFilteredDynamicInformer(
		e.cluster.client, policies, namespace, 0, toolscache.Indexers{}, nil,
	).Informer()
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		UpdateFunc: func(_, updated any) { e.deliver(ctx, updated) },
	}); err != nil {
		return nil, err
	}
	go informer.RunWithContext(ctx)
	if !toolscache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, errors.New("the informer did not sync")
	}

	registry, logger := prometheus.NewRegistry(), logr.Discard()
	mgr, err := ctrl.NewManager(e.cluster.config, ctrl.Options{Metrics: metricsserver.Options{BindAddress: "0"}})
	if err != nil {
		return nil, err
	}
	tracker, metrics := freshness.New(registry, []string{namespace}, logger), publish.NewMetrics(registry)
	watches, err := informers.New(e.cluster.config, mgr.GetAPIReader(), tracker, nil)
	if err != nil {
		return nil, err
	}
	reconciler, err := controllers.NewRulesReconciler(controllers.RulesOptions{
		Watches: watches, Tracker: tracker, Lists: publish.NewLists(metrics), Metrics: metrics,
		Publisher: publish.New(publish.Options{Namespaces: []string{namespace}, Store: e.store, Metrics: metrics, Logger: logger}),
	})
	if err != nil {
		return nil, err
	}
	if err := reconciler.SetupWithManager(mgr); err != nil {
		return nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	return ended, nil
}

func (e *editor) deliver(ctx context.Context, updated any) {
	d := delivery{at: time.Now()}
	object := updated.(*unstructured.Unstructured)
	if object.GetName() != edited {
		return
	}
	d.generation = object.GetGeneration()
	select {
	case e.seen <- d:
	case <-ctx.Done():
	}
}

// edit makes an edit. It returns the times from before it is sent until the informer has it, and until it is in force.
func (e *editor) edit(ctx context.Context) (informed, inForce time.Duration, _ error) {
	ctx, cancel := context.WithTimeout(ctx, editDeadline)
	defer cancel()
	e.made++
	domain := editDomain(e.made)
	awaited := make(chan error, 1)

	var inForceAt time.Time
	begin := time.Now()
	go func() {
		err := e.await(ctx, domain)
		inForceAt = time.Now()
		awaited <- err
	}()
	object, err := e.cluster.allow(ctx, edited, domain)
	if err != nil {
		return 0, 0, err
	}
	if err := <-awaited; err != nil {
		return 0, 0, err
	}
	for {
		select {
		case d := <-e.seen:
			if d.generation == object.GetGeneration() {
				return d.at.Sub(begin), inForceAt.Sub(begin), nil
			}
		case <-ctx.Done():
			return 0, 0, fmt.Errorf("the informer did not deliver the edit: %w", context.Cause(ctx))
		}
	}
}

// await waits until the rules in force allow an address at domain.
func (e *editor) await(ctx context.Context, domain string) error {
	call := rules.Call{
		Shape:   rules.SignUp,
		Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@" + domain}},
	}
	tick := time.NewTicker(pollInterval)
	defer tick.Stop()
	for {
		if snapshot, err := e.store.Load(); err == nil {
			if decision := snapshot.Decide(call); decision.Outcome == rules.Allow {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the edit did not come into force: %w", context.Cause(ctx))
		}
	}
}

// editDomain returns the domain that the edited policy allows after a number of edits.
func editDomain(edits int) string { return fmt.Sprintf("edit-%d.example.com", edits) }
