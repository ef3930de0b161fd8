// Package policies has the namespaces of a run. It changes the policies and lists in them at random, records when each
// state was stored, and finds the versions of the rules that follow from the record.
package policies

import (
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/policyobject"
)

// Own is the operator's own namespace. The other three are namespaces of tenants: the policies of each decide only
// calls of one Okta source (--namespace-sources), and may take at most tenantBudget bytes (--namespace-limits). Faults
// remove the operator's rights in Withdrawn, and delete Unsteady or fill it beyond its budget. LeftAlone has no faults.
const (
	Own       = "registration"
	Withdrawn = "team-a"
	Unsteady  = "team-b"
	LeftAlone = "team-c"
)

// tenants are the namespaces of tenants. ownSources are Okta sources that belong to no tenant.
var (
	tenants    = []string{Withdrawn, Unsteady, LeftAlone}
	ownSources = []string{"rulAlpha1", "rulBeta1"}
)

// tenantBudget is the memory budget of each tenant, in bytes.
const tenantBudget = 1 << 20

// Namespaces returns the names of all namespaces of a run.
func Namespaces() []string { return append([]string{Own}, tenants...) }

// scopeOf returns the scope of a namespace: the Okta sources whose calls its policies may decide. nil means all
// sources.
func scopeOf(namespace string) []string {
	if namespace == Own {
		return nil
	}
	return []string{fmt.Sprintf("rulTenant%d", slices.Index(tenants, namespace)+1)}
}

// sources returns all Okta sources from which the run makes calls.
func sources() []string {
	all := slices.Clone(ownSources)
	for _, tenant := range tenants {
		all = append(all, scopeOf(tenant)...)
	}
	return all
}

// scopes returns the scopes of the tenants' namespaces, as in --namespace-sources.
func scopes() policyobject.Scopes {
	scopes := policyobject.Scopes{}
	for _, tenant := range tenants {
		scopes[tenant] = scopeOf(tenant)
	}
	return scopes
}

// limits returns the memory budgets of the tenants' namespaces, as in --namespace-limits.
func limits() budget.Limits {
	limits := budget.Limits{}
	for _, tenant := range tenants {
		limits[tenant] = tenantBudget
	}
	return limits
}

// Flags returns the operator's flags that name the namespaces, their scopes and their budgets.
func Flags() []string {
	var flags []string
	for _, namespace := range Namespaces() {
		flags = append(flags, "--watch-namespaces", namespace)
	}
	for _, tenant := range tenants {
		flags = append(flags, "--namespace-sources", tenant+"="+scopeOf(tenant)[0],
			"--namespace-limits", fmt.Sprintf("%s=%d", tenant, tenantBudget))
	}
	return flags
}
