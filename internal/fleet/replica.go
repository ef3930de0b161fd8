package fleet

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	"k8s.io/apimachinery/pkg/types"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// ReportInterval is the longest time between two reports: two may fail before a replica counts as silent.
const ReportInterval = 10 * time.Second

const (
	// reportDuration is how long a report is valid: a replica without a newer one is silent.
	reportDuration = 30 * time.Second
	// reportPause is the shortest time between two reports, so that a burst of changes causes few.
	reportPause = 200 * time.Millisecond
	// reportTimeout is the time limit of one report.
	reportTimeout = 5 * time.Second
	// firstReportTimeout is the time limit of the first report. It is short because a replica with a stored snapshot is
	// not ready before it has tried to report.
	firstReportTimeout = time.Second
	// reportRetry is the wait after a failed report.
	reportRetry = 2 * time.Second
	// maxUnconfirmed is how many unconfirmed reports are remembered. The oldest are dropped: their confirmation would
	// move the fence least.
	maxUnconfirmed = 100
	// catchUpLimit is how long the rules may take to reach the version of the first report. They never do if Leases and
	// policies are stored in different etcds, whose versions are not comparable; the replica then serves anyway.
	catchUpLimit = 30 * time.Second
	// firstReportLimit is how long reports may fail before a replica with rules serves without one: answering calls
	// matters more than reporting.
	firstReportLimit = 5 * time.Second
	// confirmationsPerFence is how many reports should be confirmed within FenceAfter: one or two may fail, and each
	// takes until all namespaces have been compared.
	confirmationsPerFence = 4
)

// ReplicaOptions configure a Replica.
type ReplicaOptions struct {
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
	// FenceAfter is the time without a confirmed report after which the replica answers no calls; 0 means never.
	FenceAfter time.Duration
	// Metrics counts reports.
	Metrics *Metrics
	// Logger gets a line when reports begin to fail, and when they succeed again.
	Logger logr.Logger
}

// Replica reports what this replica decides by, in its own Lease, which is deleted with its pod. The leader uses the
// reports to determine which generations of policies are in force everywhere. Except for the fence, no decision depends
// on them.
//
// A report is confirmed once the rules in force have reached the resourceVersion of its Lease. That shows that the
// replica receives changes; see FenceAfter.
type Replica struct {
	options ReplicaOptions
	rules   Rules
	started time.Time

	// These are used by Start only.
	name   string                // of the Lease
	lease  *coordinationv1.Lease // as last written; nil before
	tried  bool                  // to write a report
	wrote  bool                  // a report of this process was written
	failed bool                  // the last report was not written
	// ahead: the rules in force are newer than a later report, so they are from before an etcd restore.
	ahead bool
	// unconfirmed are the reports whose versions the rules in force have not reached, oldest first.
	unconfirmed []sentReport

	stopping atomic.Bool   // told to stop
	stop     chan struct{} // receives a value when told to stop

	mu           sync.Mutex
	state        state
	wantsVersion string    // that the rules must reach for the next state
	failingSince time.Time // zero if the last report was written
	reportedAt   time.Time // of the first report of this process; zero before

	// confirmedSent is when the newest confirmed report was sent, in nanoseconds after started; negative before the
	// first.
	confirmedSent atomic.Int64
}

// state is the progress of a replica from start to serving. It never goes back, even if versions do after an etcd
// restore.
type state int

const (
	// starting: no report was written.
	starting state = iota
	// reported: a report was written; the rules must reach its version.
	reported
	// announced: a report says that the replica serves; the rules must reach its version.
	announced
	// serving: the replica answers calls.
	serving
)

// sentReport is a written report: when it was sent, after the start, and the resourceVersion of the Lease.
type sentReport struct {
	sent    time.Duration
	version string
}

// NewReplica returns a replica that reports on rules once started.
func NewReplica(rules Rules, options ReplicaOptions) *Replica {
	r := &Replica{
		options: options, rules: rules, name: options.LeaseName + "." + options.Name, started: time.Now(), stop: make(chan struct{}, 1),
	}
	r.confirmedSent.Store(-1)
	return r
}

