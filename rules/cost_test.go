package rules_test

import (
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/cost"
)

// operations are what a decision costs a call.
func operations(tb testing.TB) []cost.Operation {
	tb.Helper()
	parse := func(address string) func() {
		return func() {
			if _, err := rules.ParseAddress(address); err != nil {
				tb.Error(err)
			}
		}
	}
	snapshot := compile(tb, append(sized(10, 100, 0), deny("z", "contractors.test"))...)
	decide := func(address string, want rules.Reason) func() {
		call := signUpLogin(address, address)
		return func() {
			if d := snapshot.Decide(call); d.Reason != want {
				tb.Error(d.Reason)
			}
		}
	}
	return []cost.Operation{
		{Name: "address/plain", Allocations: 0, Run: parse("rosario.jones@department.example.com")},
		{Name: "address/internationalised", Allocations: 13, Run: parse("jo@münchen.example")},
		{Name: "decide/allowed", Allocations: 0, Run: decide("rosario.jones@d3-7.test", rules.ReasonAllowed)},
		{Name: "decide/not allowed", Allocations: 0, Run: decide("rosario.jones@mail.elsewhere.example", rules.ReasonNotAllowed)},
		{Name: "decide/denied", Allocations: 0, Run: decide("rosario.jones@a.contractors.test", rules.ReasonDenied)},
	}
}

func BenchmarkCost(b *testing.B) { cost.Benchmark(b, operations(b)) }

func TestCost(t *testing.T) { cost.Check(t, operations(t)) }
