package replica

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"registrationpolicy.dev/operator/internal/loglevel"
	"registrationpolicy.dev/operator/internal/replicalease"
)

// ReportInterval is the longest time between two reports. A replica counts as silent after [replicalease.Duration], so
// two reports in a row may fail.
const ReportInterval = 10 * time.Second

const (
	// reportPause is the shortest time between two reports, so that a burst of changes of the rules causes few reports.
	reportPause = 200 * time.Millisecond
	// reportTimeout is the time limit of one report.
	reportTimeout = 5 * time.Second
	// firstReportTimeout is the time limit of the first report. It is short because a replica that starts from a stored
	// snapshot, without the API server, becomes ready only after it has tried to report.
	firstReportTimeout = time.Second
	// reportRetry is the wait after a failed report.
	reportRetry = 2 * time.Second
	// catchUpLimit is how long after the first report the replica waits for its rules to reach the version of a report,
	// before it answers calls anyway. The rules never reach it if Leases and policies are stored in different etcds,
	// whose versions are not comparable.
	catchUpLimit = 30 * time.Second
	// firstReportLimit is how long reports may fail before a replica with rules serves without one: answering calls
	// matters more than reporting.
	firstReportLimit = 5 * time.Second
)

// Options configure a Replica.
type Options struct {
	// Leases is the client that writes the reports.
	Leases coordinationv1client.LeasesGetter
	// Namespace is the operator's namespace, and LeaseName the name of the leader's Lease.
	Namespace, LeaseName string
	// Name is unique among the replicas: in a cluster, the name of the pod. PodUID is the UID of that pod, which owns
	// the Lease; "" means that the Lease has no owner.
	Name   string
	PodUID types.UID
	// Instance is unique for this process, also among earlier processes with the same Name.
	Instance string
	// Version is the version of the operator.
	Version string
	// FenceAfter is the time without a confirmed report (see Replica) after which the replica answers no calls; 0 means
	// that it is never fenced.
	FenceAfter time.Duration
	// Metrics has the time of the last report.
	Metrics *Metrics
	// Logger gets a line when reports begin to fail, and when they succeed again.
	Logger logr.Logger
}

// Replica reports in its own Lease which rules this replica has in force. The Lease is deleted with its pod. The leader
// compares the reports of all replicas to tell which policies are in force everywhere. The reports do not influence
// decisions, except that the replica is fenced without a confirmed report.
//
// A report is confirmed once the rules in force have reached the resourceVersion that its Lease got when the report was
// written. That proves that the replica receives changes; see [Options.FenceAfter].
type Replica struct {
	options Options
	rules   Rules
	started time.Time

	// These are used by Start only.
	leaseName string
	lease     *coordinationv1.Lease // as last written; nil before the first report
	tried     bool                  // a report was attempted
	wrote     bool                  // a report was written
	failed    bool                  // the last report was not written
	// ahead: the rules in force have a later resourceVersion than the last report, although the report was written
	// after the rules were read. The rules are then from before an etcd restore, and confirm no report.
	ahead bool
	// unconfirmed are the reports whose versions the rules in force have not reached, oldest first.
	unconfirmed []sentReport

	stopping atomic.Bool   // Drain was called
	stop     chan struct{} // receives a value from Drain, for Start

	mu           sync.Mutex
	state        state
	wantsVersion string    // the resourceVersion of the Lease that the rules must reach before state advances
	failingSince time.Time // zero if the last report was written
	reportedAt   time.Time // of the first report of this process; zero before

	// confirmedSent is when the newest confirmed report was sent, in nanoseconds after started. It is negative before
	// the first confirmation.
	confirmedSent atomic.Int64
}

// state is the progress of a replica from start to serving. It never goes back, not even if an etcd restore sets
// versions back.
type state int

const (
	// starting: no report was written.
	starting state = iota
	// reported: a report was written. The rules have not reached the version of its Lease yet.
	reported
	// announced: a report was written in which the replica says that it serves. The rules have not reached the version
	// of the Lease with that report yet.
	announced
	// serving: the replica answers calls.
	serving
)

// New returns a replica that reports on rules once started.
func New(rules Rules, options Options) *Replica {
	r := &Replica{
		options: options, rules: rules, leaseName: replicalease.Name(options.LeaseName, options.Name),
		started: time.Now(), stop: make(chan struct{}, 1),
	}
	r.confirmedSent.Store(-1)
	return r
}

