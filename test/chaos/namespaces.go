package main

import (
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// own is the operator's own namespace. The others are namespaces of tenants, each bounded to its own source and to a
// memory budget. Faults remove the rights in withdrawn, delete and flood unsteady, and do not touch leftAlone.
const (
	own       = "registration"
	withdrawn = "team-a"
	unsteady  = "team-b"
	leftAlone = "team-c"
)

// tenants are the namespaces of tenants. ownSources are sources that belong to no tenant.
var (
	tenants    = []string{withdrawn, unsteady, leftAlone}
	ownSources = []string{"rulAlpha1", "rulBeta1"}
)

// tenantBudget is the memory budget of each tenant, in bytes.
const tenantBudget = 1 << 20

func namespaces() []string { return append([]string{own}, tenants...) }

// scopeOf returns the sources to which a namespace is bounded. nil means all.
func scopeOf(namespace string) []string {
	if namespace == own {
		return nil
	}
	return []string{fmt.Sprintf("rulTenant%d", slices.Index(tenants, namespace)+1)}
}

// sources returns the sources of all calls.
func sources() []string {
	all := slices.Clone(ownSources)
	for _, tenant := range tenants {
		all = append(all, scopeOf(tenant)...)
	}
	return all
}

// scopes returns the bounds of the namespaces, as in --namespace-sources.
func scopes() policyobject.Scopes {
	scopes := policyobject.Scopes{}
	for _, tenant := range tenants {
		scopes[tenant] = scopeOf(tenant)
	}
	return scopes
}

// limits returns the budgets of the namespaces, as in --namespace-limits.
func limits() budget.Limits {
	limits := budget.Limits{}
	for _, tenant := range tenants {
		limits[tenant] = tenantBudget
	}
	return limits
}

// namespaceFlags returns the operator's flags for the namespaces.
func namespaceFlags() []string {
	var flags []string
	for _, namespace := range namespaces() {
		flags = append(flags, "--watch-namespaces", namespace)
	}
	for _, tenant := range tenants {
		flags = append(flags, "--namespace-sources", tenant+"="+scopeOf(tenant)[0],
			"--namespace-limits", fmt.Sprintf("%s=%d", tenant, tenantBudget))
	}
	return flags
}
