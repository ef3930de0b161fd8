package election

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// The times of the lease are those of kube-controller-manager. If the leader dies, another replica takes over after
// leaseDuration.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Election calls Lead in one replica at a time, for as long as that replica holds a lease.
//
// Losing the lease ends the context of Lead, not the process. The election of controller-runtime ends the process,
// although the replica could still answer calls.
type Election struct {
	// Leases is the client for the lease.
	Leases coordinationv1.LeasesGetter
	// Namespace and Name are those of the lease.
	Namespace, Name string
	// Identity identifies this replica; it must be unique.
	Identity string
	// Lead does the work of the leader until its context ends. If it returns earlier, the replica releases the lease
	// and tries to acquire it again.
	Lead func(ctx context.Context) error

	// Metrics shows whether this replica leads.
	Metrics *Metrics
	// Logger gets a line when this replica starts and stops leading.
	Logger logr.Logger
}

// Start takes part in the election until ctx ends. If this replica leads then, Start first waits until Lead has ended,
// and then releases the lease. It fails only if the election is configured wrongly.
func (e *Election) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := e.term(ctx); err != nil {
			return err
		}
		select { // otherwise a Lead that fails at once would cause a tight loop
		case <-ctx.Done():
		case <-time.After(retryPeriod):
		}
	}
	return nil
}

// term acquires the lease and calls Lead. It returns once the lease is lost or released and Lead has ended.
func (e *Election) term(ctx context.Context) error {
	// The elector releases the lease when held ends. Another replica may then lead, so held must end after Lead.
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	work := &onceUnlessOver{ended: make(chan struct{})}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Name: e.Name,
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: e.Namespace, Name: e.Name},
			Client:     e.Leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: e.Identity},
		},
		LeaseDuration:   leaseDuration,
		RenewDeadline:   renewDeadline,
		RetryPeriod:     retryPeriod,
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(leading context.Context) {
				work.do(func() {
					e.lead(ctx, leading)
					release()
				})
			},
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() {
		work.wait()
		release()
	})
	defer stop()
	elector.Run(held)
	work.wait()
	return nil
}

// lead calls Lead with a context that ends when the lease is lost (leading ends) or the process stops (ctx ends).
func (e *Election) lead(ctx, leading context.Context) {
	both, cancel := context.WithCancel(leading)
	defer cancel()
	defer context.AfterFunc(ctx, cancel)()

	e.Logger.Info("Leading: this replica writes status", "lease", e.Name)
	e.Metrics.leader.Set(1)
	defer e.Metrics.leader.Set(0)
	if err := e.Lead(both); err != nil && !errors.Is(err, context.Canceled) {
		e.Logger.Error(err, "Writing status failed", "lease", e.Name)
	}
	e.Logger.Info("No longer leading", "lease", e.Name)
}

// onceUnlessOver runs a function at most once, and not after the first call of wait. It is needed because the elector
// calls OnStartedLeading in a goroutine, which may start only after the lease is lost.
type onceUnlessOver struct {
	mu            sync.Mutex
	started, over bool
	ended         chan struct{}
}

// do runs the function, unless wait was called before.
func (w *onceUnlessOver) do(f func()) {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	w.started = true
	w.mu.Unlock()
	defer close(w.ended)
	f()
}

// wait returns once the function has ended, or at once if do has not started it. Later calls of do do nothing.
func (w *onceUnlessOver) wait() {
	w.mu.Lock()
	w.over = true
	started := w.started
	w.mu.Unlock()
	if started {
		<-w.ended
	}
}
