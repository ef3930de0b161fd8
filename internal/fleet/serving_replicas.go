package fleet

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// fenceMargin is added to a replica's own --fence-after before it counts as fenced: for answers that were on their way.
const fenceMargin = 5 * time.Second

// Observer is where the leader learns which replicas serve, and by what they decide. It asks the API server each time: an answer
// that is a moment old could miss a replica that has just begun to serve.
type Observer struct {
	// Reader asks the API server.
	Reader client.Reader
	// Namespace is the operator's, and LeaseName that of the lease of the leader.
	Namespace, LeaseName string
	// ServiceName is the Service whose EndpointSlices say which replicas serve; "" means that all do that report.
	ServiceName string
	// Replica is this process, which the others see by its Lease alone; nil if it does not serve.
	Replica *Replica
	// Metrics counts what the leader sees.
	Metrics *Metrics
	// Logger takes what cannot be said in a status.
	Logger logr.Logger

	observations map[types.UID]observation
}

// observation is when a Lease was first seen in its present version, by the clock of this process.
type observation struct {
	resourceVersion string
	at              time.Time
}

// view is what was seen of the serving replicas, sorted by name.
type view struct {
	// begun is when the observation began: what happened before can be seen. It is zero before the first.
	begun    time.Time
	replicas []replicaView
}

// replicaView is what was seen of one replica.
type replicaView struct {
	name  string
	state replicaState
	// synced and unreadable are what it has reported; nil without a report.
	synced     map[string]string
	unreadable []string
	// stopping says that it was told to stop, and serves until proxies know.
	stopping bool
}

// replicaState says what is known of a replica.
type replicaState string

// The values of replicaState, and the label values of the metric.
const (
	reporting  replicaState = "reporting"
	silent     replicaState = "silent"     // it has a report, and no recent one
	unreported replicaState = "unreported" // it serves, and has none
)

// observe looks at the fleet.
func (o *Observer) observe(ctx context.Context) (view, error) {
	seen := view{begun: time.Now()}
	endpoints, err := o.endpoints(ctx)
	if err != nil {
		return view{}, err
	}
	var leases coordinationv1.LeaseList
	labels := client.MatchingLabels{replicaOfLabel: o.LeaseName}
	if err := o.Reader.List(ctx, &leases, client.InNamespace(o.Namespace), labels); err != nil {
		return view{}, fmt.Errorf("list the reports of replicas: %w", err)
	}
	observations := make(map[types.UID]observation, len(leases.Items))
	for i := range leases.Items {
		lease := &leases.Items[i]
		reported := report{}
		if err := json.Unmarshal([]byte(lease.Annotations[reportAnnotation]), &reported); err != nil {
			reported = report{Serving: true} // of a form that is not known: it may serve
		}
		reported.forgetAfter(leases.ResourceVersion)
		unchanged := time.Since(o.note(lease, observations))
		replica := replicaView{
			name: o.nameOf(lease), state: reporting, synced: reported.Synced, unreadable: reported.Unreadable, stopping: reported.Stopping,
		}
		if unchanged > reportDuration {
			replica.state = silent
		}
		isEndpoint := endpoints[replica.name]
		delete(endpoints, replica.name)
		if fence := time.Duration(reported.FenceAfterSeconds) * time.Second; fence > 0 && unchanged > fence+fenceMargin {
			continue // it answers 503
		}
		if !isEndpoint {
			gone, err := o.notServing(ctx, lease, reported, replica.state)
			if err != nil {
				return view{}, err
			}
			if gone {
				continue
			}
		}
		seen.replicas = append(seen.replicas, replica)
	}
	o.observations = observations
	for name := range endpoints {
		seen.replicas = append(seen.replicas, replicaView{name: name, state: unreported})
	}
	slices.SortFunc(seen.replicas, func(a, b replicaView) int { return cmp.Compare(a.name, b.name) })
	return seen, nil
}

// endpoints returns the names of the pods that the Service sends calls to. Those that are terminating and still serve are among
// them.
func (o *Observer) endpoints(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	if o.ServiceName == "" {
		return names, nil
	}
	var slices discoveryv1.EndpointSliceList
	labels := client.MatchingLabels{discoveryv1.LabelServiceName: o.ServiceName}
	if err := o.Reader.List(ctx, &slices, client.InNamespace(o.Namespace), labels); err != nil {
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

// notServing reports whether a replica to which the Service sends no calls leaves the count. A replica that reports that it serves
// may become an endpoint in a moment, or may still get calls on a connection that is kept open.
func (o *Observer) notServing(ctx context.Context, lease *coordinationv1.Lease, reported report, state replicaState) (bool, error) {
	if !reported.Serving || o.ServiceName != "" && state == silent {
		return true, nil
	}
	return o.podIsGone(ctx, lease)
}

// podIsGone reports whether the pod that a Lease belongs to is no more. A Lease without a pod stays.
func (o *Observer) podIsGone(ctx context.Context, lease *coordinationv1.Lease) (bool, error) {
	if len(lease.OwnerReferences) == 0 {
		return false, nil
	}
	owner := lease.OwnerReferences[0]
	pod := &corev1.Pod{}
	err := o.Reader.Get(ctx, client.ObjectKey{Namespace: o.Namespace, Name: owner.Name}, pod)
	switch {
	case apierrors.IsNotFound(err):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("read the pod of a replica: %w", err)
	}
	ended := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return pod.UID != owner.UID || ended, nil
}

// note returns since when this process has seen a Lease in its present version, and adds that to observations. What the Lease
// itself says of its age is the clock of another machine.
func (o *Observer) note(lease *coordinationv1.Lease, observations map[types.UID]observation) time.Time {
	known, found := o.observations[lease.UID]
	if !found || known.resourceVersion != lease.ResourceVersion {
		known = observation{resourceVersion: lease.ResourceVersion, at: time.Now()}
	}
	observations[lease.UID] = known
	return known.at
}

// nameOf returns the name of the replica that a Lease is of.
func (o *Observer) nameOf(lease *coordinationv1.Lease) string {
	return lease.Name[min(len(o.LeaseName)+len("."), len(lease.Name)):]
}
