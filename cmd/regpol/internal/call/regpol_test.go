package call

import (
	"os"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// TestMain lets the binary of the tests be the program.
func TestMain(m *testing.M) { os.Exit(verbtest.Main(m, Command)) }

// runRegpol runs the program in the work tree.
func runRegpol(t *testing.T, stdin string, args ...string) verbtest.Result {
	t.Helper()
	return verbtest.Run(t, Command, stdin, args...)
}
