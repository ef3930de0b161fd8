package controllers

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/freshness"
)

// fenceMargin is added to a replica's own --fence-after before it counts as fenced: for answers that were on their way.
const fenceMargin = 5 * time.Second

// Fleet is where the leader learns which replicas can be asked, and by what they decide. It asks the API server each time: an answer
// that is a moment old could miss a replica that has just begun to take calls.
type Fleet struct {
	// Reader asks the API server.
	Reader client.Reader
	// Namespace is the operator's, and LeaseName that of the lease of the leader.
	Namespace, LeaseName string
	// ServiceName is the Service whose EndpointSlices say who can be asked; "" means that all replicas can that report.
	ServiceName string

	sightings map[types.UID]sighting
}

// sighting is when a Lease was first seen to say what it says now.
type sighting struct {
	resourceVersion string
	at              time.Time
	// before is how long it had said that by then, as far as its own clock tells.
	before time.Duration
}

// fleetView is what was seen of the replicas that can be asked, sorted by name.
type fleetView struct {
	// begun is when the looking began: what happened before can be seen.
	begun    time.Time
	replicas []replicaView
}

// replicaView is what was seen of one.
type replicaView struct {
	name string
	// through is what it has published through; "" without a report of that.
	through string
	state   replicaState
}

// replicaState says what is known of a replica.
type replicaState string

// The values of replicaState, and the label values of the metric.
const (
	reporting  replicaState = "reporting"
	silent     replicaState = "silent"     // it has a report, and no recent one
	unreported replicaState = "unreported" // it can be asked, and has none
)

func replicaStates() []replicaState { return []replicaState{reporting, silent, unreported} }

// observe looks at the fleet.
func (f *Fleet) observe(ctx context.Context) (fleetView, error) {
	view := fleetView{begun: time.Now()}
	serving, err := f.serving(ctx)
	if err != nil {
		return fleetView{}, err
	}
	var leases coordinationv1.LeaseList
	labels := client.MatchingLabels{replicaOfLabel: f.LeaseName}
	if err := f.Reader.List(ctx, &leases, client.InNamespace(f.Namespace), labels); err != nil {
		return fleetView{}, fmt.Errorf("list the reports of replicas: %w", err)
	}
	seen := make(map[types.UID]sighting, len(leases.Items))
	for i := range leases.Items {
		lease := &leases.Items[i]
		said := report{}
		if err := json.Unmarshal([]byte(lease.Annotations[reportAnnotation]), &said); err != nil {
			said = report{Serving: true} // whatever it is, it may be asked
		}
		age := f.age(lease, seen)
		name := f.nameOf(lease)
		replica := replicaView{name: name, through: said.PublishedThrough, state: reporting}
		if freshness.Older(leases.ResourceVersion, replica.through) {
			replica.through = "" // of before etcd was restored: that says nothing about now
		}
		if age > reportDuration {
			replica.state = silent
		}
		if fence := time.Duration(said.FenceAfterSeconds) * time.Second; fence > 0 && f.watchedFor(seen[lease.UID]) > fence+fenceMargin {
			delete(serving, name) // it answers 503
			continue
		}
		asked := serving[name]
		delete(serving, name)
		if !asked {
			leaves, err := f.cannotBeAsked(ctx, lease, said, replica.state)
			if err != nil {
				return fleetView{}, err
			}
			if leaves {
				continue
			}
		}
		view.replicas = append(view.replicas, replica)
	}
	f.sightings = seen
	for name := range serving {
		view.replicas = append(view.replicas, replicaView{name: name, state: unreported})
	}
	slices.SortFunc(view.replicas, func(a, b replicaView) int { return cmp.Compare(a.name, b.name) })
	return view, nil
}

// serving returns the names of the pods that the Service has calls sent to; those that are terminating and still serve are among
// them.
func (f *Fleet) serving(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	if f.ServiceName == "" {
		return names, nil
	}
	var slices discoveryv1.EndpointSliceList
	labels := client.MatchingLabels{discoveryv1.LabelServiceName: f.ServiceName}
	if err := f.Reader.List(ctx, &slices, client.InNamespace(f.Namespace), labels); err != nil {
		return nil, fmt.Errorf("list the endpoints of the Service: %w", err)
	}
	for i := range slices.Items {
		for _, endpoint := range slices.Items[i].Endpoints {
			switch {
			case endpoint.Conditions.Serving != nil && !*endpoint.Conditions.Serving:
			case endpoint.TargetRef != nil:
				names[endpoint.TargetRef.Name] = true
			case len(endpoint.Addresses) > 0:
				names[endpoint.Addresses[0]] = true
			}
		}
	}
	return names, nil
}

// cannotBeAsked says whether a replica to which the Service sends no calls leaves the count. One that reports that it takes calls
// may be among those of the Service in a moment, or may still be asked on a connection that it keeps.
func (f *Fleet) cannotBeAsked(ctx context.Context, lease *coordinationv1.Lease, said report, state replicaState) (bool, error) {
	if !said.Serving || f.ServiceName != "" && state == silent {
		return true, nil
	}
	return f.podIsGone(ctx, lease)
}

// podIsGone says whether the pod that a Lease belongs to is no more. One without a pod is never gone.
func (f *Fleet) podIsGone(ctx context.Context, lease *coordinationv1.Lease) (bool, error) {
	if len(lease.OwnerReferences) == 0 {
		return false, nil
	}
	owner := lease.OwnerReferences[0]
	pod := &corev1.Pod{}
	err := f.Reader.Get(ctx, client.ObjectKey{Namespace: f.Namespace, Name: owner.Name}, pod)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read the pod of a replica: %w", err)
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return pod.UID != owner.UID || ended, nil
}

// age returns how long ago a Lease was renewed, and notes the sighting. It goes by this replica's clock from the moment on at which
// the renewal was first seen; for what was before that, there is only the other's clock.
func (f *Fleet) age(lease *coordinationv1.Lease, seen map[types.UID]sighting) time.Duration {
	known, found := f.sightings[lease.UID]
	if !found || known.resourceVersion != lease.ResourceVersion {
		known = sighting{resourceVersion: lease.ResourceVersion, at: time.Now()}
		if !found && lease.Spec.RenewTime != nil {
			known.before = max(0, time.Since(lease.Spec.RenewTime.Time))
		}
	}
	seen[lease.UID] = known
	return known.before + f.watchedFor(known)
}

// watchedFor returns for how long this replica has seen a Lease say what it says.
func (*Fleet) watchedFor(s sighting) time.Duration { return time.Since(s.at) }

// nameOf returns the name of the replica that a Lease is of.
func (f *Fleet) nameOf(lease *coordinationv1.Lease) string {
	return lease.Name[min(len(f.LeaseName)+len("."), len(lease.Name)):]
}

// sameMembers says that the same replicas can be asked, in the same states, and that none has gone back.
func (v fleetView) sameMembers(before fleetView) bool {
	return slices.EqualFunc(v.replicas, before.replicas, func(now, then replicaView) bool {
		return now.name == then.name && now.state == then.state && !freshness.Older(now.through, then.through)
	})
}

// equal says that two views show the same.
func (v fleetView) equal(o fleetView) bool { return slices.Equal(v.replicas, o.replicas) }

// firstSeen is when the leader learned of a generation of a policy.
type firstSeen struct {
	generation int64
	// version is the resourceVersion of the policy at which it did. Every replica whose rules are as new has that generation.
	version string
	at      time.Time
}

// seenBefore says that the looking began after the generation was known: a replica that took calls by then is in view.
func (s firstSeen) seenBefore(v fleetView) bool { return !v.begun.Before(s.at) }
