// Package crd embeds the generated CustomResourceDefinition, so that programs without an API server can validate policies
// by the same schema.
package crd

import _ "embed"

// RegistrationPolicies is the CustomResourceDefinition of RegistrationPolicy, a single YAML document.
//
//go:embed bases/registrationpolicy.dev_registrationpolicies.yaml
var RegistrationPolicies []byte
