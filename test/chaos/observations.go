package main

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/policies"
)

// observeInterval is the interval at which the status of all policies is read.
const observeInterval = 200 * time.Millisecond

// readTimeout limits a read of the status of all policies, or of a replica's metrics.
const readTimeout = 3 * time.Second

// readyCondition is the type of the condition for a generation that is in force on every serving replica.
const readyCondition = "Ready"

// acceptedCondition is the type of the condition for a spec that is completely in force. overBudget is its reason if
// the policies of the namespace take more than the memory budget.
const acceptedCondition, overBudget = "Accepted", "OverBudget"

// Watcher repeatedly reads the status of all policies.
type Watcher struct {
	client   client.Client
	timeline *fleet.Timeline

	observations []history.Observation
	// allReady says that at the last read each policy was Ready, or had the reason notAccepted, which waiting does not
	// change.
	allReady bool

	mu sync.Mutex
	// ready and overBudget are the generations that have been observed as Ready, or with the reason OverBudget.
	ready, overBudget map[history.Generation]bool
}

func newWatcher(c client.Client, timeline *fleet.Timeline) *Watcher {
	return &Watcher{client: c, timeline: timeline, ready: map[history.Generation]bool{}, overBudget: map[history.Generation]bool{}}
}

// sawReady reports whether any of the generations has been observed as Ready.
func (w *Watcher) sawReady(generations []history.Generation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(generations, func(g history.Generation) bool { return w.ready[g] })
}

// sawOverBudget reports whether any of the generations has been observed with the reason OverBudget.
func (w *Watcher) sawOverBudget(generations []history.Generation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(generations, func(g history.Generation) bool { return w.overBudget[g] })
}

// Run observes until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
	for tick := time.NewTicker(observeInterval); ; {
		select {
		case <-ctx.Done():
			tick.Stop()
			return
		case <-tick.C:
			w.observe(ctx)
		}
	}
}

func (w *Watcher) observe(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	asked := w.timeline.Now()
	var list v1alpha1.RegistrationPolicyList
	if err := w.client.List(ctx, &list); err != nil {
		return
	}
	seen := w.timeline.Now()
	w.allReady = len(list.Items) > 0
	for i := range list.Items {
		policy := &list.Items[i]
		if strings.HasPrefix(policy.Name, policies.FloodPrefix) {
			continue // skip the hundreds of policies of a flood: the other policies of the namespace have the same status
		}
		observation := history.Observation{
			Generation: history.Generation{
				Namespace: policy.Namespace, Policy: policy.Name, UID: string(policy.UID), Number: policy.Generation,
			},
			Asked: asked, Seen: seen,
		}
		if condition := meta.FindStatusCondition(policy.Status.Conditions, readyCondition); condition != nil {
			observation.Ready = condition.Status == "True" && condition.ObservedGeneration == policy.Generation
			observation.Reason = condition.Reason
		}
		accepted := meta.FindStatusCondition(policy.Status.Conditions, acceptedCondition)
		w.mu.Lock()
		if observation.Ready {
			w.ready[observation.Generation] = true
		}
		if accepted != nil && accepted.Reason == overBudget && accepted.ObservedGeneration == policy.Generation {
			w.overBudget[observation.Generation] = true
		}
		w.mu.Unlock()
		w.allReady = w.allReady && (observation.Ready || observation.Reason == notAccepted)
		w.observations = append(w.observations, observation)
	}
}

// notAccepted is the reason of Ready=False for a policy that is only partly in force, because an entry of its spec was
// rejected.
const notAccepted = "NotAccepted"
