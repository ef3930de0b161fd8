package fleet

import "time"

// fenceLead is how long before its fence a replica becomes unready: the kubelet and proxies need that long to
// notice.
const fenceLead = 10 * time.Second

// Fenced reports whether this replica must not answer calls: no report was confirmed within the last FenceAfter. It
// uses the monotonic clock, so that a frozen process is fenced as soon as it continues.
func (r *Replica) Fenced() bool { return r.unconfirmedFor(r.options.FenceAfter) }

// FencedSoon reports whether this replica is fenced or soon may be. It is then unready, so that proxies stop sending
// calls before the replica stops answering.
func (r *Replica) FencedSoon() bool {
	return r.unconfirmedFor(r.options.FenceAfter - min(fenceLead, r.options.FenceAfter/3))
}

func (r *Replica) unconfirmedFor(limit time.Duration) bool {
	if limit == 0 {
		return false
	}
	confirmed := r.confirmedSent.Load()
	return confirmed < 0 || time.Since(r.started)-time.Duration(confirmed) > limit
}
