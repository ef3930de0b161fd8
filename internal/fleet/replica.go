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

// ReportInterval is the most time between two reports: two of them may fail before a replica counts as silent.
const ReportInterval = 10 * time.Second

const (
	// reportDuration is how long a report holds: a replica without a newer one is silent.
	reportDuration = 30 * time.Second
	// reportPause is the least time between two reports, so that a burst of changes makes few.
	reportPause = 200 * time.Millisecond
	// reportTimeout is the time for one report.
	reportTimeout = 5 * time.Second
	// firstReportTimeout is the time for the first report: a replica that could answer from a stored snapshot is not ready before
	// it has tried to report.
	firstReportTimeout = time.Second
	// reportRetry is the time after a report that failed.
	reportRetry = 2 * time.Second
	// maxUnproven is how many reports wait for the rules to be as new as they are. The oldest are dropped: they prove the least.
	maxUnproven = 100
	// joinLimit is how long the rules may take to be as new as the first report. Only where Leases are kept in another etcd than
	// policies, whose versions cannot be compared, does it take longer.
	joinLimit = 30 * time.Second
	// joinPatience is how long a replica that has rules waits for its first report before it serves without it: answering calls
	// matters more than reporting them.
	joinPatience = 5 * time.Second
	// proofsPerFence is how many reports prove life in the time after which a replica is fenced: one or two may fail, and each takes
	// until all namespaces have been compared.
	proofsPerFence = 4
	// fenceLead is how long before it is fenced a replica is unready: a kubelet and the proxies behind it take that long to know.
	fenceLead = 10 * time.Second
)

// ReplicaOptions are what a Replica is made from.
type ReplicaOptions struct {
	// Leases is where it reports.
	Leases coordinationv1client.LeasesGetter
	// Namespace is the operator's, and LeaseName that of the lease of the leader.
	Namespace, LeaseName string
	// Name tells this replica from all others: in a cluster, its pod's. PodUID is the UID of that pod, with which the Lease is
	// deleted; "" means that it has no owner.
	Name   string
	PodUID types.UID
	// Instance tells this process from the one before under the same name.
	Instance string
	// Version is the operator's.
	Version string
	// FenceAfter is the time without a proof of life after which the replica answers no calls; 0 means never.
	FenceAfter time.Duration
	// Metrics has the gauge of reports.
	Metrics *Metrics
	// Logger takes a line when reports begin to fail, and when they get through again.
	Logger logr.Logger
}

// Replica reports what this replica decides by, in a Lease of its own that is deleted with its pod. The leader reads it to tell
// which generations of policies are in force everywhere; no decision depends on it.
type Replica struct {
	options ReplicaOptions
	rules   Rules
	started time.Time

	// These are of Start alone.
	name   string                // of the Lease
	lease  *coordinationv1.Lease // as last written; nil before
	tried  bool                  // to write a report
	wrote  bool                  // a report of this process was written
	failed bool                  // the last report was not written
	// ahead says that the rules in force are newer than a report that was written later: they are from before etcd was restored.
	ahead bool
	// unproven are the reports that the rules in force are not as new as, oldest first.
	unproven []sentReport

	stopping atomic.Bool   // told to stop
	stop     chan struct{} // full when it was

	mu           sync.Mutex
	state        state
	wantsVersion string    // that the rules must reach for the next state
	failingSince time.Time // zero if the last report was written
	reportedAt   time.Time // of the first report of this process; zero before

	// proven is when the newest report was sent that the rules in force are as new as, after started; negative before the first.
	proven atomic.Int64
}

// state is how far a replica has come on its way to serving. It never goes back: versions go back where etcd is restored, and
// no replica closes for that.
type state int

const (
	// starting: no report was written.
	starting state = iota
	// reported: a report was written; the rules must become as new as it.
	reported
	// announced: a report says that the replica serves; the rules must become as new as that.
	announced
	// serving: the replica answers calls.
	serving
)

// sentReport is a report that was written: when it was sent after the start, and the resourceVersion that it got.
type sentReport struct {
	sent    time.Duration
	version string
}

// NewReplica returns a replica that reports on rules.
func NewReplica(rules Rules, options ReplicaOptions) *Replica {
	r := &Replica{
		options: options, rules: rules, name: options.LeaseName + "." + options.Name, started: time.Now(), stop: make(chan struct{}, 1),
	}
	r.proven.Store(-1)
	return r
}

