package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/go-logr/logr"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/freshness"
	"registrationpolicy.dev/operator/internal/replicalease"
)

// fenceMargin is how much longer than its --fence-after a replica must be silent before the leader no longer counts it.
// In this time the replica may finish calls that it began to answer before its fence (package replica).
const fenceMargin = 5 * time.Second

// Observer determines which replicas serve, and up to which version their rules are current. It reads from the API
// server each time, since a cache could miss a replica that has just begun to serve.
type Observer struct {
	// Reader reads from the API server, not from a cache.
	Reader client.Reader
	// Namespace is the operator's namespace, and LeaseName the name of the leader's Lease.
	Namespace, LeaseName string
	// ServiceName is the Service whose EndpointSlices show which replicas serve. If it is "", a replica serves if it
	// reports that it does.
	ServiceName string
	// Local is the replica of this process; nil if this process has none.
	Local LocalReplica
	// Metrics counts policies and replicas.
	Metrics *Metrics
	// Logger gets a line when observations begin to fail.
	Logger logr.Logger

	// leaseVersions are the versions of the replicas' Leases at the last observation, by the UID of the Lease.
	leaseVersions map[types.UID]leaseVersion
}

// LocalReplica is the replica that runs in this process.
type LocalReplica interface {
	// Name returns the name of the replica.
	Name() string
	// Stopping reports whether the replica was told to stop.
	Stopping() bool
}

// leaseVersion is a version of a Lease, and when this process first saw it, by its own clock.
type leaseVersion struct {
	resourceVersion string
	firstSeen       time.Time
}

// view is what one observation found: the serving replicas.
type view struct {
	// startedAt is when the observation began: the view includes all that was stored before. It is zero before the
	// first observation.
	startedAt time.Time
	replicas  []replicaView // sorted by name
}

// replicaView is the observed state of one replica.
type replicaView struct {
	name  string
	state replicaState
	// synced and unreadable are the fields Synced and Unreadable of its [replicalease.Report]; nil without a report.
	synced     map[string]string
	unreadable []string
	// stopping: the replica was told to stop. It still serves until proxies have stopped sending calls.
	stopping bool
}

// replicaState is the state of a replica's reports.
type replicaState string

// The states of a replica's reports. They are also the label values of the metric.
const (
	reporting  replicaState = "reporting"
	silent     replicaState = "silent"     // the last report is older than replicalease.Duration
	unreported replicaState = "unreported" // the pod is an endpoint of the Service, and has no Lease
)

// observe returns the replicas that serve now. It fails if the API server does not answer a read.
func (o *Observer) observe(ctx context.Context) (view, error) {
	seen := view{startedAt: time.Now()}
	endpoints, err := o.endpoints(ctx)
	if err != nil {
		return view{}, err
	}
	var leases coordinationv1.LeaseList
	labels := client.MatchingLabels(replicalease.Labels(o.LeaseName))
	if err := o.Reader.List(ctx, &leases, client.InNamespace(o.Namespace), labels); err != nil {
		return view{}, fmt.Errorf("list the reports of replicas: %w", err)
	}
	leaseVersions := make(map[types.UID]leaseVersion, len(leases.Items))
	for i := range leases.Items {
		lease := &leases.Items[i]
		reported := replicalease.Read(lease)
		// A version newer than the API server's current one is from before an etcd restore, and proves nothing.
		maps.DeleteFunc(reported.Synced, func(_, synced string) bool { return freshness.Older(leases.ResourceVersion, synced) })
		leaseVersions[lease.UID] = o.leaseVersion(lease)
		unchanged := time.Since(leaseVersions[lease.UID].firstSeen)
		replica := replicaView{
			name: replicalease.ReplicaName(o.LeaseName, lease.Name), state: reporting,
			synced: reported.Synced, unreadable: reported.Unreadable, stopping: reported.Stopping,
		}
		if unchanged > replicalease.Duration {
			replica.state = silent
		}
		isEndpoint := endpoints[replica.name]
		delete(endpoints, replica.name)
		if fence := time.Duration(reported.FenceAfterSeconds) * time.Second; fence > 0 && unchanged > fence+fenceMargin {
			continue // the replica is fenced, and answers 503
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
	o.leaseVersions = leaseVersions
	for name := range endpoints {
		seen.replicas = append(seen.replicas, replicaView{name: name, state: unreported})
	}
	slices.SortFunc(seen.replicas, func(a, b replicaView) int { return cmp.Compare(a.name, b.name) })
	return seen, nil
}

// endpoints returns the names of the pods to which the Service sends calls, including pods that are terminating and
// still serve.
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

// notServing reports whether a replica that is not an endpoint of the Service certainly gets no calls. A replica that
// reports that it serves may become an endpoint in a moment, or may still get calls on a kept-alive connection.
func (o *Observer) notServing(
	ctx context.Context, lease *coordinationv1.Lease, reported replicalease.Report, state replicaState,
) (bool, error) {
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

// leaseVersion returns the current version of a Lease, and when this process first saw it. The age of a report is
// measured from then, since the Lease's own renewTime is from the clock of another machine.
func (o *Observer) leaseVersion(lease *coordinationv1.Lease) leaseVersion {
	if known, found := o.leaseVersions[lease.UID]; found && known.resourceVersion == lease.ResourceVersion {
		return known
	}
	return leaseVersion{resourceVersion: lease.ResourceVersion, firstSeen: time.Now()}
}
