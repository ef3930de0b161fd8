package listmemory

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// memoryLimit returns the memory limit of a namespace from the status of its policies, where the operator writes it. If
// the values differ, the one written last counts. It returns 0 if no status has one.
func memoryLimit(policies []unstructured.Unstructured) (limit int64) {
	var latest time.Time
	for i := range policies {
		status, _, _ := unstructured.NestedMap(policies[i].Object, "status")
		value, _, _ := unstructured.NestedInt64(status, "namespaceMemoryLimitBytes")
		uid, _, _ := unstructured.NestedString(status, "replicas", "uid")
		if value <= 0 || uid != "" && uid != string(policies[i].GetUID()) { // a status restored from another cluster
			continue
		}
		text, _, _ := unstructured.NestedString(status, "replicas", "observedTime")
		written, _ := time.Parse(time.RFC3339, text)
		if limit == 0 || written.After(latest) {
			limit, latest = value, written
		}
	}
	return limit
}

// referencesOf returns the lists that policies name, without duplicates, in the order in which the operator counts
// them: by ConfigMap and key.
func referencesOf(policies []unstructured.Unstructured) []listReference {
	var all []listReference
	for i := range policies {
		if notUnderstood(&policies[i]) {
			continue
		}
		for _, part := range []string{"allow", "deny"} {
			lists, _, _ := unstructured.NestedSlice(policies[i].Object, "spec", part, "lists")
			for _, list := range lists {
				fields, _ := list.(map[string]any)
				name, _, _ := unstructured.NestedString(fields, "configMap", "name")
				key, _, _ := unstructured.NestedString(fields, "configMap", "key")
				all = append(all, listReference{name, key})
			}
		}
	}
	slices.SortFunc(all, compareReferences)
	return slices.Compact(all)
}

func compareReferences(a, b listReference) int {
	return cmp.Or(strings.Compare(a.configMap, b.configMap), strings.Compare(a.key, b.key))
}

// notUnderstood reports whether the status of a policy has the reason NotUnderstood for the current generation. The
// operator does not read the lists of such a policy.
func notUnderstood(policy *unstructured.Unstructured) bool {
	conditions, _, _ := unstructured.NestedSlice(policy.Object, "status", "conditions")
	return slices.ContainsFunc(conditions, func(found any) bool {
		condition, _ := found.(map[string]any)
		return condition["type"] == string(v1alpha1.ConditionAccepted) && condition["reason"] == string(v1alpha1.ReasonNotUnderstood) &&
			condition["observedGeneration"] == policy.GetGeneration()
	})
}
