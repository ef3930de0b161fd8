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

// The times of the lease, as kube-controller-manager has them: a dead leader is followed after at most leaseDuration.
const (
	leaseDuration = 15 * time.Second
	renewDeadline = 10 * time.Second
	retryPeriod   = 2 * time.Second
)

// Election lets one replica at a time do a piece of work, for as long as it holds a lease.
//
// Losing the lease ends the work, not the process: controller-runtime's own election ends the process, and with it a replica
// that could still answer calls.
type Election struct {
	// Leases is where the lease is kept.
	Leases coordinationv1.LeasesGetter
	// Namespace and Name are the lease's.
	Namespace, Name string
	// Identity names this replica; it must be unique.
	Identity string
	// Lead does the work until its context ends. If it returns earlier, the lease is given up and sought again.
	Lead func(ctx context.Context) error

	// Metrics has the gauge that says who leads.
	Metrics *Metrics
	// Logger takes a line when leading begins and ends.
	Logger logr.Logger
}

// Start takes part in the election until ctx ends. Then it ends the work first, and gives up the lease last.
// It fails at once if the election is set up wrongly, and otherwise never.
func (e *Election) Start(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := e.term(ctx); err != nil {
			return err
		}
		select { // a Lead that fails at once must not make a tight loop
		case <-ctx.Done():
		case <-time.After(retryPeriod):
		}
	}
	return nil
}

// term seeks the lease, leads while it is held, and returns when both are over.
func (e *Election) term(ctx context.Context) error {
	// The elector's own context ends after the work: it releases the lease when it does.
	held, release := context.WithCancel(context.WithoutCancel(ctx))
	defer release()
	work := &work{ended: make(chan struct{})}
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

// lead does the work until the lease is lost or the process stops.
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

// work is done at most once, and not begun any more once somebody has waited for its end: the elector starts it in a
// goroutine, which may get its turn only after the term.
type work struct {
	mu          sync.Mutex
	begun, over bool
	ended       chan struct{}
}

func (w *work) do(f func()) {
	w.mu.Lock()
	if w.over {
		w.mu.Unlock()
		return
	}
	w.begun = true
	w.mu.Unlock()
	defer close(w.ended)
	f()
}

func (w *work) wait() {
	w.mu.Lock()
	w.over = true
	begun := w.begun
	w.mu.Unlock()
	if begun {
		<-w.ended
	}
}
