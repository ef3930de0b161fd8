package hookserver

import (
	"testing"

	"registrationpolicy.dev/operator/test/cost"
)

// operations are what the server does for a call, from the parsed request to the last byte of the answer, without what
// net/http does.
func operations(tb testing.TB) []cost.Operation {
	tb.Helper()
	const allowed, denied = "jo@company-0000.example.com", "jo@mail.elsewhere.example.org"
	return []cost.Operation{
		{Name: "handler/allowed", Allocations: 10, Run: newBenchedCall(tb, allowed).make},
		{Name: "handler/denied", Allocations: 10, Run: newBenchedCall(tb, denied).make},
	}
}

func BenchmarkCost(b *testing.B) { cost.Benchmark(b, operations(b)) }

func TestCost(t *testing.T) { cost.Check(t, operations(t)) }
