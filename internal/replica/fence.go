package replica

import (
	"time"

	"registrationpolicy.dev/operator/internal/freshness"
)

const (
	// fenceLead is how long before it is fenced a replica becomes unready. The kubelet and proxies need that long to
	// stop sending calls to it.
	fenceLead = 10 * time.Second
	// confirmationsPerFence is how many reports should be confirmed (see Replica) within Options.FenceAfter. With
	// fewer, one or two lost reports could fence a healthy replica.
	confirmationsPerFence = 4
	// maxUnconfirmed is how many unconfirmed reports are remembered. Beyond that the oldest are dropped: a newer
	// report, once confirmed, postpones the fence for longer.
	maxUnconfirmed = 100
)

// sentReport is a report that was written into the Lease.
type sentReport struct {
	sent    time.Duration // from the start of the replica until the report was sent
	version string        // the resourceVersion of the Lease with this report
}

// Fenced reports whether this replica must not answer calls: no report was confirmed within the last
// [Options.FenceAfter]. The time is measured by the monotonic clock, so that a frozen process is fenced as soon as it
// continues.
func (r *Replica) Fenced() bool { return r.unconfirmedFor(r.options.FenceAfter) }

// FencedSoon reports whether this replica is fenced or soon may be. It is then unready, so that proxies stop sending
// calls before the replica stops answering them.
func (r *Replica) FencedSoon() bool {
	return r.unconfirmedFor(r.options.FenceAfter - min(fenceLead, r.options.FenceAfter/3))
}

// unconfirmedFor reports whether no report was confirmed within the limit. It is false if the limit is 0.
func (r *Replica) unconfirmedFor(limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	confirmed := r.confirmedSent.Load()
	return confirmed < 0 || time.Since(r.started)-time.Duration(confirmed) > limit
}

// awaitConfirmation remembers a written report until confirm confirms it. It asks for rules that are current up to the
// resourceVersion that the report has in etcd.
func (r *Replica) awaitConfirmation(sent sentReport, inForce InForce) {
	_, newest := inForce.versionRange()
	if r.ahead = newest != "" && freshness.Older(sent.version, newest); r.ahead {
		// The rules are from before an etcd restore: see Replica.ahead. Reports that wait for their confirmation may be
		// from before it, too. Rules that have reached the version of such a report need not be current.
		r.unconfirmed = nil
	}
	if r.options.FenceAfter == 0 {
		return
	}
	if last := len(r.unconfirmed) - 1; last >= 0 && freshness.Older(sent.version, r.unconfirmed[last].version) {
		r.unconfirmed = nil // etcd was restored: the rules may never reach these higher versions
	}
	// Not every report must be confirmed. Each change of the rules causes another report, and to confirm it,
	// freshness.Advancer may have to list all namespaces.
	if r.untilConfirmation(sent.sent) > 0 {
		return
	}
	r.unconfirmed = append(r.unconfirmed, sent)
	r.rules.AdvanceTo(sent.version)
}

// untilConfirmation returns the time from now until the next report that must be confirmed; now counts from the start
// of the replica.
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

// confirm confirms the written reports whose versions the rules in force have reached. The time until the fence counts
// from the newest of them. It does not count from the last written report: a process that was frozen or cut off can
// write a report before it receives the changes that it missed.
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
