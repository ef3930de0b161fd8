package listsync

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"time"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/internal/listconfigmap"
)

const (
	// annotationSuperseded is on a shard or revision that the list in force does not use. Its value is the time (RFC
	// 3339) at which a run first found it unused.
	annotationSuperseded = "registrationpolicy.dev/superseded-at"
	// annotationRevision is on a ConfigMap that keeps old content for a rollback (a revision). Its value is the digest
	// of that content.
	annotationRevision = "registrationpolicy.dev/list-revision"
	// digestInName is the number of hexadecimal digits of the digest in the name of a revision. listconfigmap uses as
	// many in the names of shards.
	digestInName = 16
)

// write writes first the old content as a revision, then the shards, and last the ConfigMap that policies name. The new
// content is in force only after this last write, so a crash before it leaves the old list complete. objects are the
// result of listconfigmap.Write.
func (r *run) write(ctx context.Context, objects []*corev1.ConfigMap) error {
	shards, primary := objects[:len(objects)-1], objects[len(objects)-1]
	if r.oldList != nil && r.report.Previous != r.report.Digest {
		if err := r.ensure(ctx, r.revision()); err != nil {
			return err
		}
	}
	for i, shard := range shards {
		r.step("writing shard %d of %d", i+1, len(shards))
		if err := r.ensure(ctx, shard); err != nil {
			return err
		}
	}
	r.step("writing ConfigMap %s/%s", primary.Namespace, primary.Name)
	return r.writePrimary(ctx, primary)
}

// revision returns a ConfigMap that keeps the old content for a rollback. For a list in one ConfigMap it holds the
// text. For a list in shards it holds only the index, because the shards are kept as long as the revision. It lacks the
// label listconfigmap.Label, so the operator does not cache it.
func (r *run) revision() *corev1.ConfigMap {
	kept := &corev1.ConfigMap{Immutable: new(true), Data: map[string]string{}}
	kept.Namespace, kept.Name = r.request.Namespace, revisionName(r.request.Name, r.report.Previous)
	kept.Labels = map[string]string{listconfigmap.LabelShardOf: listconfigmap.ShardOf(r.request.Name), labelManagedBy: managedBy}
	kept.Annotations = map[string]string{annotationRevision: r.report.Previous}
	if format, isIndex := r.primary.Annotations[listconfigmap.AnnotationFormat]; isIndex {
		kept.Annotations[listconfigmap.AnnotationFormat] = format
		kept.Data[listconfigmap.KeyIndex] = r.primary.Data[listconfigmap.KeyIndex]
	} else if utf8.Valid(r.oldText) {
		kept.Data[listconfigmap.KeyEntries] = string(r.oldText)
	} else {
		kept.BinaryData = map[string][]byte{listconfigmap.KeyEntries: r.oldText}
	}
	return kept
}

func revisionName(list, digest string) string {
	return list + "-" + strings.TrimPrefix(digest, "sha256:")[:digestInName]
}

// ensure creates a shard or revision. The name contains a digest of the content, so an existing ConfigMap with this
// name normally has the same content: ensure then only updates its labels and annotations. If the content differs, or
// the ConfigMap was not made by regpol, ensure fails with ErrNotOurs.
func (r *run) ensure(ctx context.Context, wanted *corev1.ConfigMap) error {
	existing, err := r.configMaps.get(ctx, wanted.Name)
	if err != nil {
		return err
	}
	if existing == nil {
		return r.put(ctx, wanted, true)
	}
	same := equality.Semantic.DeepEqual(existing.Data, wanted.Data) &&
		equality.Semantic.DeepEqual(existing.BinaryData, wanted.BinaryData)
	if !managedByUs(existing) || !same {
		return fmt.Errorf("ConfigMap %s/%s %w, and the list needs its name: delete it", wanted.Namespace, wanted.Name, ErrNotOurs)
	}
	updated := existing.DeepCopy()
	updated.Immutable = wanted.Immutable
	maps.Copy(updated.Labels, wanted.Labels)
	if updated.Annotations == nil {
		updated.Annotations = map[string]string{}
	}
	maps.Copy(updated.Annotations, wanted.Annotations)
	delete(updated.Annotations, annotationSuperseded)
	if equality.Semantic.DeepEqual(existing, updated) {
		return nil
	}
	return r.put(ctx, updated, false)
}

