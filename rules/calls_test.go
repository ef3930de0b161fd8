package rules_test

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// The calls and policies that the tests of this package are written in.

func text(name, value string) rules.Attribute {
	return rules.Attribute{Name: name, Kind: rules.Text, Text: value}
}

func null(name string) rules.Attribute   { return rules.Attribute{Name: name, Kind: rules.Null} }
func absent(name string) rules.Attribute { return rules.Attribute{Name: name} }
func other(name string) rules.Attribute  { return rules.Attribute{Name: name, Kind: rules.Other} }

// signUp is a sign-up from source rul1 with an e-mail address and no login.
func signUp(email string) rules.Call {
	return rules.Call{Shape: rules.SignUp, Source: "rul1", Profile: []rules.Attribute{text("email", email), absent("login")}}
}

func signUpLogin(email, login string) rules.Call {
	return rules.Call{Shape: rules.SignUp, Source: "rul1", Profile: []rules.Attribute{text("email", email), text("login", login)}}
}

func update(attributes ...rules.Attribute) rules.Call {
	return rules.Call{Shape: rules.ProfileUpdate, Source: "rul1", Update: attributes}
}

func named(name string) rules.PolicyName { return rules.PolicyName{Namespace: "ns", Name: name} }

func allow(name string, domains ...string) rules.Policy {
	return rules.Policy{PolicyName: named(name), Allow: rules.AllowRules{Domains: domains}}
}

func deny(name string, domains ...string) rules.Policy {
	return rules.Policy{PolicyName: named(name), Deny: rules.DenyRules{Domains: domains}}
}

// with returns p after change.
func with(p rules.Policy, change func(*rules.Policy)) rules.Policy {
	change(&p)
	return p
}

func auditing(p rules.Policy) rules.Policy { p.Mode = rules.Audit; return p }

func saying(p rules.Policy, message string) rules.Policy { p.Message = message; return p }

func giving(p rules.Policy, attributes ...rules.ProfileAttribute) rules.Policy {
	p.Profile = attributes
	return p
}

// compile fails the test if any part of a policy is not in force.
func compile(t testing.TB, policies ...rules.Policy) *rules.Snapshot {
	t.Helper()
	snapshot, rejections := rules.Compile(policies)
	if len(rejections) > 0 {
		t.Fatalf("unexpected rejections: %v", rejections)
	}
	return snapshot
}

// decide compiles without regard to rejections.
func decide(policies []rules.Policy, call rules.Call) rules.Decision {
	snapshot, _ := rules.Compile(policies)
	return snapshot.Decide(call)
}

// labels63 joins labels of 63 bytes, and a last one of rest bytes.
func labels63(n, rest int) string {
	return strings.Repeat(strings.Repeat("a", 63)+".", n) + strings.Repeat("b", rest)
}
