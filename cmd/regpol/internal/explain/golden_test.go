package explain

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/vectors"
)

const (
	goldenExplanations = "cmd/regpol/internal/explain/testdata/"
	addressesFile      = "cmd/regpol/testdata/addresses.txt"
)

// Every call of the vectors: what explain prints is JSON, and Okta finds no fault with the answer.
func TestOktasOwnCallsAreExplained(t *testing.T) {
	for _, file := range vectors.OktaRequests() {
		t.Run(file.Name, func(t *testing.T) {
			got, r := explained(t, "-f", "test/vectors/okta/requests/"+file.Name, "--policies", "config/samples")
			if got.Code != console.ExitAllowed && got.Code != console.ExitDenied {
				t.Errorf("exit code %d", got.Code)
			}
			for _, warning := range r.Warnings {
				if strings.Contains(warning, "find fault") {
					t.Error(warning)
				}
			}
		})
	}
}

func TestGoldenExplanations(t *testing.T) {
	for name, args := range map[string][]string{
		"explain-denied.txt":  {"jo@contractors.acme.com", "--policies", "config/samples"},
		"explain-denied.json": {"jo@contractors.acme.com", "--policies", "config/samples/quickstart", "-o", "json"},
		"explain-denied.yaml": {"jo@contractors.acme.com", "--policies", "config/samples/quickstart", "-o", "yaml"},
		"explain-verbose.txt": {"jo@contractors.acme.com", "--policies", "config/samples", "-v"},
		"explain-several.txt": {"--addresses", addressesFile, "--policies", "config/samples/quickstart"},
		"explain-both.txt":    {"-f", goldenExplanations + "both.json", "--policies", "config/samples"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"explain"}, args...)...)
			verbtest.Golden(t, goldenExplanations+name, got.Out)
		})
	}
}
