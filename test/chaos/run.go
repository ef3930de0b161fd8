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
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	credential = "Basic Y2hhb3M6YS1zZWNyZXQtb2YtdGhlLXRlc3Q="
	// fenceAfter is what most of the operators are told: without it, a replica that is cut off answers by what it knows for as long as
	// it is cut off, and there is no bound but that.
	fenceAfter = script.LongestProof
	// staleness is the bound on the age of rules of a fenced replica. They are as new as a report that was sent no longer ago than
	// that: whatever had been stored by then is in them.
	staleness = fenceAfter
	// reconnection is the time from when an API server can be reached again to rules by what it has: an informer waits up to 30 s,
	// and up to as much again by chance, between two tries. The rest is for the build.
	reconnection = time.Minute + 3*time.Second
	// unfencedStaleness is the bound for a replica without --fence-after: it is cut off for no longer than the script says.
	unfencedStaleness = script.LongestCut + outage + reconnection
	// again is the time from when a namespace may be read again to when a replica finds out: it asks every few seconds.
	again = 10 * time.Second
	// outage is how long the API server may be away just then: a fault of its own, and its start on a busy machine.
	outage = 30 * time.Second
	// drainDelay is half of the chart's: the stand-ins spread endpoints within half a second.
	drainDelay = 5 * time.Second
	// grace is the grace period of a pod: drain delay, shutdown timeout and a margin.
	grace = 15 * time.Second
	// snapshotOctets is the size of a volume for a snapshot.
	snapshotOctets = 1 << 20
	// calmWithin is how long a fleet may take after the last fault until every policy is ready.
	calmWithin = 2 * time.Minute
)

// ports are where every replica listens, on an address of its own.
var ports = fleet.Ports{Hook: 18080, Probes: 18081, Metrics: 18082}

type options struct {
	duration       time.Duration
	seed           uint64
	replicas, rate int
	keep           string
	only           []script.Fault
	checks         bool // of the proxy
	out            io.Writer
}

// chaos is a run.
type chaos struct {
	options
	dir      string
	timeline *fleet.Timeline

	plane     *fleet.Plane
	proxy     *fleet.Proxy
	endpoints *fleet.Endpoints
	faults    *Faults
	authors   []*Author
	okta      *Okta
	watcher   *Watcher
	heart     *heart
}

