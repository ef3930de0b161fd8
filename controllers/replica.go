package controllers

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
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	coordinationv1client "k8s.io/client-go/kubernetes/typed/coordination/v1"

	"registrationpolicy.dev/operator/internal/freshness"
)

const (
	// replicaOfLabel has the Lease of every replica; its value is the name of the lease that they elect a leader by.
	replicaOfLabel = "registrationpolicy.dev/replica-of"
	// reportAnnotation has what a replica reports.
	reportAnnotation = "registrationpolicy.dev/replica"
)

const (
	// reportDuration is how long a report holds: a replica without a newer one is silent.
	reportDuration = 30 * time.Second
	// reportInterval is the most time between two reports: two of them may fail before a replica counts as silent.
	reportInterval = 10 * time.Second
	// reportPause is the least time between two, so that a burst of changes makes few.
	reportPause = 200 * time.Millisecond
	// reportTimeout is the time for one.
	reportTimeout = 5 * time.Second
	// firstReportTimeout is the time for the first one that is written: a replica that could answer from a stored snapshot is not
	// ready before it has tried to say so.
	firstReportTimeout = time.Second
	// leaveTimeout is the time to take it back: a part of what a pod has to end.
	leaveTimeout = 3 * time.Second
	// reportRetry is the time after one that failed.
	reportRetry = 2 * time.Second
	// maxUnproven is how many reports wait for the rules to be as new as they are. The oldest are given up: they prove the least.
	maxUnproven = 100
	// joinLimit is how long its rules may take to be as new as its report: longer than any API server does, but where Leases are
	// kept in another etcd than policies are, whose versions say nothing about each other.
	joinLimit = 30 * time.Second
	// fenceLead is how long before it is fenced a replica is unready: a kubelet and the proxies behind it take that long to know.
	fenceLead = 10 * time.Second
	// joinPatience is how long a replica that has rules waits for its first report before it takes calls all the same: a front
	// door that opens counts for more than a status that can say so.
	joinPatience = 5 * time.Second
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
	// FenceAfter is the time without a report after which the replica answers no calls; 0 means never.
	FenceAfter time.Duration
	// Metrics has the gauge of reports.
	Metrics *Metrics
	// Logger takes a line when reports begin to fail, and when they get through again.
	Logger logr.Logger
}

// Replica reports what this replica decides by, in a Lease of its own that dies with its pod. The leader reads it to tell which
// generations of policies are in force everywhere; no decision depends on it.
type Replica struct {
	options ReplicaOptions
	rules   *RulesReconciler
	name    string // of the Lease
	begun   time.Time

	lease  *coordinationv1.Lease // as last written; nil before
	tried  bool                  // to write a report
	wrote  bool                  // a report of this process was written
	failed bool                  // the last report was not written

	mu sync.Mutex
	// begunAt and announcedAt are the resourceVersions of the first report of this process, and of the first that says that it
	// takes calls; "" before.
	begunAt, announcedAt string
	joined               bool      // once true, for good: versions go back where etcd is restored, and no door closes for that
	opened               bool      // takes calls although it has not joined; for good, too
	failingFrom          time.Time // of the failures since the last report; zero without one
	wroteFirst           time.Time // when the first report of this process was written; zero before
	// ahead says that the rules in force claim a resourceVersion that a report which was written later is older than: they are of
	// before etcd was restored. Only Start knows.
	ahead bool
	// unproven are the reports that the rules in force are not as new as, oldest first. Only Start knows them.
	unproven []sentReport
	// proven is when the newest report was sent that the rules in force are as new as, after begun; negative before the first.
	proven atomic.Int64
}

// sentReport is a report that was written: when it was sent, and the resourceVersion that it got.
type sentReport struct {
	sent    time.Duration // after begun
	version string
}

// report is what a replica says of itself.
type report struct {
	// Digest names the rules in force, as evidence for people.
	Digest string `json:"digest,omitempty"`
	// PublishedThrough is the resourceVersion through which these rules reflect all policies and lists; "" while there are none.
	PublishedThrough string `json:"publishedThrough,omitempty"`
	// Serving says that the replica takes calls, or may at any moment.
	Serving bool `json:"serving"`
	// Version is the operator's.
	Version string `json:"version,omitempty"`
	// FenceAfterSeconds is the time without a report after which it answers no calls; 0 means never.
	FenceAfterSeconds int64 `json:"fenceAfterSeconds,omitempty"`
}

