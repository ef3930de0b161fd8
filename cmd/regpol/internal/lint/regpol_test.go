package lint

import (
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// runRegpol runs the program in the work tree.
func runRegpol(t *testing.T, stdin string, args ...string) verbtest.Result {
	t.Helper()
	return verbtest.Run(t, Command, stdin, args...)
}
