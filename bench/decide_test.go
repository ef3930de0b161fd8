// Package bench measures parts of the operator side by side. README.md describes how to run it and how to read the
// results.
package bench

import (
	"fmt"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// source is the source of every call. Policies that name another source do not apply.
const source = "rul1bufGk5dJdRYw50g4"

var (
	domainCounts = []int{10, 100_000}
	policyCounts = []int{1, 1_000}
)

func BenchmarkDecideByDomains(b *testing.B) {
	for _, n := range domainCounts {
		snapshot := compile(b, policyOf(0, domains(n)))
		b.Run(fmt.Sprintf("domains=%d/allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp(domain(n/2)), rules.ReasonAllowed)
		})
		b.Run(fmt.Sprintf("domains=%d/not-allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp("mail.elsewhere.example.org"), rules.ReasonNotAllowed)
		})
	}
}

// BenchmarkDecideByPolicies has policies with one domain each. All apply to the call, and one of them matches.
func BenchmarkDecideByPolicies(b *testing.B) {
	for _, n := range policyCounts {
		policies := make([]rules.Policy, n)
		for i := range policies {
			policies[i] = policyOf(i, []string{domain(i)})
		}
		snapshot := compile(b, policies...)
		b.Run(fmt.Sprintf("policies=%d/allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp(domain(n/2)), rules.ReasonAllowed)
		})
		b.Run(fmt.Sprintf("policies=%d/not-allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp("mail.elsewhere.example.org"), rules.ReasonNotAllowed)
		})
	}
}

// BenchmarkDecideByPoliciesOfOtherSources has policies for different sources, of which one applies to the call.
func BenchmarkDecideByPoliciesOfOtherSources(b *testing.B) {
	for _, n := range policyCounts {
		policies := make([]rules.Policy, n)
		for i := range policies {
			policies[i] = policyOf(i, []string{domain(0)})
			policies[i].Sources = []string{fmt.Sprintf("rulOther%d", i)}
		}
		policies[n/2].Sources = []string{source}
		snapshot := compile(b, policies...)
		b.Run(fmt.Sprintf("policies=%d/allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp(domain(0)), rules.ReasonAllowed)
		})
	}
}

// BenchmarkDecideByPoliciesThatMatch has policies that all allow the same domain, which is the worst case.
func BenchmarkDecideByPoliciesThatMatch(b *testing.B) {
	for _, n := range policyCounts {
		policies := make([]rules.Policy, n)
		for i := range policies {
			policies[i] = policyOf(i, []string{domain(0)})
		}
		snapshot := compile(b, policies...)
		b.Run(fmt.Sprintf("policies=%d/allowed", n), func(b *testing.B) {
			decide(b, snapshot, signUp(domain(0)), rules.ReasonAllowed)
		})
	}
}

// BenchmarkDecideByOverlappingSources has policies with different lists of sources, which all have the source of the call.
// In the worst case all of them allow the same domain.
func BenchmarkDecideByOverlappingSources(b *testing.B) {
	const n = 1_000
	for name, allowed := range map[string]func(i int) string{
		"one-matches": domain,
		"all-match":   func(int) string { return domain(n / 2) },
	} {
		policies := make([]rules.Policy, n)
		for i := range policies {
			policies[i] = policyOf(i, []string{allowed(i)})
			policies[i].Sources = []string{source, fmt.Sprintf("rulOther%d", i)}
		}
		snapshot := compile(b, policies...)
		b.Run(fmt.Sprintf("policies=%d/%s", n, name), func(b *testing.B) {
			decide(b, snapshot, signUp(domain(n/2)), rules.ReasonAllowed)
		})
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, n := range domainCounts {
		policy := policyOf(0, domains(n))
		b.Run(fmt.Sprintf("domains=%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Compile([]rules.Policy{policy})
			}
		})
	}
}

func decide(b *testing.B, snapshot *rules.Snapshot, call rules.Call, want rules.Reason) {
	b.Helper()
	if got := snapshot.Decide(call); got.Reason != want {
		b.Fatalf("decided %s, want %s", got.Reason, want)
	}
	b.ReportAllocs()
	for b.Loop() {
		snapshot.Decide(call)
	}
}

func compile(b *testing.B, policies ...rules.Policy) *rules.Snapshot {
	b.Helper()
	snapshot, rejections := rules.Compile(policies)
	if len(rejections) > 0 {
		b.Fatalf("rejected: %v", rejections)
	}
	return snapshot
}

func policyOf(i int, allowed []string) rules.Policy {
	return rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: fmt.Sprintf("policy-%04d", i)},
		Allow:      rules.AllowRules{Domains: allowed},
	}
}

func domains(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = domain(i)
	}
	return names
}

func domain(i int) string { return fmt.Sprintf("company-%06d.example.com", i) }

// signUp returns a call with the address jo@domain as email and login, as most calls have.
func signUp(domain string) rules.Call {
	address := "jo@" + domain
	return rules.Call{
		Shape:  rules.SignUp,
		Source: source,
		Profile: []rules.Attribute{
			{Name: "email", Kind: rules.Text, Text: address},
			{Name: "login", Kind: rules.Text, Text: address},
		},
	}
}
