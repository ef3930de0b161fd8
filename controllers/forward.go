package controllers

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/event"

	"registrationpolicy.dev/operator/internal/fleet"
	"registrationpolicy.dev/operator/internal/freshness"
)

// forwardInterval is how often the position of the rules is brought forward while nothing changes. It is that of the reports: there
// is no use in knowing more often.
const forwardInterval = fleet.ReportInterval

// forward brings what is in force forward, to what the API server has, where no change of a policy or list does: those who wait for
// all replicas to decide by a generation wait for positions.
type forward struct {
	rules   *RulesReconciler
	catchUp *catchUp

	compared time.Time // when it last compared
}

// Start does so until ctx ends. It never fails: where the API server does not answer, positions stay.
func (f *forward) Start(ctx context.Context) error {
	for {
		_, _, changed := f.rules.inForce.get()
		wait := f.step(ctx)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-changed:
		case <-f.rules.hurry:
		}
	}
}

// NeedLeaderElection says that every replica does this.
func (*forward) NeedLeaderElection() bool { return false }

// step brings the watches forward to the one that is ahead of the others, or to the target, and asks for a build where they have
// come forward. It returns when to look again.
func (f *forward) step(ctx context.Context) (wait time.Duration) {
	wait = forwardInterval
	least, most := f.rules.watches.through()
	if least == "" {
		return catchUpInterval // the first lists have not come: there is nothing to compare
	}
	target, _ := f.rules.target.Load().(string)
	if freshness.Older(most, target) {
		most = target
	}
	if freshness.Older(least, most) {
		if early := catchUpInterval - time.Since(f.compared); early > 0 { // changes that follow each other share a comparison
			return early
		}
		f.compared = time.Now()
		same, err := f.catchUp.to(ctx, most)
		if err != nil || !same {
			wait = catchUpInterval // the API server is away, or an event on its way
		}
		least, _ = f.rules.watches.through()
		if same && freshness.Older(least, target) { // of before the comparison
			f.rules.target.CompareAndSwap(target, "") // the API server itself has not come that far: etcd was restored
		}
	}
	if _, through, _ := f.rules.inForce.get(); freshness.Older(through, least) {
		select {
		case f.rules.rebuild <- event.GenericEvent{Object: newPolicyObject()}:
		default: // one is asked for already
		}
	}
	return wait
}

// AdvanceTo implements [fleet.Rules].
func (r *RulesReconciler) AdvanceTo(version string) {
	r.target.Store(version)
	select {
	case r.hurry <- struct{}{}:
	default:
	}
}

// InForce implements [fleet.Rules]. All namespaces that are watched have one position.
func (r *RulesReconciler) InForce() (fleet.InForce, <-chan struct{}) {
	digest, through, changed := r.inForce.get()
	inForce := fleet.InForce{Digest: digest}
	if through != "" {
		inForce.Synced = map[string]string{}
		for _, namespace := range r.watches.namespaces() {
			inForce.Synced[namespace] = through
		}
	}
	return inForce, changed
}