// writePrimary writes the ConfigMap that policies name. It keeps labels and annotations that others set.
func (r *run) writePrimary(ctx context.Context, wanted *corev1.ConfigMap) error {
	if r.primary == nil {
		return r.put(ctx, wanted, true)
	}
	if r.primary.Immutable != nil && *r.primary.Immutable {
		return fmt.Errorf("ConfigMap %s/%s is immutable: delete it, or choose another name", wanted.Namespace, wanted.Name)
	}
	updated := r.primary.DeepCopy()
	updated.Data, updated.BinaryData = wanted.Data, wanted.BinaryData
	delete(updated.Annotations, listconfigmap.AnnotationFormat)
	metav1.SetMetaDataLabel(&updated.ObjectMeta, labelManagedBy, managedBy)
	for name, value := range wanted.Labels {
		metav1.SetMetaDataLabel(&updated.ObjectMeta, name, value)
	}
	for name, value := range wanted.Annotations {
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, name, value)
	}
	// updated has the resourceVersion that was read, so the API server refuses the update after a concurrent write.
	return r.put(ctx, updated, false)
}

// put creates or updates a ConfigMap, unless this is a dry run.
func (r *run) put(ctx context.Context, object *corev1.ConfigMap, isNew bool) error {
	r.report.Written = append(r.report.Written, object.Name)
	if r.request.DryRun {
		return nil
	}
	var err error
	if isNew {
		err = r.Kube.Create(ctx, object)
	} else {
		err = r.Kube.Update(ctx, object)
	}
	if err != nil {
		return apiError("write ConfigMap "+object.Namespace+"/"+object.Name, err)
	}
	if object.Name == r.request.Name {
		r.primary = object
	}
	return nil
}

// sweep deletes unused shards and revisions of the list, including those that interrupted runs left. objects, the
// ConfigMaps in force, are in use. sweep marks all others with annotationSuperseded and the time, and deletes them once
// the mark is older than Request.Keep. It removes the mark from those that are in use again.
func (r *run) sweep(ctx context.Context, objects []*corev1.ConfigMap) error {
	if r.request.DryRun {
		return nil
	}
	r.step("tidying up unused shards and revisions")
	inUse := map[string]bool{}
	for _, object := range objects {
		inUse[object.Name] = true
	}
	found, err := storedParts(ctx, r.Kube, r.request.Namespace, r.request.Name)
	if err != nil {
		return err
	}
	for i := range found {
		object := &found[i]
		if object.Labels[labelManagedBy] != managedBy {
			continue
		}
		since, err := time.Parse(time.RFC3339, object.Annotations[annotationSuperseded])
		marked := err == nil
		switch {
		case inUse[object.Name] && !marked, !inUse[object.Name] && marked && r.Now().Sub(since) < r.request.Keep:
			continue
		case !inUse[object.Name] && marked:
			err = r.Kube.Delete(ctx, object, client.Preconditions{UID: &object.UID, ResourceVersion: &object.ResourceVersion})
			if err == nil {
				r.report.Deleted = append(r.report.Deleted, object.Name)
			}
		default:
			err = r.setSuperseded(ctx, object, !inUse[object.Name])
		}
		// After a concurrent write or deletion, the next run decides about the object again.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return apiError("tidy up ConfigMap "+object.Name, err)
		}
	}
	return nil
}

// setSuperseded adds annotationSuperseded with the current time, or removes it.
func (r *run) setSuperseded(ctx context.Context, object *metav1.PartialObjectMetadata, superseded bool) error {
	patch := client.MergeFromWithOptions(object.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if superseded {
		metav1.SetMetaDataAnnotation(&object.ObjectMeta, annotationSuperseded, r.Now().UTC().Format(time.RFC3339Nano))
	} else {
		delete(object.Annotations, annotationSuperseded)
	}
	return r.Kube.Patch(ctx, object, patch)
}

// storedParts returns the metadata of a list's shards and revisions.
func storedParts(ctx context.Context, kube client.Client, namespace, name string) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	ofList := client.MatchingLabels{listconfigmap.LabelShardOf: listconfigmap.ShardOf(name)}
	err := kube.List(ctx, list, client.InNamespace(namespace), ofList)
	if err != nil {
		return nil, apiError("list the shards of "+namespace+"/"+name, err)
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	}
	return list.Items, nil
}
