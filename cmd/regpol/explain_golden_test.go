package main

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/vectors"
)

const addressesFile = "cmd/regpol/testdata/addresses.txt"

var update = flag.Bool("update", false, "write the golden files anew")

// Every call of the vectors: what explain prints is JSON, and Okta finds no fault with the answer.
func TestOktasOwnCallsAreExplained(t *testing.T) {
	for _, file := range vectors.OktaRequests() {
		t.Run(file.Name, func(t *testing.T) {
			got, r := explained(t, "-f", "test/vectors/okta/requests/"+file.Name, "--policies", "config/samples")
			if got.code != exitAllowed && got.code != exitDenied {
				t.Errorf("exit code %d", got.code)
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
		"explain-both.txt":    {"-f", "cmd/regpol/testdata/both.json", "--policies", "config/samples"},
	} {
		t.Run(name, func(t *testing.T) {
			got := runRegpol(t, "", append([]string{"explain"}, args...)...)
			compareGolden(t, name, got.out)
		})
	}
}

func TestColourIsForTerminalsOnly(t *testing.T) {
	r := report{Answer: "DENY", Okta: json.RawMessage("{}")}
	if text := string(r.text(true, true)); !strings.HasPrefix(text, "\x1b[31;1mdenied\x1b[0m ") {
		t.Errorf("coloured: %q", text)
	}
	if text := string(r.text(true, false)); strings.Contains(text, "\x1b") {
		t.Errorf("plain: %q", text)
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	if (streams{out: file}).coloured() {
		t.Error("a file is taken for a terminal")
	}
}
