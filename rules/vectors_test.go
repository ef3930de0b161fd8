package rules_test

import (
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

func TestVectors(t *testing.T) {
	addresses, denyRules := vectors.Addresses(), vectors.DenyRules()
	for _, row := range append(addresses, denyRules...) {
		t.Run(row.ID, func(t *testing.T) {
			policy := rules.Policy{PolicyName: named("vector")}
			policy.Allow.Domains, policy.Deny.Domains = row.PolicyAllow, row.PolicyDeny
			got := decide([]rules.Policy{policy}, signUp(row.Email))
			if group(got.Reason) != row.Expect {
				t.Errorf("%q against allow %q, deny %q: %s (%s), want %s: %s",
					row.Email, row.PolicyAllow, row.PolicyDeny, got.Reason, got.Invalid, row.Expect, row.Why)
			}
			if want := row.Expect == vectors.Allow; (got.Outcome == rules.Allow) != want {
				t.Errorf("outcome %s with reason %s", got.Outcome, got.Reason)
			}
			_, err := rules.ParseAddress(row.Email)
			if (err != nil) != (row.Expect == vectors.Invalid) {
				t.Errorf("ParseAddress(%q): %v, want %s", row.Email, err, row.Expect)
			}
		})
	}
	t.Logf("vectors: %d address rows and %d deny rows through the parser and decision", len(addresses), len(denyRules))
}

// group returns the word that the vectors have for a reason.
func group(reason rules.Reason) string {
	switch reason {
	case rules.ReasonAllowed:
		return vectors.Allow
	case rules.ReasonDenied, rules.ReasonNotAllowed:
		return vectors.Deny
	case rules.ReasonInvalidAddress, rules.ReasonMissingAddress:
		return vectors.Invalid
	default:
		return string(reason)
	}
}
