package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"time"

	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/policies"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	credential = "Basic Y2hhb3M6YS1zZWNyZXQtb2YtdGhlLXRlc3Q="
	// fenceAfter is the --fence-after of most replicas: they refuse calls after so long without the API server. A
	// replica without the flag keeps answering by its last rules for as long as it cannot reach the API server.
	fenceAfter = script.FenceAfter
	// staleness is the maximum age of the rules by which a replica with --fence-after answers: at most that long ago,
	// it had everything that the API server had stored.
	staleness = fenceAfter
	// reconnection is the longest time from an API server that is reachable again to rules that are current. An
	// informer waits for up to 30 s plus a jitter of up to 30 s between two attempts. The remaining 3 s are for
	// compiling the rules.
	reconnection = time.Minute + 3*time.Second
	// unfencedStaleness is the same as staleness for a replica without --fence-after: its longest time without the API
	// server, and the time to catch up after that.
	unfencedStaleness = script.LongestCut + outage + reconnection
	// readableAgainWithin is how long a replica may take to find out that its rights in a namespace were restored. It
	// tries every few seconds.
	readableAgainWithin = 10 * time.Second
	// outage is the longest fault of etcd or the API server, including its start on a busy machine. It may follow
	// directly on the longest cut of a single replica.
	outage = 30 * time.Second
	// drainDelay is the --drain-delay of all replicas. Half of the chart's is enough, because the simulated controllers
	// update endpoints within half a second.
	drainDelay = 5 * time.Second
	// grace is the termination grace period of a pod: drain delay, shutdown timeout and a margin.
	grace = 15 * time.Second
	// snapshotBytes is the size of the volume for the stored snapshot of a replica (--snapshot-dir).
	snapshotBytes = 1 << 20
	// calmWithin is how long the fleet may take after the last fault until every policy is Ready.
	calmWithin = 2 * time.Minute
)

// ports are the ports of every replica.
var ports = fleet.Ports{Hook: 18080, Probes: 18081, Metrics: 18082}

type options struct {
	duration       time.Duration
	seed           uint64
	replicas, rate int
	keep           string
	only           []script.Fault
	checks         bool // the proxy makes health checks
	out            io.Writer
}

// chaos has the parts of one run.
type chaos struct {
	options
	dir      string
	timeline *fleet.Timeline

	plane         *fleet.Plane
	proxy         *fleet.Proxy
	endpoints     *fleet.Endpoints
	faults        *Faults
	authors       []*policies.Author
	okta          *Okta
	watcher       *Watcher
	stallDetector *stallDetector
}

// run runs a fleet with faults, prints the report, and reports whether all checks passed.
func run(ctx context.Context, o options) (passed bool, err error) {
	fmt.Fprintf(o.out, "chaos: seed %d, %s, %d replicas, %d calls a second, fence after %s, rules at most %s old, or %s unfenced\n",
		o.seed, o.duration, o.replicas, o.rate, fenceAfter, staleness, unfencedStaleness)
	if !o.checks {
		fmt.Fprintln(o.out, "chaos: the proxy has no health checks, and repeats refused connections; nothing is frozen")
		if len(o.only) == 0 {
			o.only = script.NeverHanging()
		}
	}
	c := &chaos{options: o, dir: o.keep, timeline: fleet.NewTimeline()}
	c.stallDetector = &stallDetector{timeline: c.timeline}
	if c.dir == "" {
		if c.dir, err = os.MkdirTemp("", "chaos"); err != nil {
			return false, err
		}
		defer func() {
			if passed {
				_ = os.RemoveAll(c.dir)
			} else {
				fmt.Fprintf(o.out, "logs: %s\n", c.dir)
			}
		}()
	} else if c.dir, err = filepath.Abs(c.dir); err != nil {
		return false, err
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return false, err
	}
	background, stop := context.WithCancel(ctx)
	var standIns sync.WaitGroup
	defer func() {
		stop()
		standIns.Wait()
		c.stop()
	}()
	if err := c.start(background, &standIns); err != nil {
		c.timeline.Print(c.out, 0, history.Never)
		return false, err
	}
	calm, err := c.act(ctx)
	if err != nil {
		return false, err
	}
	return c.report(calm)
}