// Start reports until ctx ends, then deletes the report, and returns nil. It retries a report that cannot be written.
//
// The first report says that the replica does not serve yet. When the rules have reached the resourceVersion of that
// report, a second one says that the replica serves, and the leader counts it. When the rules have reached the
// resourceVersion of the second report, the replica serves. So every generation that the leader found in force
// everywhere without this replica is in force here before the first call.
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

// Drain reports at once that this replica is about to stop. So the last replica of a fleet knows that it is the last:
// see [Rollout.LastReplicaStops].
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
	text, err := json.Marshal(report{
		Digest: inForce.Digest, Synced: inForce.Synced, Unreadable: slices.Sorted(slices.Values(inForce.Unreadable)),
		Serving: serves, Stopping: r.stopping.Load(), Version: r.options.Version,
		FenceAfterSeconds: int64(r.options.FenceAfter / time.Second),
	})
	if err != nil {
		return false, fmt.Errorf("write the report: %w", err)
	}
	limit := reportTimeout
	if !r.tried {
		limit = firstReportTimeout
	}
	r.tried = true
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	sent := time.Since(r.started) // monotonic, also while the process is frozen
	if err := r.write(ctx, string(text)); err != nil {
		return false, err
	}
	r.wrote = true
	r.options.Metrics.reportedAt.SetToCurrentTime()
	version := r.lease.ResourceVersion
	r.awaitConfirmation(sentReport{sent, version}, inForce)
	return r.advance(version, inForce, serves), nil
}

// advance updates the state after a report was written with this version. again: the next report should follow at once.
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
		r.options.Logger.Info("Replica reports that it serves", "lease", r.name)
	}
	return false // the next report follows a change of what is in force
}

// awaitConfirmation remembers a written report until it is confirmed, and asks the rules to reach its version.
func (r *Replica) awaitConfirmation(sent sentReport, inForce InForce) {
	_, newest := inForce.versionRange()
	if r.ahead = newest != "" && freshness.Older(sent.version, newest); r.ahead {
		r.unconfirmed = nil // these are from before the etcd restore as well
	}
	if r.options.FenceAfter == 0 {
		return
	}
	if last := len(r.unconfirmed) - 1; last >= 0 && freshness.Older(sent.version, r.unconfirmed[last].version) {
		r.unconfirmed = nil // after an etcd restore, the rules never reach these versions
	}
	// Every change of the rules causes another report. To confirm each would keep the Advancer listing all namespaces.
	if r.untilConfirmation(sent.sent) > 0 {
		return
	}
	r.unconfirmed = append(r.unconfirmed, sent)
	r.rules.AdvanceTo(sent.version)
}

// untilConfirmation returns the time until the next report that needs a confirmation.
func (r *Replica) untilConfirmation(now time.Duration) time.Duration {
	last := time.Duration(r.confirmedSent.Load())
	if waiting := len(r.unconfirmed); waiting > 0 {
		last = r.unconfirmed[waiting-1].sent
	}
	if last < 0 {
		return 0
	}
	return last + min(ReportInterval, r.options.FenceAfter/confirmationsPerFence) - now
}

// confirm marks the written reports whose versions the rules in force have reached; the fence counts from the newest of
// them. That a report was written does not show that the rules are current: after a process was frozen or cut off, it
// can write a report before it receives the changes that it missed.
func (r *Replica) confirm(inForce InForce) {
	if r.ahead {
		return
	}
	for len(r.unconfirmed) > 0 && inForce.reached(r.unconfirmed[0].version) {
		r.confirmedSent.Store(int64(r.unconfirmed[0].sent))
		r.unconfirmed = r.unconfirmed[1:]
	}
	if excess := len(r.unconfirmed) - maxUnconfirmed; excess > 0 {
		r.unconfirmed = r.unconfirmed[excess:]
	}
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
		r.options.Logger.Error(err, "Replica cannot report what it decides by", "lease", r.name)
	case err == nil && r.failed:
		r.options.Logger.Info("Replica reports again", "lease", r.name)
	}
	r.failed = err != nil
}

// Serving reports whether this replica may answer calls: its rules have reached the version of the report that
// announced it, or the time limit for that has passed. Once true it stays true, so that a fleet that started without an
// API server does not stop serving when the API server is back.
//
// loaded: the replica has rules, without which it does not serve. stored: the rules are from a stored snapshot, so the
// API server does not answer and the replica need not wait for it.
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
