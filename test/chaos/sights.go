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
)

// lookPeriod is how often the status of all policies is read.
const lookPeriod = 200 * time.Millisecond

// readyCondition is the type of the condition that says that a generation is in force on every replica that can be asked.
const readyCondition = "Ready"

// acceptedCondition is the type of the one that says whether all of a spec is in force, and overBudget a reason why it is not.
const acceptedCondition, overBudget = "Accepted", "OverBudget"

// Watcher reads what status says of Ready, again and again, as people do.
type Watcher struct {
	client   client.Client
	timeline *fleet.Timeline

	sights []history.Sight
	// all says whether all policies were ready when last read.
	all bool

	mu sync.Mutex
	// ready are the generations that were seen to be ready, and overBudget those that were seen to be too much for their namespace.
	ready, overBudget map[history.Generation]bool
}

func newWatcher(c client.Client, timeline *fleet.Timeline) *Watcher {
	return &Watcher{client: c, timeline: timeline, ready: map[history.Generation]bool{}, overBudget: map[history.Generation]bool{}}
}

// sawReady tells whether any of some generations was seen to be ready, sawOverBudget whether any was seen to be too much.
func (w *Watcher) sawReady(generations []history.Generation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(generations, func(g history.Generation) bool { return w.ready[g] })
}

func (w *Watcher) sawOverBudget(generations []history.Generation) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(generations, func(g history.Generation) bool { return w.overBudget[g] })
}

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context) {
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
	if err := w.client.List(ctx, &list); err != nil {
		return
	}
	seen := w.timeline.Now()
	w.all = len(list.Items) > 0
	for i := range list.Items {
		policy := &list.Items[i]
		if strings.HasPrefix(policy.Name, floodPrefix) {
			continue // one of hundreds: whether they are all in force, others show
		}
		sight := history.Sight{
			Generation: history.Generation{
				Namespace: policy.Namespace, Policy: policy.Name, UID: string(policy.UID), Number: policy.Generation,
			},
			Asked: asked, Seen: seen,
		}
		if condition := meta.FindStatusCondition(policy.Status.Conditions, readyCondition); condition != nil {
			sight.Ready = condition.Status == "True" && condition.ObservedGeneration == policy.Generation
			sight.Reason = condition.Reason
		}
		accepted := meta.FindStatusCondition(policy.Status.Conditions, acceptedCondition)
		w.mu.Lock()
		if sight.Ready {
			w.ready[sight.Generation] = true
		}
		if accepted != nil && accepted.Reason == overBudget && accepted.ObservedGeneration == policy.Generation {
			w.overBudget[sight.Generation] = true
		}
		w.mu.Unlock()
		w.all = w.all && (sight.Ready || sight.Reason == notAccepted)
		w.sights = append(w.sights, sight)
	}
}

// notAccepted is the reason why a policy that is in force in part is not Ready.
const notAccepted = "NotAccepted"
