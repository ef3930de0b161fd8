package main

import (
	"fmt"

	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// operatorOptions holds the flags of the operator that change what policies mean. They must be given as to the operator.
type operatorOptions struct {
	attributes       []string
	namespaceSources []string
}

func (o *operatorOptions) addAddressAttributesFlag(flags *pflag.FlagSet) {
	flags.StringSliceVar(&o.attributes, "address-attributes", hookserver.DefaultAddressAttributes(), "as the operator's flag")
}

func (o *operatorOptions) addNamespaceSourcesFlag(flags *pflag.FlagSet) {
	flags.StringArrayVar(&o.namespaceSources, "namespace-sources", nil, "as the operator's flag: namespace=source,source; repeatable")
}

// scopes returns the sources that each namespace may decide.
func (o *operatorOptions) scopes() (policyobject.Scopes, error) {
	scopes, err := policyobject.ParseScopes(o.namespaceSources)
	if err != nil {
		return policyobject.Scopes{}, fmt.Errorf("--namespace-sources: %w", err)
	}
	return scopes, nil
}
