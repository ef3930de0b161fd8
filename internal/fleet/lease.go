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
	// replicaOfLabel is on the Lease of every replica; its value is the name of the lease of the leader.
	replicaOfLabel = "registrationpolicy.dev/replica-of"
	// reportAnnotation holds what a replica reports.
	reportAnnotation = "registrationpolicy.dev/replica"
)

// withdrawTimeout is the time to delete the report at the end: a part of what a pod has to stop.
const withdrawTimeout = 3 * time.Second

// write puts a report into the Lease. It takes over the Lease that an earlier process under the same name has left.
func (r *Replica) write(ctx context.Context, text string) error {
	leases := r.options.Leases.Leases(r.options.Namespace)
	if r.lease == nil {
		stored, err := leases.Get(ctx, r.name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			created, err := leases.Create(ctx, r.filled(&coordinationv1.Lease{}, text), metav1.CreateOptions{})
			if err == nil {
				r.lease = created
			}
			return err
		case err != nil:
			return err
		}
		r.lease = stored
	}
	updated, err := leases.Update(ctx, r.filled(r.lease.DeepCopy(), text), metav1.UpdateOptions{})
	switch {
	case err == nil:
		r.lease = updated
	case apierrors.IsNotFound(err):
		r.lease = nil
	case apierrors.IsConflict(err):
		r.lease = nil
		if stored, err := leases.Get(ctx, r.name, metav1.GetOptions{}); err == nil && r.isForeign(stored) {
			r.name = r.options.LeaseName + "." + r.options.Name + "-" + r.options.Instance[:instanceInName]
			r.options.Logger.Error(nil, "Another process reports under the name of this replica; give each its own --replica-name",
				"name", r.options.Name, "lease", r.name)
		}
	}
	return err
}

// instanceInName is how many characters of the instance tell two Leases of one name apart.
const instanceInName = 8

// isForeign reports whether a Lease that this process has written was since written by another.
func (r *Replica) isForeign(stored *coordinationv1.Lease) bool {
	return r.wrote && stored.Spec.HolderIdentity != nil && *stored.Spec.HolderIdentity != r.options.Instance
}

// filled returns the lease with all that this replica sets.
func (r *Replica) filled(lease *coordinationv1.Lease, text string) *coordinationv1.Lease {
	lease.Namespace, lease.Name = r.options.Namespace, r.name
	lease.Labels = with(lease.Labels, replicaOfLabel, r.options.LeaseName)
	lease.Annotations = with(lease.Annotations, reportAnnotation, text)
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

func with(labels map[string]string, key, value string) map[string]string {
	labels = maps.Clone(labels)
	if labels == nil {
		labels = map[string]string{}
	}
	labels[key] = value
	return labels
}

// withdraw deletes the Lease: a replica that was told to stop is gone, not silent. Whether the last write got through is not known
// where it was cut off, so the Lease is read first.
func (r *Replica) withdraw() {
	if !r.wrote {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), withdrawTimeout)
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
