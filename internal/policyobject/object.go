package policyobject

import (
	"strings"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// Mapper returns the REST mapping of the kinds that the operator uses. It is built in: discovery would fail while the
// API server is unreachable, or has no CustomResourceDefinition of policies yet.
func Mapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	add := func(version schema.GroupVersion, kinds ...string) {
		for _, kind := range kinds {
			mapper.Add(version.WithKind(kind), meta.RESTScopeNamespace)
		}
	}
	add(v1alpha1.GroupVersion, Kind, Kind+"List")
	add(corev1.SchemeGroupVersion, "ConfigMap", "ConfigMapList", "Pod")
	add(eventsv1.SchemeGroupVersion, "Event")
	add(coordinationv1.SchemeGroupVersion, "Lease", "LeaseList")
	add(discoveryv1.SchemeGroupVersion, "EndpointSlice", "EndpointSliceList")
	return mapper
}

// Kind is the kind of a policy object.
const Kind = v1alpha1.Kind

// New returns a policy object that has only kind and apiVersion.
func New() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(Kind))
	return object
}

// Resource is the API resource of policies.
var Resource = v1alpha1.GroupVersion.WithResource(v1alpha1.Resource)

// NameOf returns the namespace and name of a policy.
func NameOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// maxNote is the largest note of an Event in bytes (validation of events.k8s.io/v1).
const maxNote = 1024

// EventNote shortens a text to the largest size of an Event's note, between two characters.
func EventNote(text string) string {
	if len(text) <= maxNote {
		return text
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(text[:maxNote-len(ellipsis)], "") + ellipsis
}