// start starts the control plane, the proxy and the replicas, and stores the first policies and lists. It returns when
// the fleet is ready.
func (c *chaos) start(ctx context.Context, standIns *sync.WaitGroup) error {
	binaries, err := build(ctx, c.dir)
	if err != nil {
		return err
	}
	fleet.RaisePriority()
	if c.plane, err = fleet.StartPlane(ctx, os.Getenv("KUBEBUILDER_ASSETS"), c.dir); err != nil {
		return err
	}
	admin, role, err := policies.Install(ctx, c.plane, ports.Hook)
	if err != nil {
		return err
	}
	for _, namespace := range policies.Namespaces() {
		author, err := policies.NewAuthor(admin, c.timeline, namespace, c.seed)
		if err != nil {
			return err
		}
		if err := author.Fill(ctx); err != nil {
			return err
		}
		c.authors = append(c.authors, author)
	}
	c.watcher = newWatcher(admin, c.timeline)
	if c.proxy, err = fleet.StartProxy(os.Getenv("PROXIES_DIR"), c.dir, ports, c.checks); err != nil {
		return err
	}
	c.endpoints = &fleet.Endpoints{
		Client: admin, Timeline: c.timeline, Ports: ports, Namespace: policies.Own, Service: policies.HookName, Labels: policies.PodLabels,
	}
	ingress := &fleet.Ingress{
		Client: admin, Timeline: c.timeline, Proxy: c.proxy, Ports: ports, Namespace: policies.Own, Service: policies.HookName,
	}
	collector := &fleet.Collector{Client: admin, Timeline: c.timeline, Namespace: policies.Own}
	for _, standIn := range []interface{ Run(ctx context.Context) }{c.endpoints, ingress, collector, c.stallDetector} {
		standIns.Go(func() { standIn.Run(ctx) })
	}
	credentials := filepath.Join(c.dir, "hook-auth")
	if err := errors.Join(os.MkdirAll(credentials, 0o700),
		os.WriteFile(filepath.Join(credentials, "okta"), []byte(credential+"\n"), 0o600)); err != nil {
		return err
	}
	c.faults = &Faults{
		settings: &fleet.Settings{
			Client: admin, Timeline: c.timeline, Plane: c.plane, Ports: ports, Namespace: policies.Own, Labels: policies.PodLabels,
			Dir: c.dir, DrainDelay: drainDelay, Grace: grace, SnapshotBytes: snapshotBytes,
			Flags: append([]string{"--hook-auth-dir", credentials, "--service-name", policies.HookName}, policies.Flags()...),
		},
		tenancy: &Tenancy{client: admin, role: role, unreadable: map[string][]history.Span{}}, authors: c.authors, watcher: c.watcher,
		proxy: c.proxy, plane: c.plane, timeline: c.timeline, binaries: binaries, network: freeNetwork(),
		counts: map[script.Fault]int{}, unfenced: map[string]bool{}, hitTenants: map[*policies.Author]bool{},
	}
	for range c.replicas {
		if _, err := c.faults.create(ctx, binaries[0]); err != nil {
			return err
		}
	}
	for _, pod := range c.faults.all() {
		if err := c.faults.awaitReady(ctx, pod); err != nil {
			return err
		}
	}
	if !c.faults.settle(ctx, nil) {
		return errors.New("the fleet does not become ready")
	}
	if c.okta, err = newOkta(c.proxy.URL(), c.timeline, c.rate); err != nil {
		return err
	}
	return nil
}

