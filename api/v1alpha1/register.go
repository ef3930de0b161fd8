package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the product.
const GroupName = "registrationpolicy.dev"

// Kind is the kind of a single object, and Resource its plural name in URLs.
const (
	Kind     = "RegistrationPolicy"
	Resource = "registrationpolicies"
)

var (
	// GroupVersion is this package's group and version.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}
	// SchemeGroupVersion is the same, under the name that generated code looks for.
	SchemeGroupVersion = GroupVersion

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme teaches a scheme the types of this package.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &RegistrationPolicy{}, &RegistrationPolicyList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
