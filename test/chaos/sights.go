package main

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
)

// lookPeriod is how often the status of all policies is read.
const lookPeriod = 200 * time.Millisecond

// readyCondition is the type of the condition that says that a generation is in force on every replica that can be asked.
const readyCondition = "Ready"

// Watcher reads what status says of Ready, again and again, as people do.
type Watcher struct {
	client    client.Client
	timeline  *fleet.Timeline
	namespace string

	sights []history.Sight
	// ready counts the generations that were seen to be ready.
	ready map[history.Generation]bool
	// all says whether all policies were ready when last read.
	all bool
}

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	w.ready = map[history.Generation]bool{}
	for tick := time.NewTicker(lookPeriod); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			w.look(ctx)
		}
	}
}

func (w *Watcher) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	asked := w.timeline.Now()
	var list v1alpha1.RegistrationPolicyList
	if err := w.client.List(ctx, &list, client.InNamespace(w.namespace)); err != nil {
		return
	}
	seen := w.timeline.Now()
	w.all = len(list.Items) > 0
	for i := range list.Items {
		policy := &list.Items[i]
		sight := history.Sight{
			Generation: history.Generation{Policy: policy.Name, UID: string(policy.UID), Number: policy.Generation},
			Asked:      asked, Seen: seen,
		}
		if condition := meta.FindStatusCondition(policy.Status.Conditions, readyCondition); condition != nil {
			sight.Ready = condition.Status == "True" && condition.ObservedGeneration == policy.Generation
			sight.Reason = condition.Reason
		}
		if sight.Ready {
			w.ready[sight.Generation] = true
		}
		w.all = w.all && (sight.Ready || sight.Reason == notAccepted)
		w.sights = append(w.sights, sight)
	}
}

// notAccepted is the reason why a policy that is in force in part is not Ready.
const notAccepted = "NotAccepted"
