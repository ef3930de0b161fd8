package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/fixture"
)

func TestDemo(t *testing.T) {
	t.Chdir("../..")
	if err := assets.Provide(); err != nil {
		t.Fatal(err)
	}
	o := &options{
		dir: t.TempDir(), hook: fixture.FreeAddress(t), probes: fixture.FreeAddress(t), metrics: fixture.FreeAddress(t), proxy: fixture.FreeAddress(t),
	}
	out, await := start(t, o)
	// printed waits until the demo prints this outcome of an address.
	printed := func(address, outcome string) {
		t.Helper()
		await(address+" is "+outcome, func() bool {
			for line := range strings.Lines(out.String()) {
				if fields := strings.Fields(line); len(fields) > 2 && fields[1] == address && strings.Join(fields[2:], " ") == outcome {
					return true
				}
			}
			return false
		})
	}
	for address, outcome := range map[string]string{
		"jo@acme.com": "Registered", "kim@elsewhere.example": "Denied", "max@contractors.acme.com": "Denied", "eve@mailinator.com": "Denied",
		"ann@acme.com": "Registered",
	} {
		printed(address, outcome)
	}
	// Every command that the demo prints works, in order.
	var commands []string
	_, rest, _ := strings.Cut(out.String(), "In another terminal:")
	for line := range strings.Lines(strings.ReplaceAll(rest, " \\\n    ", " ")) {
		if line, indented := strings.CutPrefix(line, "  "); indented && !strings.HasPrefix(line, "#") {
			commands = append(commands, strings.TrimSpace(line))
		}
	}
	if len(commands) != 9 {
		t.Fatalf("the demo prints %d commands, want 9: %q", len(commands), commands)
	}
	run := func(command string) string {
		t.Helper()
		return shell(t, "shopt -s expand_aliases\n"+commands[0]+"\n"+commands[1]+"\n"+command)
	}
	for _, command := range commands[2:] {
		switch {
		case strings.HasPrefix(command, "tail -f"):
			log := strings.TrimPrefix(command, "tail -f ")
			if text, err := os.ReadFile(filepath.Clean(log)); err != nil || !strings.Contains(string(text), " msg=Decided ") {
				t.Errorf("%s: %v\n%s", command, err, text)
			}
		case strings.HasPrefix(command, "kubectl get"):
			fixture.Eventually(t, patience, func() string {
				if got := run(command); !strings.Contains(got, "2/2") {
					return got
				}
				return ""
			})
		case strings.HasPrefix(command, "go run"):
			if got := run(command + " || true"); !strings.HasPrefix(got, "allowed\n") { // the certificate is a fault
				t.Errorf("%s prints %s", command, got)
			}
		default:
			run(command)
		}
	}
	printed("kim@elsewhere.example", "Registered")
	printed("max@contractors.acme.com", "Registered")
	if strings.Contains(out.String(), "Failed") {
		t.Errorf("a sign-up failed:\n%s", out)
	}
}
