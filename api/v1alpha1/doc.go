// Package v1alpha1 is the public API: the RegistrationPolicy, what its fields may hold, and what its conditions mean.
//
// Markers on the types hold the rules of validation. The CustomResourceDefinition is generated from them. The API
// server, and an operator that reads files (--policy-dir), validate by it. Decisions do not rely on this validation:
// package rules parses every entry again.
//
// +kubebuilder:object:generate=true
// +groupName=registrationpolicy.dev
package v1alpha1