// act makes calls, changes of policies and faults for c.duration. Then it waits for up to calmWithin, and reports
// whether every policy became Ready.
func (c *chaos) act(ctx context.Context) (calm bool, err error) {
	c.timeline.Note("calls, changes and faults begin")
	calling, stopCalls := context.WithCancel(ctx)
	watching, stopWatching := context.WithCancel(ctx)
	faulting, stopFaults := context.WithTimeout(ctx, c.duration)
	defer stopFaults()
	changing, stopChanges := context.WithCancel(ctx)
	defer stopChanges()
	var calls, changes, faults, watch sync.WaitGroup
	calls.Go(func() { c.okta.Run(calling) })
	watch.Go(func() { c.watcher.Run(watching) })
	faults.Go(func() { c.faults.Replicas(faulting, script.Replicas(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Plane(faulting, script.Plane(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Tenants(faulting, policies.Withdrawn, script.Rights(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Tenants(faulting, policies.Unsteady, script.Tenants(c.seed, c.only...)) })
	failed := make([]error, len(c.authors))
	for i, author := range c.authors {
		changes.Go(func() { failed[i] = author.Run(changing) })
	}
	faults.Wait() // some faults wait for Ready edits, so changes must go on
	stopChanges()
	changes.Wait()
	c.timeline.Note("changes and faults are over")
	stopWatching()
	watch.Wait()
	for begin := time.Now(); ; fleet.Sleep(ctx, pollInterval) {
		c.watcher.observe(ctx)
		calm = c.watcher.allReady
		if calm || time.Since(begin) > calmWithin || ctx.Err() != nil {
			break
		}
	}
	c.timeline.Note("every policy is Ready: %t", calm)
	fleet.Sleep(ctx, settled) // so that some calls are made while every policy is Ready
	stopCalls()
	calls.Wait()
	return calm, errors.Join(errors.Join(failed...), ctx.Err())
}

// history puts together what was recorded during the run, for [history.Check].
func (c *chaos) history(ctx context.Context) (*history.History, *policies.Versions, error) {
	calls := c.okta.calls
	starts := map[string][]history.Moment{}
	for _, pod := range c.faults.allPods {
		starts[pod.Address] = pod.Starts()
	}
	for i := range calls {
		for _, start := range starts[calls[i].Pod] {
			if start <= calls[i].End {
				calls[i].Start++
				calls[i].Started = start
			}
		}
	}
	versions, err := policies.FindVersions(ctx, c.authors, calls, unfencedStaleness)
	if err != nil {
		return nil, nil, err
	}
	namespaces, err := versions.Namespaces(ctx)
	if err != nil {
		return nil, nil, err
	}
	for name, spans := range c.faults.tenancy.unreadable {
		namespaces[name].Unreadable = spans
	}
	return &history.History{
		Versions: versions.ByDigest, Namespaces: namespaces, Calls: calls, Observations: c.watcher.observations,
		ServingPeriods: c.endpoints.ServingPeriods(),
		Unfenced:       c.faults.unfenced, Stalls: c.stallDetector.stalls(),
	}, versions, nil
}

func (c *chaos) stop() {
	if c.faults != nil {
		c.faults.end()
	}
	if c.proxy != nil {
		c.proxy.Stop()
	}
	if c.plane != nil {
		c.plane.Stop()
	}
}

// build builds the operator twice, with different version texts, for rolling updates between two versions.
func build(ctx context.Context, dir string) (binaries [2]string, err error) {
	for i, version := range []string{"v0.0.0-chaos.1", "v0.0.0-chaos.2"} {
		binaries[i] = filepath.Join(dir, "operator-"+version)
		command := exec.CommandContext(ctx, "go", "build", "-o", binaries[i],
			"-ldflags", "-X registrationpolicy.dev/operator/internal/version.stamped="+version, "registrationpolicy.dev/operator/cmd/operator")
		if output, err := command.CombinedOutput(); err != nil {
			return binaries, fmt.Errorf("build the operator: %w: %s", err, output)
		}
	}
	return binaries, nil
}
