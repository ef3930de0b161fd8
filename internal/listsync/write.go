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
	// annotationSuperseded says since when nothing names a shard, or a revision is not in force: RFC 3339.
	annotationSuperseded = "registrationpolicy.dev/superseded-at"
	// annotationRevision is the digest of a whole content, on the ConfigMap that keeps it for a roll-back.
	annotationRevision = "registrationpolicy.dev/list-revision"
	// digestInName is how many hexadecimal digits of a digest a name has, as the names of shards.
	digestInName = 16
)

// write brings the objects into the cluster in the order in which a crash does no harm: what is replaced is kept, then come
// the shards, which nothing names yet, then the one object that policies name moves.
func (r *run) write(ctx context.Context, objects []*corev1.ConfigMap) error {
	shards, head := objects[:len(objects)-1], objects[len(objects)-1]
	if r.old != nil && r.report.Previous != r.report.Digest {
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
	r.step("writing ConfigMap %s/%s", head.Namespace, head.Name)
	return r.move(ctx, head)
}

// revision returns the ConfigMap that keeps the content in force for a roll-back: a plain list as it is, of an index the index,
// whose shards stay as long. It is none of the operator's lists: nothing caches it.
func (r *run) revision() *corev1.ConfigMap {
	kept := &corev1.ConfigMap{Immutable: new(true), Data: map[string]string{}}
	kept.Namespace, kept.Name = r.request.Namespace, revisionName(r.request.Name, r.report.Previous)
	kept.Labels = map[string]string{listconfigmap.LabelShardOf: listconfigmap.ShardOf(r.request.Name), labelManagedBy: managedBy}
	kept.Annotations = map[string]string{annotationRevision: r.report.Previous}
	if format, isIndex := r.head.Annotations[listconfigmap.AnnotationFormat]; isIndex {
		kept.Annotations[listconfigmap.AnnotationFormat] = format
		kept.Data[listconfigmap.KeyIndex] = r.head.Data[listconfigmap.KeyIndex]
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

// ensure makes a shard or revision, or uses the one that is there: their names are those of their content.
func (r *run) ensure(ctx context.Context, wanted *corev1.ConfigMap) error {
	there, err := r.maps.get(ctx, wanted.Name)
	if err != nil {
		return err
	}
	if there == nil {
		return r.put(ctx, wanted, true)
	}
	same := equality.Semantic.DeepEqual(there.Data, wanted.Data) && equality.Semantic.DeepEqual(there.BinaryData, wanted.BinaryData)
	if !ours(there) || !same {
		return fmt.Errorf("ConfigMap %s/%s %w, and its name is needed: delete it", wanted.Namespace, wanted.Name, ErrNotOurs)
	}
	updated := there.DeepCopy()
	updated.Immutable = wanted.Immutable
	maps.Copy(updated.Labels, wanted.Labels)
	if updated.Annotations == nil {
		updated.Annotations = map[string]string{}
	}
	maps.Copy(updated.Annotations, wanted.Annotations)
	delete(updated.Annotations, annotationSuperseded)
	if equality.Semantic.DeepEqual(there, updated) {
		return nil
	}
	return r.put(ctx, updated, false)
}

// move makes policies see the new content. What others put on the object, labels of theirs for one, stays.
func (r *run) move(ctx context.Context, wanted *corev1.ConfigMap) error {
	if r.head == nil {
		return r.put(ctx, wanted, true)
	}
	if r.head.Immutable != nil && *r.head.Immutable {
		return fmt.Errorf("ConfigMap %s/%s is immutable: delete it, or choose another name", wanted.Namespace, wanted.Name)
	}
	updated := r.head.DeepCopy()
	updated.Data, updated.BinaryData = wanted.Data, wanted.BinaryData
	delete(updated.Annotations, listconfigmap.AnnotationFormat)
	metav1.SetMetaDataLabel(&updated.ObjectMeta, labelManagedBy, managedBy)
	for name, value := range wanted.Labels {
		metav1.SetMetaDataLabel(&updated.ObjectMeta, name, value)
	}
	for name, value := range wanted.Annotations {
		metav1.SetMetaDataAnnotation(&updated.ObjectMeta, name, value)
	}
	return r.put(ctx, updated, false) // the resource version it was read at: a write in between is a conflict
}

// put writes one ConfigMap.
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
		return fault("write ConfigMap "+object.Namespace+"/"+object.Name, err)
	}
	if object.Name == r.request.Name {
		r.head = object
	}
	return nil
}

// sweep marks what nothing names any more, and deletes what has been marked for long enough. It finds also what a run left
// that came to no end.
func (r *run) sweep(ctx context.Context, objects []*corev1.ConfigMap) error {
	if r.request.DryRun {
		return nil
	}
	r.step("tidying up what nothing names any more")
	inUse := map[string]bool{}
	for _, object := range objects {
		inUse[object.Name] = true
	}
	found, err := kept(ctx, r.Kube, r.request.Namespace, r.request.Name)
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
			err = r.mark(ctx, object, !inUse[object.Name])
		}
		// Somebody else was faster, and the next run sees what he did.
		if err != nil && !apierrors.IsConflict(err) && !apierrors.IsNotFound(err) {
			return fault("tidy up ConfigMap "+object.Name, err)
		}
	}
	return nil
}

// mark writes since when a ConfigMap is of no use, or takes that off.
func (r *run) mark(ctx context.Context, object *metav1.PartialObjectMetadata, superseded bool) error {
	patch := client.MergeFromWithOptions(object.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if superseded {
		metav1.SetMetaDataAnnotation(&object.ObjectMeta, annotationSuperseded, r.Now().UTC().Format(time.RFC3339Nano))
	} else {
		delete(object.Annotations, annotationSuperseded)
	}
	return r.Kube.Patch(ctx, object, patch)
}

// kept returns the shards and revisions of a list, without what they hold.
func kept(ctx context.Context, kube client.Client, namespace, name string) ([]metav1.PartialObjectMetadata, error) {
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMapList"))
	ofList := client.MatchingLabels{listconfigmap.LabelShardOf: listconfigmap.ShardOf(name)}
	err := kube.List(ctx, list, client.InNamespace(namespace), ofList)
	if err != nil {
		return nil, fault("list the shards of "+namespace+"/"+name, err)
	}
	for i := range list.Items {
		list.Items[i].SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	}
	return list.Items, nil
}
