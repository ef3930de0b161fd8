package hookserver

import (
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

func policyOf(allow, deny []string) rules.Policy {
	policy := allowing(allow...)
	policy.Deny.Domains = deny
	return policy
}

// checkExpected compares an answer with what a row expects.
func checkExpected(t *testing.T, expect string, got answer) {
	t.Helper()
	if expect == vectors.Invalid && got.status != 200 {
		if got.status < 400 || got.status > 499 {
			t.Errorf("status %d", got.status)
		}
		return
	}
	outcome, _ := got.read(t)
	reason := got.reason(t)
	switch expect {
	case vectors.Allow:
		if outcome != "ALLOW" || reason != string(rules.ReasonAllowed) {
			t.Errorf("%s for %s, want ALLOW", outcome, reason)
		}
	case vectors.Deny:
		if outcome != "DENY" || reason != string(rules.ReasonDenied) && reason != string(rules.ReasonNotAllowed) {
			t.Errorf("%s for %s, want DENY because of a policy", outcome, reason)
		}
	case vectors.Invalid:
		invalid := reason == string(rules.ReasonInvalidAddress) || reason == string(rules.ReasonMissingAddress) ||
			reason == string(rules.ReasonUnrecognisedCall)
		if outcome != "DENY" || !invalid {
			t.Errorf("%s for %s, want DENY because of the call", outcome, reason)
		}
	default:
		t.Fatalf("unknown expectation %q", expect)
	}
}

func TestEveryAddressThroughTheServer(t *testing.T) {
	server := run(t)
	for _, table := range []struct {
		file string
		rows []vectors.Address
	}{
		{"addresses.json", vectors.Addresses()},
		{"deny-rules.json", vectors.DenyRules()},
	} {
		for _, row := range table.rows {
			t.Run(row.ID, func(t *testing.T) {
				t.Log(row.Why)
				server.publish(policyOf(row.PolicyAllow, row.PolicyDeny))
				checkExpected(t, row.Expect, server.post(signUp(row.Email, "user.name")))
				checkExpected(t, row.Expect, server.post(signUp(row.Email, row.Email)))
				checkExpected(t, row.Expect, server.post(call("userProfileUpdate", map[string]any{"email": row.Email})))
			})
		}
		t.Logf("%s through the server: %d rows", table.file, len(table.rows))
	}
}

func TestEveryBodyThroughTheServer(t *testing.T) {
	server := run(t)
	for _, row := range vectors.Bodies() {
		t.Run(row.ID, func(t *testing.T) {
			t.Log(row.Why)
			server.publish(policyOf(row.PolicyAllow, nil))
			checkExpected(t, row.Expect, server.post(string(row.Body)))
		})
	}
	t.Logf("bodies.json through the server: %d rows", len(vectors.Bodies()))
}

func TestOktasOwnCallsThroughTheServer(t *testing.T) {
	server := run(t)
	server.publish(allowing("example.com", "example.org", "okta.com"))
	expected := map[string]rules.Reason{
		"classic-capture.json":                         rules.ReasonAllowed,
		"classic-docs.json":                            rules.ReasonAllowed,
		"draft-2018-obsolete.json":                     rules.ReasonUnrecognisedCall,
		"oie-early-no-requesttype.json":                rules.ReasonAllowed,
		"oie-progressive-conflicting-requesttype.json": rules.ReasonNoAddressChanged,
		"oie-progressive-numeric.json":                 rules.ReasonNoAddressChanged,
		"oie-progressive.json":                         rules.ReasonNoAddressChanged,
		"oie-ssr-no-event-id.json":                     rules.ReasonAllowed,
		"oie-ssr-numeric-versions.json":                rules.ReasonAllowed,
		"oie-ssr.json":                                 rules.ReasonAllowed,
	}
	for _, file := range vectors.OktaRequests() {
		t.Run(file.Name, func(t *testing.T) {
			want, known := expected[file.Name]
			if !known {
				t.Fatal("a file without an expectation")
			}
			if got := server.post(string(file.Body)).reason(t); got != string(want) {
				t.Errorf("%s, want %s", got, want)
			}
		})
	}
	server.hasMetric("contradictory_request_types_total 1")
	t.Logf("Okta's calls through the server: %d files", len(vectors.OktaRequests()))
}
