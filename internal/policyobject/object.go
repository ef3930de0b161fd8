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

// Mapper returns the REST mapping of the kinds that the operator deals in, known without asking an API server, which may
// be away, or may not have the CustomResourceDefinition yet.
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

// Kind is the kind of a policy.
const Kind = "RegistrationPolicy"

// New returns a policy without a name.
func New() *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(v1alpha1.GroupVersion.WithKind(Kind))
	return object
}

// Resource is the resource of the kind.
var Resource = v1alpha1.GroupVersion.WithResource("registrationpolicies")

// NameOf returns namespace and name of a policy.
func NameOf(object *unstructured.Unstructured) types.NamespacedName {
	return types.NamespacedName{Namespace: object.GetNamespace(), Name: object.GetName()}
}

// maxNote is the API server's limit for an Event's note, in bytes.
const maxNote = 1024

// EventNote shortens a text to what the note of an Event holds, at a character's boundary.
func EventNote(text string) string {
	if len(text) <= maxNote {
		return text
	}
	const ellipsis = "…"
	return strings.ToValidUTF8(text[:maxNote-len(ellipsis)], "") + ellipsis
}
