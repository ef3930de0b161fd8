package main

import (
	"maps"
	"testing"
)

func TestParseBenchmark(t *testing.T) {
	for line, want := range map[string]struct {
		operation string
		results   map[string]float64
	}{
		"BenchmarkCost/decode/sign-up-2   \t 2000\t 1380 ns/op\t 376 B/op\t 10 allocs/op\n": {
			"decode/sign-up", map[string]float64{"ns/op": 1380, "B/op": 376, "allocs/op": 10},
		},
		"BenchmarkCost/decide/not_allowed 5 0.5 ns/op 0 B/op 0 allocs/op": { // one processor
			"decide/not allowed", map[string]float64{"ns/op": 0.5, "B/op": 0, "allocs/op": 0},
		},
		"pkg: registrationpolicy.dev/operator/rules": {},
		"BenchmarkCost": {},
	} {
		operation, results, ok := parseBenchmark(line)
		if operation != want.operation || !maps.Equal(results, want.results) || ok != (want.operation != "") {
			t.Errorf("%q: %q, %v, %v", line, operation, results, ok)
		}
	}
}
