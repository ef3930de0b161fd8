package main

import (
	"os"
	"strings"
	"testing"
)

// TestServeForAProfile runs the program until a signal, so that the flag -test.cpuprofile profiles it while it answers
// calls. bench/profile.go sets the program's flags, one a line, in the environment; otherwise the test is skipped.
func TestServeForAProfile(t *testing.T) {
	flags := os.Getenv("BENCH_OPERATOR_FLAGS")
	if flags == "" {
		t.Skip("only for make pgo")
	}
	if err := run(strings.Split(flags, "\n"), nil); err != nil {
		t.Fatal(err)
	}
}
