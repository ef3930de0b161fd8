package main

import (
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// own is the operator's own namespace. The others are those of tenants: each is bounded to the calls of a source of its own, and to an
// amount of memory. From one the rights are taken, one is deleted and flooded, and one is left alone.
const (
	own       = "registration"
	withdrawn = "team-a"
	unsteady  = "team-b"
	leftAlone = "team-c"
)

// tenants are the namespaces of tenants, and ownSources the sources that no tenant has.
var (
	tenants    = []string{withdrawn, unsteady, leftAlone}
	ownSources = []string{"rulAlpha1", "rulBeta1"}
)

// tenantBudget is what each tenant may take in memory.
const tenantBudget = 1 << 20

func namespaces() []string { return append([]string{own}, tenants...) }

// scopeOf returns the sources that a namespace decides for; nil means all.
func scopeOf(namespace string) []string {
	if namespace == own {
		return nil
	}
	return []string{fmt.Sprintf("rulTenant%d", slices.Index(tenants, namespace)+1)}
}

// sources are those of the calls that are made.
func sources() []string {
	all := slices.Clone(ownSources)
	for _, tenant := range tenants {
		all = append(all, scopeOf(tenant)...)
	}
	return all
}

// scopes and limits are what the operators are told of the namespaces, and namespaceFlags how.
func scopes() policyobject.Scopes {
	scopes := policyobject.Scopes{}
	for _, tenant := range tenants {
		scopes[tenant] = scopeOf(tenant)
	}
	return scopes
}

func limits() budget.Limits {
	limits := budget.Limits{}
	for _, tenant := range tenants {
		limits[tenant] = tenantBudget
	}
	return limits
}

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
