// Package v1alpha1 is the product's public contract: the RegistrationPolicy, what its fields may hold, and what its
// conditions say.
//
// The rules sit on the types as markers; the CustomResourceDefinition is generated from them, so that the API server,
// the operator's directory mode and this page say the same. The operator trusts none of it: it parses every entry
// again.
//
// +kubebuilder:object:generate=true
// +groupName=registrationpolicy.dev
package v1alpha1
