package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/test/fixture"
)

// withinALease is a deadline for what takes as long as a lease and its loss do.
const withinALease = 2*(leaseDuration+renewDeadline) + fixture.Within

// candidate takes part in an election.
type candidate struct {
	identity string
	registry *prometheus.Registry
	cancel   context.CancelFunc
	ended    chan struct{}
	err      error

	mu      sync.Mutex
	leading bool
	terms   int
}

func (c *candidate) lead(ctx context.Context) error {
	c.set(true)
	<-ctx.Done()
	c.set(false)
	return nil
}

func (c *candidate) set(leading bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.leading = leading
	if leading {
		c.terms++
	}
}

func (c *candidate) leads() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.leading
}

func startCandidate(t *testing.T, namespace, identity string, lead func(*candidate) func(context.Context) error) *candidate {
	t.Helper()
	leases, err := coordinationclient.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	c := &candidate{identity: identity, registry: prometheus.NewRegistry(), ended: make(chan struct{})}
	election := &Election{
		Leases: leases, Namespace: namespace, Name: "operator", Identity: identity,
		Lead: lead(c), Metrics: NewMetrics(c.registry), Logger: logr.Discard(),
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	c.cancel = cancel
	go func() {
		defer close(c.ended)
		c.err = election.Start(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-c.ended
	})
	return c
}

func leadWhileHeld(c *candidate) func(context.Context) error { return c.lead }

func readLease(t *testing.T, namespace string) *coordinationv1.Lease {
	t.Helper()
	lease := &coordinationv1.Lease{}
	if err := cluster.Kube.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "operator"}, lease); err != nil {
		t.Fatal(err)
	}
	return lease
}

func holder(t *testing.T, namespace string) string {
	t.Helper()
	if identity := readLease(t, namespace).Spec.HolderIdentity; identity != nil {
		return *identity
	}
	return ""
}

func eventuallyLeads(t *testing.T, deadline time.Duration, c *candidate) {
	t.Helper()
	fixture.Eventually(t, deadline, func() string {
		if !c.leads() {
			return c.identity + " does not lead"
		}
		return ""
	})
}

func TestOneLeadsAndTheNextFollowsAtOnce(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	first := startCandidate(t, namespace, "first", leadWhileHeld)
	eventuallyLeads(t, fixture.Within, first)
	second := startCandidate(t, namespace, "second", leadWhileHeld)
	if got := holder(t, namespace); got != "first" {
		t.Errorf("the lease is held by %q, want first", got)
	}

	first.cancel()
	<-first.ended
	if first.err != nil || first.leads() {
		t.Errorf("the first ended with %v, leading: %t", first.err, first.leads())
	}
	// Released, not left to expire: it now has no holder, or the second candidate has already acquired it.
	if got := holder(t, namespace); got != "" && got != "second" {
		t.Errorf("the lease is still held by %q", got)
	}
	eventuallyLeads(t, fixture.Within, second)
	if got := holder(t, namespace); got != "second" {
		t.Errorf("the lease is held by %q, want second", got)
	}
	for c, want := range map[*candidate]float64{first: 0, second: 1} {
		if got := fixture.Metric(t, c.registry, "registration_policy_leader"); got != want {
			t.Errorf("the gauge of the %s is %v, want %v", c.identity, got, want)
		}
	}
}

func TestALostLeaseEndsTheWorkAndNotTheElection(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	c := startCandidate(t, namespace, "loser", leadWhileHeld)
	eventuallyLeads(t, fixture.Within, c)

	if err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		lease := readLease(t, namespace)
		now := metav1.NewMicroTime(time.Now())
		lease.Spec.HolderIdentity, lease.Spec.RenewTime, lease.Spec.AcquireTime = new("thief"), &now, &now
		return cluster.Kube.Update(t.Context(), lease)
	}); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, withinALease, func() string {
		if c.leads() {
			return "it still works, without the lease"
		}
		return ""
	})
	select {
	case <-c.ended:
		t.Fatalf("the election ended: %v", c.err)
	default:
	}
	if got := fixture.Metric(t, c.registry, "registration_policy_leader"); got != 0 {
		t.Errorf("the gauge is %v without the lease", got)
	}
	// The thief never renews, so the candidate takes over again.
	eventuallyLeads(t, withinALease, c)
	if c.terms != 2 || holder(t, namespace) != "loser" {
		t.Errorf("%d terms, the lease is held by %q; want 2, and loser", c.terms, holder(t, namespace))
	}
}

func TestADeletedLeaseIsTakenAgain(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	c := startCandidate(t, namespace, "alone", leadWhileHeld)
	eventuallyLeads(t, fixture.Within, c)
	lease := readLease(t, namespace)
	if err := cluster.Kube.Delete(t.Context(), lease); err != nil {
		t.Fatal(err)
	}
	fixture.Eventually(t, withinALease, func() string {
		again := &coordinationv1.Lease{}
		if err := cluster.Kube.Get(t.Context(), client.ObjectKeyFromObject(lease), again); err != nil {
			return err.Error()
		}
		if again.UID == lease.UID || again.Spec.HolderIdentity == nil || *again.Spec.HolderIdentity != "alone" || !c.leads() {
			return fmt.Sprintf("the lease is %v, leading: %t", again.Spec, c.leads())
		}
		return ""
	})
}

func TestWorkThatFailsGivesTheLeaseUpAndTriesAgain(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	c := startCandidate(t, namespace, "failing", func(c *candidate) func(context.Context) error {
		return func(ctx context.Context) error {
			c.mu.Lock()
			fails := c.terms == 0
			c.mu.Unlock()
			if fails {
				c.set(true)
				c.set(false)
				return errors.New("cannot begin")
			}
			return c.lead(ctx)
		}
	})
	eventuallyLeads(t, withinALease, c)
	if c.terms != 2 {
		t.Errorf("%d terms, want 2", c.terms)
	}
}

func TestAnElectionThatIsSetUpWronglyFailsAtOnce(t *testing.T) {
	leases, err := coordinationclient.NewForConfig(cluster.Config)
	if err != nil {
		t.Fatal(err)
	}
	election := &Election{
		Leases: leases, Namespace: "default", Name: "operator", // without an identity
		Lead: leadWhileHeld(&candidate{}), Metrics: NewMetrics(prometheus.NewRegistry()), Logger: logr.Discard(),
	}
	if err := election.Start(t.Context()); err == nil {
		t.Error("no error")
	}
}

func TestAnElectionEndsBeforeItHasBegun(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	election := &Election{Lead: leadWhileHeld(&candidate{})}
	if err := election.Start(ctx); err != nil {
		t.Error(err)
	}
}
