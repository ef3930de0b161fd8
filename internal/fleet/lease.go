package fleet

import (
	"context"
	"maps"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	// replicaOfLabel is on the Lease of every replica; its value is the name of the leader's Lease.
	replicaOfLabel = "registrationpolicy.dev/replica-of"
	// reportAnnotation holds the report of the replica, as JSON.
	reportAnnotation = "registrationpolicy.dev/replica"
)

// deleteTimeout is the time limit for deleting the report: a part of the pod's termination grace period.
const deleteTimeout = 3 * time.Second

// write writes a report into the Lease. It takes over a Lease that an earlier process left under the same name.
func (r *Replica) write(ctx context.Context, text string) error {
	leases := r.options.Leases.Leases(r.options.Namespace)
	if r.lease == nil {
		stored, err := leases.Get(ctx, r.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			created, err := leases.Create(ctx, r.withReport(&coordinationv1.Lease{}, text), metav1.CreateOptions{})
			if err == nil {
				r.lease = created
			}
			return err
		case err != nil:
			return err
		}
		r.lease = stored
	}
	updated, err := leases.Update(ctx, r.withReport(r.lease.DeepCopy(), text), metav1.UpdateOptions{})
	switch {
	case err == nil:
		r.lease = updated
	case apierrors.IsNotFound(err):
		r.lease = nil
	case apierrors.IsConflict(err):
		r.lease = nil
		if stored, err := leases.Get(ctx, r.name, metav1.GetOptions{}); err == nil && r.isForeign(stored) {
			r.name = r.options.LeaseName + "." + r.options.Name + "-" + r.options.Instance[:instanceSuffix]
			r.options.Logger.Error(nil, "Another process reports under the name of this replica; give each its own --replica-name",
				"name", r.options.Name, "lease", r.name)
		}
	}
	return err
}

// instanceSuffix is how many characters of the instance are added to the name of a Lease that is otherwise not unique.
const instanceSuffix = 8

// isForeign reports whether another process has since written a Lease that this process wrote.
func (r *Replica) isForeign(stored *coordinationv1.Lease) bool {
	return r.wrote && stored.Spec.HolderIdentity != nil && *stored.Spec.HolderIdentity != r.options.Instance
}

// withReport sets all fields of a Lease that this replica owns, and returns it.
func (r *Replica) withReport(lease *coordinationv1.Lease, text string) *coordinationv1.Lease {
	lease.Namespace, lease.Name = r.options.Namespace, r.name
	lease.Labels = withEntry(lease.Labels, replicaOfLabel, r.options.LeaseName)
	lease.Annotations = withEntry(lease.Annotations, reportAnnotation, text)
	if r.options.PodUID != "" {
		lease.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod", Name: r.options.Name, UID: r.options.PodUID,
		}}
	}
	lease.Spec.HolderIdentity = new(r.options.Instance)
	lease.Spec.LeaseDurationSeconds = new(int32(reportDuration / time.Second))
	lease.Spec.RenewTime = new(metav1.NowMicro())
	return lease
}

func withEntry(labels map[string]string, key, value string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	return labels
}

// deleteLease deletes the Lease, so that a stopped replica counts as gone, not as silent. It first reads the Lease,
// since an interrupted write may have changed it.
func (r *Replica) deleteLease() {
	if !r.wrote {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTimeout)
	defer cancel()
	leases := r.options.Leases.Leases(r.options.Namespace)
	stored, err := leases.Get(ctx, r.name, metav1.GetOptions{})
	if err == nil && !r.isForeign(stored) {
		err = leases.Delete(ctx, r.name, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(stored.UID))})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		r.options.Logger.Error(err, "Replica could not delete its report", "lease", r.name)
	}
}
