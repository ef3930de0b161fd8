package controllers

import (
	"context"
	"encoding/json"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/internal/snapshotfile"
	"registrationpolicy.dev/operator/rules"
)

// fileOf returns what is kept of the objects that rules were built from.
func fileOf(inputs []publish.Inputs) *snapshotfile.Snapshot {
	file := &snapshotfile.Snapshot{}
	for _, namespace := range inputs {
		if namespace.Refused != "" {
			if file.Refused == nil {
				file.Refused = map[string]string{}
			}
			file.Refused[namespace.Namespace] = namespace.Refused
		}
		for _, policy := range namespace.Policies {
			stored := snapshotfile.Policy{
				Object: snapshotfile.Object{
					Namespace: policy.GetNamespace(), Name: policy.GetName(),
					UID: policy.GetUID(), ResourceVersion: policy.GetResourceVersion(),
				},
				Generation: policy.GetGeneration(),
				Spec:       policy.Object["spec"],
			}
			if text, found := policy.Object[cachedSpec].(string); found {
				stored.Spec = json.RawMessage(text)
			}
			file.Policies = append(file.Policies, stored)
		}
		for _, object := range namespace.ConfigMaps {
			file.Lists = append(file.Lists, snapshotfile.ConfigMapOf(object))
		}
	}
	return file
}

// storedPolicies returns the policies of a file with their lists: they go the way of objects from a cluster. Nothing that the file
// says of versions is believed later: of what is made here, only the compiled lists are remembered, by their content.
func storedPolicies(ctx context.Context, convert converter, lists *publish.Lists, file *snapshotfile.Snapshot) ([]rules.Policy, error) {
	policies := make([]rules.Policy, 0, len(file.Policies))
	for i := range file.Policies {
		policies = append(policies, convert.convert(ctx, storedObject(&file.Policies[i])))
	}
	for namespace, why := range file.Refused {
		policies = append(policies, publish.AllOf(namespace, why))
	}
	maps := fileMaps{}
	for i := range file.Lists {
		object := file.Lists[i].ConfigMap()
		maps[types.NamespacedName{Namespace: object.Namespace, Name: object.Name}] = object
	}
	resolved, err := lists.Resolve(ctx, storedGroup, maps, nil, policies)
	return resolved.Policies, err
}

// storedGroup names the lists of a stored snapshot, which are forgotten once rules of the API server are in force. No namespace has
// this name.
const storedGroup = "stored snapshot"

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
