package policystatus

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Overruler is a policy that denies all calls to which it applies.
type Overruler struct {
	name      rules.PolicyName
	reason    v1alpha1.ConditionReason
	why       string // why it denies these calls, for the message of the condition
	appliesTo appliesTo
}

// appliesTo is the set of calls to which a policy applies: those with one of the request types and one of the sources.
// An empty field means all.
type appliesTo struct {
	requestTypes []rules.RequestType
	sources      []string
}

func (s appliesTo) includes(o appliesTo) bool {
	return includes(s.requestTypes, o.requestTypes) && includes(s.sources, o.sources)
}

// includes reports whether set contains all elements of subset. An empty slice stands for every possible element.
func includes[T comparable](set, subset []T) bool {
	if len(set) == 0 || len(subset) == 0 {
		return len(set) == 0
	}
	return !slices.ContainsFunc(subset, func(element T) bool { return !slices.Contains(set, element) })
}

// Equal reports whether o and p are the same policy with the same reason. Two nils are equal.
func (o *Overruler) Equal(p *Overruler) bool {
	if o == nil || p == nil {
		return o == p
	}
	return o.name == p.name && o.why == p.why
}

// Condition returns the condition Overruled of a policy that o overrules.
func (o *Overruler) Condition() metav1.Condition {
	return metav1.Condition{
		Type: string(v1alpha1.ConditionOverruled), Status: metav1.ConditionTrue, Reason: string(o.reason),
		Message: "Policy " + o.name.String() + " denies all calls that this policy applies to: " + o.why + ". Correct it or delete it.",
	}
}

// maxOverrulers is how many policies that deny everything are considered. It limits the comparisons with other policies.
const maxOverrulers = 100

// Overruled returns the policies that have no effect because another policy denies all calls that they apply to, each
// with the first such other policy by name. It returns only policies that are enforceable, in mode Enforce, and have
// allow entries. The other policy must only be in mode Enforce.
func Overruled(scopes policyobject.Scopes, policies []*publish.Policy) map[rules.PolicyName]*Overruler {
	var by []*Overruler
	for _, policy := range policies {
		if found := overrulerOf(scopes, policy); found != nil {
			by = append(by, found)
		}
	}
	slices.SortFunc(by, func(a, b *Overruler) int { return a.name.Compare(b.name) })
	by = by[:min(len(by), maxOverrulers)]
	all := map[rules.PolicyName]*Overruler{}
	for _, policy := range policies {
		allow := &policy.Written.Allow
		allows := len(allow.Domains)+len(allow.PublicSuffixes)+len(allow.Addresses)+len(allow.Lists) > 0
		if policy.Compiled == nil || !policy.Compiled.Enforceable() || policy.Written.Mode == rules.Audit || !allows {
			continue
		}
		calls := callsOf(scopes, policy)
		for _, one := range by {
			if one.name != policy.Written.PolicyName && one.appliesTo.includes(calls) {
				all[policy.Written.PolicyName] = one
				break
			}
		}
	}
	return all
}

// overrulerOf returns an Overruler if a policy denies all calls to which it applies; nil if not.
func overrulerOf(scopes policyobject.Scopes, policy *publish.Policy) *Overruler {
	if policy.Compiled == nil || policy.Written.Mode == rules.Audit {
		return nil
	}
	found := &Overruler{name: policy.Written.PolicyName, appliesTo: callsOf(scopes, policy)}
	switch {
	case policy.Written.NotUnderstood != "":
		found.reason, found.why = v1alpha1.ReasonPolicyNotEnforceable, "it is not understood"
	case !policy.Compiled.Enforceable():
		found.reason, found.why = v1alpha1.ReasonPolicyNotEnforceable, "a list by which it denies is missing"
	case slices.Contains(policy.Written.Deny.Domains, "*") && len(policy.Written.Allow.Addresses) == 0:
		// A policy with allowed addresses does not deny all calls: these addresses have precedence over the denied "*".
		found.reason, found.why = v1alpha1.ReasonPolicyDeniesAll, `it denies "*"`
	default:
		return nil
	}
	return found
}

// callsOf returns the calls to which a policy applies, limited to the scope of its namespace.
func callsOf(scopes policyobject.Scopes, policy *publish.Policy) appliesTo {
	within, _, _ := scopes.Bound(policy.Written)
	return appliesTo{within.RequestTypes, within.Sources}
}
