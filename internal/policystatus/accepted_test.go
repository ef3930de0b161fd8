package policystatus_test

import (
	"testing"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policystatus"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// built compiles a policy as if its namespace could decide calls of all sources.
func built(policy rules.Policy) *publish.Policy {
	compiled := rules.CompilePolicy(policy)
	return &publish.Policy{Written: policy, Compiled: compiled, Rejections: compiled.Rejections()}
}

var (
	missing    = rules.ListUse{Name: "missing"}
	broken     = rules.ListUse{Name: "broken", Missing: "it has no entries", Broken: true}
	overBudget = rules.ListUse{Name: "big", Missing: "it would take 2 MiB", OverBudget: true}
)

func TestOfSeveralReasonsTheFirstOfTheDocumentedOrderCounts(t *testing.T) {
	scopes := policyobject.Scopes{"team": {"rul1"}}
	for _, c := range []struct {
		reason string // without what the policies above it have
		policy rules.Policy
	}{
		{"NotUnderstood", rules.Policy{NotUnderstood: "spec.newer: unknown field"}},
		{"OutsideScope", rules.Policy{Sources: []string{"rul1", "rul2"}}},
		{"ListNotFound", rules.Policy{Allow: rules.AllowRules{Lists: []rules.ListUse{missing}}}},
		{"OverBudget", rules.Policy{Allow: rules.AllowRules{Lists: []rules.ListUse{overBudget}}}},
		{"ListInvalid", rules.Policy{Allow: rules.AllowRules{Lists: []rules.ListUse{broken}}}},
		{"InvalidEntry", rules.Policy{Allow: rules.AllowRules{Domains: []string{"co.uk"}}}},
		{"Accepted", rules.Policy{Allow: rules.AllowRules{Domains: []string{"acme.com"}}}},
	} {
		policy := c.policy
		policy.PolicyName = rules.PolicyName{Namespace: "team", Name: "p"}
		if policy.Sources == nil && policy.NotUnderstood == "" {
			policy.Sources = []string{"rul1"}
		}
		// Each policy also has what the reasons below it are about.
		order := map[string]int{"OutsideScope": 3, "ListNotFound": 2, "OverBudget": 1}
		for i, also := range []rules.ListUse{broken, overBudget, missing} {
			if i < order[c.reason] {
				policy.Allow.Lists = append([]rules.ListUse{also}, policy.Allow.Lists...)
			}
		}
		if c.reason != "Accepted" {
			policy.Allow.Domains = append(policy.Allow.Domains, "co.uk")
		}
		got := policystatus.AcceptedCondition(built(policy), scopes, false, nil)
		if got.Reason != c.reason || (got.Status == "True") != (c.reason == "Accepted") {
			t.Errorf("%s/%s: %s; want %s", got.Status, got.Reason, got.Message, c.reason)
		}
	}
}

func TestEntriesAreCountedWithoutTheRejectedOnes(t *testing.T) {
	list := rules.CompileList([]byte("beta.example\nco.uk\n"))
	policy := rules.Policy{
		Allow: rules.AllowRules{Domains: []string{"acme.com", "co.uk"}, Lists: []rules.ListUse{{Name: "partners", List: list}, missing}},
		Deny:  rules.DenyRules{Domains: []string{"ru"}},
	}
	entries := policystatus.Entries(built(policy))
	if *entries.Allowed != 2 || *entries.Denied != 1 { // acme.com and beta.example; ru
		t.Errorf("allowed %d, denied %d", *entries.Allowed, *entries.Denied)
	}
	policy.Deny.Lists = []rules.ListUse{missing}
	if entries := policystatus.Entries(built(policy)); *entries.Allowed != 0 || *entries.Denied != 0 {
		t.Errorf("a policy that is not enforceable: allowed %d, denied %d", *entries.Allowed, *entries.Denied)
	}
}
