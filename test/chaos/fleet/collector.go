package fleet

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// collectPeriod is how often the stand-in for the garbage collector looks.
const collectPeriod = time.Second

// Collector stands in for the garbage collector: it deletes the Leases whose owner, a pod, is gone.
type Collector struct {
	// Client is the collector's, and Timeline takes a line for each.
	Client   client.Client
	Timeline *Timeline
	// Namespace is where it looks.
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
			_ = c.collect(once) // with the API server away, it is tried again
			cancel()
		}
	}
}

func (c *Collector) collect(ctx context.Context) error {
	// Leases first: a pod that is created in between has none among these.
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
				c.Timeline.Note("the Lease %s is collected: its pod is gone", lease.Name)
			}
		}
	}
	return nil
}