// NewReplica returns a replica that reports what the reconciler has put in force.
func NewReplica(rules *RulesReconciler, options ReplicaOptions) *Replica {
	r := &Replica{options: options, rules: rules, name: options.LeaseName + "." + options.Name, begun: time.Now()}
	r.proven.Store(-1)
	return r
}

// Start reports until ctx ends, and then takes the report back. It never fails: a report that cannot be written is tried again.
//
// The first report says that the replica does not take calls yet. Once its rules are as new as that, a further one says that it does,
// and the leader counts it; and once its rules are as new as this one, it does. So whichever generation the leader has found in
// force everywhere without this replica, is in force here before the first call.
func (r *Replica) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		digest, through, changed := inForceOf(r.rules)
		r.prove(through)
		wait := reportInterval
		again, err := r.report(ctx, digest, through)
		r.note(ctx, err)
		switch {
		case err != nil:
			wait, changed = reportRetry, nil
		case again:
			wait = reportPause
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		case <-changed:
			select {
			case <-ctx.Done():
			case <-time.After(reportPause):
			}
		}
	}
	r.leave()
	return nil
}

// report writes one report. again says that there is more to say at once.
func (r *Replica) report(ctx context.Context, digest, through string) (again bool, _ error) {
	r.mu.Lock()
	announced := r.opened || r.announcedAt != "" || r.begunAt != "" && !freshness.Older(through, r.begunAt)
	r.mu.Unlock()
	said, err := json.Marshal(report{
		Digest: digest, PublishedThrough: through, Serving: announced, Version: r.options.Version,
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
	sent := time.Since(r.begun) // on the monotonic clock, which goes on in a process that is frozen
	if err := r.write(ctx, string(said)); err != nil {
		return false, err
	}
	r.wrote = true
	r.options.Metrics.reportedAt.SetToCurrentTime()
	if r.ahead = freshness.Older(r.lease.ResourceVersion, through); r.ahead {
		r.unproven = nil // of before, too
	}
	if r.options.FenceAfter > 0 {
		if last := len(r.unproven) - 1; last >= 0 && freshness.Older(r.lease.ResourceVersion, r.unproven[last].version) {
			r.unproven = nil // no rules will ever be as new as those
		}
		r.unproven = append(r.unproven, sentReport{sent, r.lease.ResourceVersion})
		r.rules.AdvanceTo(r.lease.ResourceVersion)
	}

	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.begunAt == "":
		r.wroteFirst = time.Now()
		r.begunAt = r.lease.ResourceVersion
		r.rules.AdvanceTo(r.begunAt)
		return !freshness.Older(through, r.begunAt), nil
	case announced && r.announcedAt == "":
		r.announcedAt = r.lease.ResourceVersion
		r.rules.AdvanceTo(r.announcedAt)
		r.options.Logger.Info("Replica counts as one that takes calls", "lease", r.name, "publishedThrough", through)
	}
	return false, nil // what comes next is a change of what is in force
}

// prove takes the reports that the rules in force are as new as for a proof of life. That a report got through would be none: after a
// while in which the process was frozen or cut off, it gets through before what has changed meanwhile comes in.
func (r *Replica) prove(through string) {
	if r.ahead {
		return
	}
	for len(r.unproven) > 0 && !freshness.Older(through, r.unproven[0].version) {
		r.proven.Store(int64(r.unproven[0].sent))
		r.unproven = r.unproven[1:]
	}
	if excess := len(r.unproven) - maxUnproven; excess > 0 {
		r.unproven = r.unproven[excess:]
	}
}

// write brings the Lease to say this. It takes over what an earlier process under the same name has left.
func (r *Replica) write(ctx context.Context, said string) error {
	leases := r.options.Leases.Leases(r.options.Namespace)
	if r.lease == nil {
		stored, err := leases.Get(ctx, r.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			created, err := leases.Create(ctx, r.saying(&coordinationv1.Lease{}, said), metav1.CreateOptions{})
			if err == nil {
				r.lease = created
			}
			return err
		case err != nil:
			return err
		}
		r.lease = stored
	}
	updated, err := leases.Update(ctx, r.saying(r.lease.DeepCopy(), said), metav1.UpdateOptions{})
	switch {
	case err == nil:
		r.lease = updated
	case apierrors.IsNotFound(err):
		r.lease = nil
	case apierrors.IsConflict(err):
		r.lease = nil
		if stored, err := leases.Get(ctx, r.name, metav1.GetOptions{}); err == nil && r.isOfAnother(stored) {
			r.name = r.options.LeaseName + "." + r.options.Name + "-" + r.options.Instance[:8]
			r.options.Logger.Error(nil, "Another process reports under the name of this replica; give each its own --replica-name",
				"name", r.options.Name, "lease", r.name)
		}
	}
	return err
}

// isOfAnother says that a Lease that this process has written before was since written by another.
func (r *Replica) isOfAnother(stored *coordinationv1.Lease) bool {
	return r.wrote && stored.Spec.HolderIdentity != nil && *stored.Spec.HolderIdentity != r.options.Instance
}

// saying returns the lease with all that is this replica's.
func (r *Replica) saying(lease *coordinationv1.Lease, said string) *coordinationv1.Lease {
	lease.Namespace, lease.Name = r.options.Namespace, r.name
	lease.Labels = with(lease.Labels, replicaOfLabel, r.options.LeaseName)
	lease.Annotations = with(lease.Annotations, reportAnnotation, said)
	if r.options.PodUID != "" {
		lease.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod", Name: r.options.Name, UID: r.options.PodUID,
		}}
	}
	lease.Spec.HolderIdentity = new(r.options.Instance)
	lease.Spec.LeaseDurationSeconds = new(int32(reportDuration / time.Second))
	lease.Spec.RenewTime = new(metav1.NowMicro())
	return lease
}