// run makes a run, reports it, and says whether everything held.
func run(ctx context.Context, o options) (passed bool, err error) {
	fmt.Fprintf(o.out, "chaos: seed %d, %s, %d replicas, %d calls a second, fence after %s, rules at most %s old, or %s unfenced\n",
		o.seed, o.duration, o.replicas, o.rate, fenceAfter, staleness, unfencedStaleness)
	if !o.checks {
		fmt.Fprintln(o.out, "chaos: the proxy has no health checks, and repeats connections that are refused; nothing is frozen")
		if len(o.only) == 0 {
			o.only = script.Answered()
		}
	}
	c := &chaos{options: o, dir: o.keep, timeline: fleet.NewTimeline()}
	c.heart = &heart{timeline: c.timeline}
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

// start starts everything, and returns once the fleet answers.
func (c *chaos) start(ctx context.Context, standIns *sync.WaitGroup) error {
	binaries, err := build(ctx, c.dir)
	if err != nil {
		return err
	}
	fleet.Ahead()
	if c.plane, err = fleet.StartPlane(ctx, os.Getenv("KUBEBUILDER_ASSETS"), c.dir); err != nil {
		return err
	}
	admin, role, err := install(ctx, c.plane)
	if err != nil {
		return err
	}
	for _, namespace := range namespaces() {
		author, err := newAuthor(admin, c.timeline, namespace, c.seed)
		if err != nil {
			return err
		}
		if err := author.fill(ctx); err != nil {
			return err
		}
		c.authors = append(c.authors, author)
	}
	c.watcher = newWatcher(admin, c.timeline)
	if c.proxy, err = fleet.StartProxy(os.Getenv("PROXIES_DIR"), c.dir, ports, c.checks); err != nil {
		return err
	}
	c.endpoints = &fleet.Endpoints{
		Client: admin, Timeline: c.timeline, Ports: ports, Namespace: own, Service: hookName, Labels: podLabels,
	}
	ingress := &fleet.Ingress{
		Client: admin, Timeline: c.timeline, Proxy: c.proxy, Ports: ports, Namespace: own, Service: hookName,
	}
	collector := &fleet.Collector{Client: admin, Timeline: c.timeline, Namespace: own}
	for _, standIn := range []interface{ Run(ctx context.Context) }{c.endpoints, ingress, collector, c.heart} {
		standIns.Go(func() { standIn.Run(ctx) })
	}
	credentials := filepath.Join(c.dir, "hook-auth")
	if err := errors.Join(os.MkdirAll(credentials, 0o700),
		os.WriteFile(filepath.Join(credentials, "okta"), []byte(credential+"\n"), 0o600)); err != nil {
		return err
	}
	c.faults = &Faults{
		settings: &fleet.Settings{
			Client: admin, Timeline: c.timeline, Plane: c.plane, Ports: ports, Namespace: own, Labels: podLabels,
			Dir: c.dir, DrainDelay: drainDelay, Grace: grace, SnapshotOctets: snapshotOctets,
			Flags: append([]string{"--hook-auth-dir", credentials, "--service-name", hookName}, namespaceFlags()...),
		},
		tenancy: &Tenancy{client: admin, role: role, unreadable: map[string][]history.Span{}}, authors: c.authors, watcher: c.watcher,
		proxy: c.proxy, plane: c.plane, timeline: c.timeline, binaries: binaries, network: freeNetwork(),
		counts: map[script.Fault]int{}, unfenced: map[string]bool{}, hitTenants: map[*Author]bool{},
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

// act makes calls, changes and faults, and then waits for calm: it reports whether every policy became ready.
func (c *chaos) act(ctx context.Context) (calm bool, err error) {
	c.timeline.Note("calls, changes and faults begin")
	calling, hangUp := context.WithCancel(ctx)
	watching, lookAway := context.WithCancel(ctx)
	faulting, spare := context.WithTimeout(ctx, c.duration)
	defer spare()
	changing, hold := context.WithCancel(ctx)
	defer hold()
	var calls, changes, faults, watch sync.WaitGroup
	calls.Go(func() { c.okta.Run(calling) })
	watch.Go(func() { c.watcher.Run(watching) })
	faults.Go(func() { c.faults.Replicas(faulting, script.Replicas(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Plane(faulting, script.Plane(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Tenants(faulting, withdrawn, script.Rights(c.seed, c.only...)) })
	faults.Go(func() { c.faults.Tenants(faulting, unsteady, script.Tenants(c.seed, c.only...)) })
	failed := make([]error, len(c.authors))
	for i, author := range c.authors {
		changes.Go(func() { failed[i] = author.Run(changing) })
	}
	faults.Wait() // for edits that are ready, too
	hold()
	changes.Wait()
	c.timeline.Note("changes and faults are over")
	lookAway()
	watch.Wait()
	for begin := time.Now(); ; sleep(ctx, lookEvery) {
		c.watcher.look(ctx)
		calm = c.watcher.all
		if calm || time.Since(begin) > calmWithin || ctx.Err() != nil {
			break
		}
	}
	c.timeline.Note("every policy is ready: %t", calm)
	sleep(ctx, settled) // calls by which calm is seen
	hangUp()
	calls.Wait()
	return calm, errors.Join(errors.Join(failed...), ctx.Err())
}

// history returns what happened.
func (c *chaos) history(ctx context.Context) (*history.History, *Versions, error) {
	calls := c.okta.calls
	starts := map[string][]history.Moment{}
	for _, pod := range c.faults.old {
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
	versions, err := settle(ctx, c.authors, calls, unfencedStaleness)
	if err != nil {
		return nil, nil, err
	}
	namespaces, err := versions.namespaces(ctx)
	if err != nil {
		return nil, nil, err
	}
	for name, spans := range c.faults.tenancy.unreadable {
		namespaces[name].Unreadable = spans
	}
	return &history.History{
		Versions: versions.byDigest, Namespaces: namespaces, Calls: calls, Sights: c.watcher.sights, Terms: c.endpoints.Terms(),
		Unfenced: c.faults.unfenced, Standstills: c.heart.standstills(),
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

// build builds the operator twice, as two versions.
func build(ctx context.Context, dir string) (binaries [2]string, err error) {
	for i, version := range []string{"v0.0.0-chaos.1", "v0.0.0-chaos.2"} {
		binaries[i] = filepath.Join(dir, "operator-"+version)
		command := exec.CommandContext(ctx, "go", "build", "-o", binaries[i], "-ldflags", "-X registrationpolicy.dev/operator/internal/version.stamped="+version,
			"registrationpolicy.dev/operator/cmd/operator")
		if output, err := command.CombinedOutput(); err != nil {
			return binaries, fmt.Errorf("build the operator: %w: %s", err, output)
		}
	}
	return binaries, nil
}
