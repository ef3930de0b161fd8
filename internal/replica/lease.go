package replica

import (
	"context"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/replicalease"
)

// deleteTimeout is the time limit for deleting the Lease. It must fit into the pod's termination grace period.
const deleteTimeout = 3 * time.Second

// write writes a report into the Lease. It takes over a Lease that an earlier process left under the same name.
func (r *Replica) write(ctx context.Context, report replicalease.Report) error {
	leases := r.options.Leases.Leases(r.options.Namespace)
	if r.lease == nil {
		stored, err := leases.Get(ctx, r.leaseName, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			return r.create(ctx, report)
		case err != nil:
			return err
		}
		r.lease = stored
	}
	updated := r.lease.DeepCopy()
	if err := r.fill(updated, report); err != nil {
		return err
	}
	updated, err := leases.Update(ctx, updated, metav1.UpdateOptions{})
	switch {
	case err == nil:
		r.lease = updated
	case apierrors.IsNotFound(err):
		r.lease = nil
	case apierrors.IsConflict(err):
		r.lease = nil
		if stored, err := leases.Get(ctx, r.leaseName, metav1.GetOptions{}); err == nil && r.isForeign(stored) {
			r.leaseName = replicalease.Name(r.options.LeaseName, r.options.Name+"-"+r.options.Instance[:instanceSuffix])
			r.options.Logger.Error(nil, "Another process reports under the name of this replica; give each its own --replica-name",
				"name", r.options.Name, "lease", r.leaseName)
		}
	}
	return err
}

// create creates the Lease with a report.
func (r *Replica) create(ctx context.Context, report replicalease.Report) error {
	lease := &coordinationv1.Lease{}
	if err := r.fill(lease, report); err != nil {
		return err
	}
	created, err := r.options.Leases.Leases(r.options.Namespace).Create(ctx, lease, metav1.CreateOptions{})
	if err == nil {
		r.lease = created
	}
	return err
}

// instanceSuffix is how many characters of Options.Instance are added to the name of the Lease if another process has
// the same Options.Name.
const instanceSuffix = 8

// isForeign reports whether another process has written the Lease after this one wrote it.
func (r *Replica) isForeign(stored *coordinationv1.Lease) bool {
	return r.wrote && stored.Spec.HolderIdentity != nil && *stored.Spec.HolderIdentity != r.options.Instance
}

// fill sets the fields of this replica's Lease that the replica writes: all that are listed below.
func (r *Replica) fill(lease *coordinationv1.Lease, report replicalease.Report) error {
	lease.Namespace, lease.Name = r.options.Namespace, r.leaseName
	if r.options.PodUID != "" {
		lease.OwnerReferences = []metav1.OwnerReference{{
			APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Pod", Name: r.options.Name, UID: r.options.PodUID,
		}}
	}
	lease.Spec.HolderIdentity = new(r.options.Instance)
	lease.Spec.RenewTime = new(metav1.NowMicro())
	return replicalease.Write(lease, r.options.LeaseName, report)
}

// deleteLease deletes the Lease, so that the leader does not count the stopped replica as silent for a while. It does
// not delete a Lease that another process has written. It reads the Lease first, because r.lease may be outdated after
// an interrupted write.
func (r *Replica) deleteLease() {
	if !r.wrote {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), deleteTimeout)
	defer cancel()
	leases := r.options.Leases.Leases(r.options.Namespace)
	stored, err := leases.Get(ctx, r.leaseName, metav1.GetOptions{})
	if err == nil && !r.isForeign(stored) {
		err = leases.Delete(ctx, r.leaseName, metav1.DeleteOptions{Preconditions: metav1.NewUIDPreconditions(string(stored.UID))})
	}
	if err != nil && !apierrors.IsNotFound(err) {
		r.options.Logger.Error(err, "Replica could not delete its report", "lease", r.leaseName)
	}
}
