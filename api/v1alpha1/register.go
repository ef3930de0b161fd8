package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupName is the API group of the product.
const GroupName = "registrationpolicy.dev"

// Kind is the kind of a policy, and Resource its name in the URLs of the API server.
const (
	Kind     = "RegistrationPolicy"
	Resource = "registrationpolicies"
)

var (
	// GroupVersion is this package's group and version.
	GroupVersion = schema.GroupVersion{Group: GroupName, Version: "v1alpha1"}
	// SchemeGroupVersion is GroupVersion under the name that generated clients use.
	SchemeGroupVersion = GroupVersion

	schemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)
	// AddToScheme adds the types of this package to a scheme.
	AddToScheme = schemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &RegistrationPolicy{}, &RegistrationPolicyList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
