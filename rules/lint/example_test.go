package lint_test

import (
	"fmt"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

func ExampleWarnings() {
	warnings := lint.Warnings([]lint.Policy{{Policy: rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "employees"},
		Allow:      rules.AllowRules{Domains: []string{"acme.com", "gmail.com"}},
	}}})
	for _, warning := range warnings {
		fmt.Printf("%s %s: %s\n", warning.Policy, warning.Path, warning.Message)
	}
	// Output:
	// okta/employees spec.allow.domains[1]: gmail.com is a mailbox provider: anybody can get an address there; name single people in spec.allow.addresses, and remove this entry
}
