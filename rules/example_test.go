package rules_test

import (
	"fmt"

	"registrationpolicy.dev/operator/rules"
)

// A policy allows the employees of a company, and denies one domain of it.
func ExampleSnapshot_Decide() {
	policy := rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "employees"},
		Allow:      rules.AllowRules{Domains: []string{"acme.com", "*.acme.com"}},
		Deny:       rules.DenyRules{Domains: []string{"contractors.acme.com"}},
	}
	snapshot, rejections := rules.Compile([]rules.Policy{policy})
	fmt.Println(len(rejections), "rejections")

	for _, email := range []string{"jo@acme.com", "jo@contractors.acme.com", "jo@example.org", "jo"} {
		decision := snapshot.Decide(rules.Call{
			Shape:   rules.SignUp,
			Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: email}},
		})
		fmt.Printf("%s %s by %q %q\n", decision.Outcome, decision.Reason, decision.Policy, decision.Entry)
	}
	// Output:
	// 0 rejections
	// ALLOW Allowed by "okta/employees" "spec.allow.domains[0]"
	// DENY Denied by "okta/employees" "spec.deny.domains[0]"
	// DENY NotAllowed by "" ""
	// DENY InvalidAddress by "" ""
}

// An entry that cannot be used is rejected, and the rest of the policy is in force.
func ExampleCompile() {
	_, rejections := rules.Compile([]rules.Policy{{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "partners"},
		Allow:      rules.AllowRules{Domains: []string{"partner.example", "acme.com."}},
	}})
	for _, rejection := range rejections {
		fmt.Printf("%s %s: %s\n", rejection.Policy, rejection.Path, rejection.Message)
	}
	// Output:
	// okta/partners spec.allow.domains[1]: a label is empty; write the domain without leading, trailing or doubled dots
}
