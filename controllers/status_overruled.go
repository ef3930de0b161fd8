package controllers

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// overruler is a policy that denies all calls within its scope.
type overruler struct {
	name   rules.PolicyName
	reason v1alpha1.ConditionReason
	why    string
	scope  policyScope
}

// policyScope is the set of calls that a policy applies to; a nil field means all.
type policyScope struct {
	requestTypes []rules.RequestType
	sources      []string
}

func (s policyScope) includes(o policyScope) bool {
	return includes(s.requestTypes, o.requestTypes) && includes(s.sources, o.sources)
}

func includes[T comparable](all, some []T) bool {
	if len(all) == 0 || len(some) == 0 {
		return len(all) == 0
	}
	return !slices.ContainsFunc(some, func(one T) bool { return !slices.Contains(all, one) })
}

func (o *overruler) equal(p *overruler) bool {
	if o == nil || p == nil {
		return o == p
	}
	return o.name == p.name && o.why == p.why
}

// condition returns the condition Overruled of a policy that o overrules.
func (o *overruler) condition() metav1.Condition {
	return metav1.Condition{
		Type: string(v1alpha1.ConditionOverruled), Status: metav1.ConditionTrue, Reason: string(o.reason),
		Message: "Policy " + o.name.String() + " denies all calls that this policy applies to: " + o.why + ". Correct it or delete it.",
	}
}

// maxOverrulers is how many policies that deny everything are considered, to limit the comparisons.
const maxOverrulers = 100

// overruled returns the policies that have no effect because another policy denies all calls that they apply to, each
// with the first such policy by name. It considers only enforceable policies in mode Enforce that allow something.
func overruled(scopes policyobject.Scopes, policies []*publish.Policy) map[rules.PolicyName]*overruler {
	var by []*overruler
	for _, policy := range policies {
		if found := overrulerOf(scopes, policy); found != nil {
			by = append(by, found)
		}
	}
	slices.SortFunc(by, func(a, b *overruler) int { return a.name.Compare(b.name) })
	by = by[:min(len(by), maxOverrulers)]
	all := map[rules.PolicyName]*overruler{}
	for _, policy := range policies {
		allow := &policy.Written.Allow
		allows := len(allow.Domains)+len(allow.PublicSuffixes)+len(allow.Addresses)+len(allow.Lists) > 0
		if policy.Compiled == nil || !policy.Compiled.Enforceable() || policy.Written.Mode == rules.Audit || !allows {
			continue
		}
		scope := scopeOf(scopes, policy)
		for _, one := range by {
			if one.name != policy.Written.PolicyName && one.scope.includes(scope) {
				all[policy.Written.PolicyName] = one
				break
			}
		}
	}
	return all
}

// overrulerOf returns an overruler if a policy denies everything within its scope; nil if not.
func overrulerOf(scopes policyobject.Scopes, policy *publish.Policy) *overruler {
	if policy.Compiled == nil || policy.Written.Mode == rules.Audit {
		return nil
	}
	found := &overruler{name: policy.Written.PolicyName, scope: scopeOf(scopes, policy)}
	switch {
	case policy.Written.NotUnderstood != "":
		found.reason, found.why = v1alpha1.ReasonPolicyNotEnforceable, "it is not understood"
	case !policy.Compiled.Enforceable():
		found.reason, found.why = v1alpha1.ReasonPolicyNotEnforceable, "a list by which it denies is missing"
	case slices.Contains(policy.Written.Deny.Domains, "*") && len(policy.Written.Allow.Addresses) == 0: // addresses go before domains
		found.reason, found.why = v1alpha1.ReasonPolicyDeniesAll, `it denies "*"`
	default:
		return nil
	}
	return found
}

func scopeOf(scopes policyobject.Scopes, policy *publish.Policy) policyScope {
	within, _, _ := scopes.Bound(policy.Written)
	return policyScope{within.RequestTypes, within.Sources}
}