// Start reports until ctx ends, then deletes the Lease, and returns nil. It retries a report that cannot be written.
//
// The first report says that the replica does not serve yet. When the rules have reached the resourceVersion of that
// report, a second report says that the replica serves, and the leader begins to count the replica. When the rules have
// reached the resourceVersion of the second report, the replica serves. Before its first call, the replica thus has in
// force every policy that the leader has found in force everywhere without counting this replica.
func (r *Replica) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		inForce, changed := r.rules.InForce()
		r.confirm(inForce)
		wait := ReportInterval
		again, err := r.report(ctx, inForce)
		r.noteResult(ctx, err)
		switch {
		case err != nil:
			wait, changed = reportRetry, nil
		case again:
			wait = reportPause
		}
		if err == nil && r.options.FenceAfter > 0 {
			wait = min(wait, max(reportPause, r.untilConfirmation(time.Since(r.started))))
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-r.stop:
		case <-changed:
			select {
			case <-ctx.Done():
			case <-time.After(reportPause):
			}
		}
	}
	r.deleteLease()
	return nil
}

// Name returns the name of the replica.
func (r *Replica) Name() string { return r.options.Name }

// Stopping reports whether Drain was called.
func (r *Replica) Stopping() bool { return r.stopping.Load() }

// Drain reports at once that this replica is about to stop. A leader that stops learns from these reports whether it is
// the last replica.
func (r *Replica) Drain() {
	r.stopping.Store(true)
	select {
	case r.stop <- struct{}{}:
	default:
	}
}

// report writes one report. again: the next report should follow at once.
func (r *Replica) report(ctx context.Context, inForce InForce) (again bool, _ error) {
	r.mu.Lock()
	serves := r.state >= announced || r.state == reported && inForce.reached(r.wantsVersion)
	r.mu.Unlock()
	limit := reportTimeout
	if !r.tried {
		limit = firstReportTimeout
	}
	r.tried = true
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sent := time.Since(r.started) // by the monotonic clock, which goes on while the process is frozen
	err := r.write(ctx, replicalease.Report{
		Digest: inForce.Digest, Synced: inForce.Synced, Unreadable: slices.Sorted(slices.Values(inForce.Unreadable)),
		Serving: serves, Stopping: r.stopping.Load(), Version: r.options.Version,
		FenceAfterSeconds: int64(r.options.FenceAfter / time.Second),
	})
	if err != nil {
		return false, err
	}
	r.wrote = true
	r.options.Metrics.reportedAt.SetToCurrentTime()
	version := r.lease.ResourceVersion
	r.awaitConfirmation(sentReport{sent, version}, inForce)
	return r.advance(version, inForce, serves), nil
}

// advance updates the state after a report was written into a Lease that now has this version. again: the next report
// should follow at once.
func (r *Replica) advance(version string, inForce InForce, serves bool) (again bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.reportedAt.IsZero() {
		r.reportedAt = time.Now()
	}
	switch {
	case r.state == starting:
		r.state, r.wantsVersion = reported, version
		r.rules.AdvanceTo(version)
		return inForce.reached(version)
	case r.state == reported && serves:
		r.state, r.wantsVersion = announced, version
		r.rules.AdvanceTo(version)
		r.options.Logger.Info("Replica reports that it serves", "lease", r.leaseName)
	}
	return false // not at once: Start sends the next report after ReportInterval, or when the rules in force change
}

// noteResult logs when reports begin to fail, and when they succeed again.
func (r *Replica) noteResult(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	switch {
	case err == nil:
		r.failingSince = time.Time{}
	case r.failingSince.IsZero():
		r.failingSince = time.Now()
	}
	r.mu.Unlock()
	switch {
	case err != nil && !r.failed:
		r.options.Logger.Error(err, "Replica cannot report what it decides by", "lease", r.leaseName)
	case err == nil && r.failed:
		r.options.Logger.Info("Replica reports again", "lease", r.leaseName)
	}
	r.failed = err != nil
}

// Serving reports whether this replica answers calls. The replica first announces in a report that it serves: see
// Start. Serving returns true after that, once the rules have reached the version of that report. If reports fail, or
// the rules do not reach it, Serving returns true after a time limit.
//
// Once Serving has returned true, it returns true as long as the replica has rules. Otherwise, a replica that began to
// serve while the API server was down would stop after its first report, until its rules reach the version of a report.
//
// loaded: the replica has rules; without any it does not serve. stored: the rules are from a stored snapshot; the
// replica then serves as soon as a report fails, because it need not wait for an API server that does not answer.
func (r *Replica) Serving(loaded, stored bool) bool {
	inForce, _ := r.rules.InForce()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.state == announced && inForce.reached(r.wantsVersion) {
		r.state = serving
	}
	if r.state == serving || !loaded {
		return loaded && r.state == serving
	}
	failing := !r.failingSince.IsZero() && (stored || time.Since(r.failingSince) > firstReportLimit)
	stuck := !r.reportedAt.IsZero() && time.Since(r.reportedAt) > catchUpLimit
	if !failing && !stuck {
		return false
	}
	r.state = serving
	loglevel.Warn(r.options.Logger, "Replica serves without having joined the others")
	return true
}
