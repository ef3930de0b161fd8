package controllers

import (
	"context"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

// builtFrom are the objects that a build read. They are shared with a cache, and must not be changed.
type builtFrom struct {
	policies []unstructured.Unstructured
	lists    readMaps
	// publishedThrough is the watch position that the build covers, opaque here.
	publishedThrough string
}

// file returns what is kept of the objects.
func (b *builtFrom) file() *snapshotfile.Snapshot {
	file := &snapshotfile.Snapshot{PublishedThrough: b.publishedThrough}
	for i := range b.policies {
		policy := &b.policies[i]
		file.Policies = append(file.Policies, snapshotfile.Policy{
			Object: snapshotfile.Object{
				Namespace: policy.GetNamespace(), Name: policy.GetName(),
				UID: policy.GetUID(), ResourceVersion: policy.GetResourceVersion(),
			},
			Generation: policy.GetGeneration(),
			Spec:       policy.Object["spec"],
		})
	}
	kept := map[types.NamespacedName]bool{}
	for _, object := range b.lists.maps {
		name := types.NamespacedName{Namespace: object.Namespace, Name: object.Name}
		if !kept[name] {
			file.Lists = append(file.Lists, snapshotfile.ConfigMapOf(object))
		}
		kept[name] = true
	}
	return file
}

// storedPolicies returns the policies of a file with their lists: they go the way of objects from a cluster. Nothing that the file
// says of versions is believed later: of what is made here, only the compiled lists are remembered, by their content.
func storedPolicies(ctx context.Context, convert converter, lists *Lists, file *snapshotfile.Snapshot) ([]rules.Policy, error) {
	policies := make([]rules.Policy, 0, len(file.Policies))
	for i := range file.Policies {
		policies = append(policies, convert.convert(ctx, storedObject(&file.Policies[i])))
	}
	maps := fileMaps{}
	for i := range file.Lists {
		object := file.Lists[i].ConfigMap()
		maps[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = object
	}
	return lists.resolveApart(ctx, maps, policies)
}

func storedObject(policy *snapshotfile.Policy) *unstructured.Unstructured {
	object := newPolicyObject()
	object.SetNamespace(policy.Namespace)
	object.SetName(policy.Name)
	object.SetUID(policy.UID)
	object.SetResourceVersion(policy.ResourceVersion)
	object.SetGeneration(policy.Generation)
	if policy.Spec != nil {
		object.Object["spec"] = policy.Spec
	}
	return object
}
