package policysource

import (
	"fmt"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// OperatorFlags holds the flags of the operator that change what policies mean. They must have the operator's values.
// Attributes are the address attributes.
type OperatorFlags struct {
	Attributes       []string
	namespaceSources []string
}

// AddAddressAttributesFlag adds --address-attributes.
func (o *OperatorFlags) AddAddressAttributesFlag(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.Attributes, "address-attributes", hookserver.DefaultAddressAttributes(), "as the operator's flag")
}

// AddNamespaceSourcesFlag adds --namespace-sources, which [OperatorFlags.Scopes] reads.
func (o *OperatorFlags) AddNamespaceSourcesFlag(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.namespaceSources, "namespace-sources", nil, "as the operator's flag: namespace=source,source; repeatable")
}

// Scopes returns the sources that each namespace may decide.
func (o *OperatorFlags) Scopes() (policyobject.Scopes, error) {
	scopes, err := policyobject.ParseScopes(o.namespaceSources)
	if err != nil {
		return policyobject.Scopes{}, fmt.Errorf("--namespace-sources: %w", err)
	}
	return scopes, nil
}