func with(labels map[string]string, key, value string) map[string]string {
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	return labels
}

// note says once that reports fail, and once that they get through again.
func (r *Replica) note(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	r.mu.Lock()
	switch {
	case err == nil:
		r.failingFrom = time.Time{}
	case r.failingFrom.IsZero():
		r.failingFrom = time.Now()
	}
	r.mu.Unlock()
	switch {
	case err != nil && !r.failed:
		r.options.Logger.Error(unquoted(err), "Replica cannot report what it decides by", "lease", r.name)
	case err == nil && r.failed:
		r.options.Logger.Info("Replica reports again", "lease", r.name)
	}
	r.failed = err != nil
}

// leave deletes the Lease: a replica that was told to stop is not silent, it is gone. What the last write came to is not known where
// it was cut off, so that the Lease is read first.
func (r *Replica) leave() {
	if !r.wrote {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	leases := r.options.Leases.Leases(r.options.Namespace)
	stored, err := leases.Get(ctx, r.name, metav1.GetOptions{})
	if err == nil && !r.isOfAnother(stored) {
		err = leases.Delete(ctx, r.name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(stored.UID))})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		r.options.Logger.Error(unquoted(err), "Replica could not take back its report", "lease", r.name)
	}
}

// TakesCalls says whether this replica may be asked: it has joined the others, or could not. What it once said yes to stays so: a
// fleet that all started without an API server must not close when that is back.
//
// loaded says that it has rules, without which it takes none, and stored that these are a stored snapshot: nothing newer is to be
// had then, and nobody to be told.
func (r *Replica) TakesCalls(loaded, stored bool) bool {
	_, through, _ := inForceOf(r.rules)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.joined = r.joined || r.announcedAt != "" && !freshness.Older(through, r.announcedAt)
	if r.joined || r.opened || !loaded {
		return loaded && (r.joined || r.opened)
	}
	failing := !r.failingFrom.IsZero() && (stored || time.Since(r.failingFrom) > joinPatience)
	stuck := !r.wroteFirst.IsZero() && time.Since(r.wroteFirst) > joinLimit
	if r.opened = failing || stuck; r.opened {
		r.options.Logger.Info("Replica takes calls without having joined the others", "lease", r.name, "publishedThrough", through)
	}
	return r.opened
}

// Fenced says that this replica must not answer: its rules were not known to be as new as a report of this replica for longer than it
// is told to. It goes by the monotonic clock, so that it is true of a process that was frozen before that can do anything else.
func (r *Replica) Fenced() bool { return r.unprovenFor(r.options.FenceAfter) }

// FencedSoon says that this replica is fenced, or may be before proxies know that it is not ready: first they leave, then it closes.
func (r *Replica) FencedSoon() bool {
	return r.unprovenFor(r.options.FenceAfter - min(fenceLead, r.options.FenceAfter/3))
}

func (r *Replica) unprovenFor(limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	proven := r.proven.Load()
	return proven < 0 || time.Since(r.begun)-time.Duration(proven) > limit
}

// inForceOf returns the digest of what is in force and the least version of all readable namespaces.
func inForceOf(rules *RulesReconciler) (digest, through string, changed <-chan struct{}) {
	now, changed := rules.InForce()
	for namespace, synced := range now.Synced {
		if slices.Contains(now.Unreadable, namespace) {
			continue
		}
		if through == "" || freshness.Older(synced, through) {
			through = synced
		}
	}
	return now.Digest, through, changed
}
