// Package crd holds the generated CustomResourceDefinition, so that what checks a policy without an API server checks it
// by the very same schema.
package crd

import _ "embed"

// RegistrationPolicies is the YAML of the CustomResourceDefinition of RegistrationPolicy: one document.
//
//go:embed bases/registrationpolicy.dev_registrationpolicies.yaml
var RegistrationPolicies []byte
