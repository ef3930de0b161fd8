package policies

import (
	"context"
	"errors"
	"fmt"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/budget"
)

const (
	// FloodPrefix is the prefix of the names of a flood's policies.
	FloodPrefix = "flood-"
	// floodLines is so many lines that a list with them takes more than a tenant's memory budget.
	floodLines = 20_000
)

// floodPolicies is so many policies that they exceed a tenant's memory budget even if each is empty.
var floodPolicies = tenantBudget/int(budget.PolicyCost(0)) + 1

// StoreBigList stores a list that exceeds the tenant's memory budget. It must be called within Exclusively.
func (a *Author) StoreBigList(ctx context.Context) error {
	// The operator treats a list beyond the budget as missing. Both lists must exist before, or else the large list would
	// not change the rules, and changeList would not store it.
	err := errors.Join(a.writeList(ctx, allowList), a.writeList(ctx, denyList), a.writeAcceptable(ctx))
	a.changes++
	return errors.Join(err, a.putList(ctx, denyList, bigList(a.changes, floodLines)))
}

// StoreFlood stores so many policies that they exceed the tenant's memory budget. It must be called within Exclusively.
func (a *Author) StoreFlood(ctx context.Context) error {
	var err error
	for i := range floodPolicies {
		a.changes++
		err = errors.Join(err, a.putPolicy(ctx, floodName(i), floodSpec(a.scope, a.changes)))
	}
	return errors.Join(err, a.writeAcceptable(ctx))
}

// RemoveFlood removes what StoreBigList and StoreFlood stored. It must be called within Exclusively.
func (a *Author) RemoveFlood(ctx context.Context) error {
	var err error
	for i := range floodPolicies {
		err = errors.Join(err, a.removePolicy(ctx, floodName(i)))
	}
	return errors.Join(err, a.writeList(ctx, denyList))
}

func floodName(i int) string { return fmt.Sprintf("%s%03d", FloodPrefix, i) }

// writeAcceptable gives the first policy a spec that names the whole scope, so that the budget can be the only reason
// for Accepted=False. The spec is new, which makes the following states unique, see changePolicies.
func (a *Author) writeAcceptable(ctx context.Context) error {
	a.changes++
	spec := randomSpec(a.chance, a.scope, true, a.changes)
	spec.AppliesTo = &v1alpha1.AppliesTo{Sources: sourcesOf(a.scope)}
	return a.putPolicy(ctx, policyName(0), spec)
}
