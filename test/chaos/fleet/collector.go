package fleet

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// collectPeriod is the interval of the simulated garbage collector.
const collectPeriod = time.Second

// Collector simulates the garbage collector: it deletes Leases whose owner, a pod, no longer exists.
type Collector struct {
	// Client is the client to use. Timeline gets a note for each deleted Lease.
	Client   client.Client
	Timeline *Timeline
	// Namespace is the namespace of the Leases and pods.
	Namespace string
}

// Run collects until ctx ends.
func (c *Collector) Run(ctx context.Context) {
	for tick := time.NewTicker(collectPeriod); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			once, cancel := context.WithTimeout(ctx, apiTimeout)
			_ = c.collect(once) // retried at the next tick
			cancel()
		}
	}
}

func (c *Collector) collect(ctx context.Context) error {
	// List Leases first, so that no Lease of a pod created in between is in the list.
	var leases coordinationv1.LeaseList
	if err := c.Client.List(ctx, &leases, client.InNamespace(c.Namespace)); err != nil {
		return err
	}
	var pods corev1.PodList
	if err := c.Client.List(ctx, &pods, client.InNamespace(c.Namespace)); err != nil {
		return err
	}
	live := map[string]bool{}
	for i := range pods.Items {
		live[string(pods.Items[i].UID)] = true
	}
	for i := range leases.Items {
		lease := &leases.Items[i]
		for _, owner := range lease.OwnerReferences {
			if owner.Kind == "Pod" && !live[string(owner.UID)] {
				if err := c.Client.Delete(ctx, lease, client.Preconditions{UID: &lease.UID}); client.IgnoreNotFound(err) != nil {
					return err
				}
				c.Timeline.Note("Lease %s is deleted: its pod no longer exists", lease.Name)
			}
		}
	}
	return nil
}
