package publish

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// Inputs are the objects that a namespace's rules were built from. They are shared with a cache, and must not be changed.
type Inputs struct {
	// Namespace is set where Refused is.
	Namespace string
	// Policies are the policies of the namespace.
	Policies []*unstructured.Unstructured
	// ConfigMaps are those that the lists of these policies were read from.
	ConfigMaps []*corev1.ConfigMap
	// Inconsistent says that a change fell into the reading: another build follows, and these are not what the rules were made of.
	Inconsistent bool
	// Refused says why the policies are not in force, all of them: they are more than the namespace may take, and not here.
	Refused string
}
