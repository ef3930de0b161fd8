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

// fenceMargin is added to a replica's --fence-after before the leader counts it as fenced: for answers still in flight.
const fenceMargin = 5 * time.Second

// Observer determines for the leader which replicas serve, and what they decide by. It reads from the API server each
// time, since a cache could miss a replica that has just begun to serve.
type Observer struct {
	// Reader reads from the API server, not from a cache.
	Reader client.Reader
	// Namespace is the operator's namespace, and LeaseName the name of the leader's Lease.
	Namespace, LeaseName string
	// ServiceName is the Service whose EndpointSlices show which replicas serve; "" means that every reporting replica
	// does.
	ServiceName string
	// Replica is the replica of this process; nil if it does not serve.
	Replica *Replica
	// Metrics counts policies and replicas.
	Metrics *Metrics
	// Logger gets errors that no status can show.
	Logger logr.Logger

	observations map[types.UID]observation
}

// observation is when this process first saw the current version of a Lease, by its own clock.
type observation struct {
	resourceVersion string
	at              time.Time
}

// view is one observation of the serving replicas.
type view struct {
	// startedAt is when the observation began; it includes everything before. It is zero before the first observation.
	startedAt time.Time
	replicas  []replicaView // sorted by name
}

// replicaView is the observed state of one replica.
type replicaView struct {
	name  string
	state replicaState
	// synced and unreadable are from its report; nil without a report.
	synced     map[string]string
	unreadable []string
	// stopping: the replica was told to stop, and serves until proxies have noticed.
	stopping bool
}

// replicaState is the state of a replica's reports.
type replicaState string

// The values of replicaState, and the label values of the metric.
const (
	reporting  replicaState = "reporting"
	silent     replicaState = "silent"     // its last report is too old
	unreported replicaState = "unreported" // it serves without a report
)

// observe observes the fleet. It fails if the API server does not answer a read.
func (o *Observer) observe(ctx context.Context) (view, error) {
	seen := view{startedAt: time.Now()}
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
			reported = report{Serving: true} // in an unknown format: the replica may serve
		}
		reported.dropNewerThan(leases.ResourceVersion)
		unchanged := time.Since(o.firstSeenAt(lease, observations))
		replica := replicaView{
			name: o.replicaName(lease), state: reporting, synced: reported.Synced, unreadable: reported.Unreadable,
			stopping: reported.Stopping,
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

// endpoints returns the names of the pods that the Service sends calls to, including terminating ones that still serve.
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

// notServing reports whether a replica that is not an endpoint of the Service does not serve. A replica that reports
// that it serves may become an endpoint in a moment, or may still get calls on a kept-alive connection.
func (o *Observer) notServing(ctx context.Context, lease *coordinationv1.Lease, reported report, state replicaState) (bool, error) {
	if !reported.Serving || o.ServiceName != "" && state == silent {
		return true, nil
	}
	return o.podGone(ctx, lease)
}

// podGone reports whether the pod that owns a Lease is gone or has ended. It is false for a Lease without an owner.
func (o *Observer) podGone(ctx context.Context, lease *coordinationv1.Lease) (bool, error) {
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

// firstSeenAt returns when this process first saw the current version of a Lease, and adds that to observations. The
// Lease's own renewTime is from the clock of another machine.
func (o *Observer) firstSeenAt(lease *coordinationv1.Lease, observations map[types.UID]observation) time.Time {
	known, found := o.observations[lease.UID]
	if !found || known.resourceVersion != lease.ResourceVersion {
		known = observation{resourceVersion: lease.ResourceVersion, at: time.Now()}
	}
	observations[lease.UID] = known
	return known.at
}

// replicaName returns the name of the replica that wrote a Lease.
func (o *Observer) replicaName(lease *coordinationv1.Lease) string {
	return lease.Name[min(len(o.LeaseName)+len("."), len(lease.Name)):]
}