// Start reports until ctx ends, and then deletes the report. It never fails: a report that cannot be written is tried again.
//
// The first report says that the replica does not serve yet. Once its rules are as new as that, a further report says that it
// does, and the leader counts it; once its rules are as new as that one, it does. So whichever generation the leader has found in
// force everywhere without this replica, is in force here before the first call.
func (r *Replica) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		inForce, changed := r.rules.InForce()
		r.prove(inForce)
		wait := ReportInterval
		again, err := r.report(ctx, inForce)
		r.note(ctx, err)
		switch {
		case err != nil:
			wait, changed = reportRetry, nil
		case again:
			wait = reportPause
		}
		if err == nil && r.options.FenceAfter > 0 {
			wait = min(wait, max(reportPause, r.untilProof(time.Since(r.started))))
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
	r.withdraw()
	return nil
}

// Drain reports at once that this replica is about to stop. The last one of a fleet is known by it: see [Rollout.LastLeaves].
func (r *Replica) Drain() {
	r.stopping.Store(true)
	select {
	case r.stop <- struct{}{}:
	default:
	}
}

// report writes one report. again says that the next one should follow at once.
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
	sent := time.Since(r.started) // on the monotonic clock, which goes on in a process that is frozen
	if err := r.write(ctx, string(text)); err != nil {
		return false, err
	}
	r.wrote = true
	r.options.Metrics.reportedAt.SetToCurrentTime()
	version := r.lease.ResourceVersion
	r.expectProof(sentReport{sent, version}, inForce)
	return r.advance(version, inForce, serves), nil
}

// advance takes the state on after a report that was written with this version. again says that the next one should follow.
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

// expectProof notes a report that proves life once the rules are as new as it.
func (r *Replica) expectProof(sent sentReport, inForce InForce) {
	_, newest := inForce.span()
	if r.ahead = newest != "" && freshness.Older(sent.version, newest); r.ahead {
		r.unproven = nil // from before the restore, too
	}
	if r.options.FenceAfter == 0 {
		return
	}
	if last := len(r.unproven) - 1; last >= 0 && freshness.Older(sent.version, r.unproven[last].version) {
		r.unproven = nil // no rules will ever be as new as those
	}
	// Every advance makes another report. Were that to prove life too, all namespaces would be compared without a pause.
	if r.untilProof(sent.sent) > 0 {
		return
	}
	r.unproven = append(r.unproven, sent)
	r.rules.AdvanceTo(sent.version)
}

// untilProof returns the time until a report is to prove life again.
func (r *Replica) untilProof(now time.Duration) time.Duration {
	last := time.Duration(r.proven.Load())
	if waiting := len(r.unproven); waiting > 0 {
		last = r.unproven[waiting-1].sent
	}
	if last < 0 {
		return 0
	}
	return last + min(ReportInterval, r.options.FenceAfter/proofsPerFence) - now
}

// prove takes the reports that the rules in force are as new as for a proof of life. That a report was written does not prove it:
// after a process was frozen or cut off, its report gets through before the changes that it has missed come in.
func (r *Replica) prove(inForce InForce) {
	if r.ahead {
		return
	}
	for len(r.unproven) > 0 && inForce.reached(r.unproven[0].version) {
		r.proven.Store(int64(r.unproven[0].sent))
		r.unproven = r.unproven[1:]
	}
	if excess := len(r.unproven) - maxUnproven; excess > 0 {
		r.unproven = r.unproven[excess:]
	}
}

// note logs once that reports fail, and once that they get through again.
func (r *Replica) note(ctx context.Context, err error) {
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

// Serving reports whether this replica may answer calls: it has joined the others, or could not. Once true it stays true: a fleet
// that started without an API server must not close when that is back.
//
// loaded says that it has rules, without which it does not serve. stored says that these are a stored snapshot: then the API
// server does not answer, and there is nothing to wait for.
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
	failing := !r.failingSince.IsZero() && (stored || time.Since(r.failingSince) > joinPatience)
	stuck := !r.reportedAt.IsZero() && time.Since(r.reportedAt) > joinLimit
	if !failing && !stuck {
		return false
	}
	r.state = serving
	loglevel.Warn(r.options.Logger, "Replica serves without having joined the others")
	return true
}

// Fenced reports whether this replica must not answer: for longer than FenceAfter, its rules were not known to be as new as a
// report of its own. It goes by the monotonic clock, so that it is true in a frozen process before that can do anything else.
func (r *Replica) Fenced() bool { return r.unprovenFor(r.options.FenceAfter) }

// FencedSoon reports whether this replica is fenced, or may be before proxies know that it is not ready: first they stop sending
// calls, then it stops answering.
func (r *Replica) FencedSoon() bool {
	return r.unprovenFor(r.options.FenceAfter - min(fenceLead, r.options.FenceAfter/3))
}

func (r *Replica) unprovenFor(limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	proven := r.proven.Load()
	return proven < 0 || time.Since(r.started)-time.Duration(proven) > limit
}
