//go:build unix

package main

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestWatchEndsByAnInterruptWithTheCodeOfTheLastRun(t *testing.T) {
	dir := verbtest.WriteFiles(t, map[string]string{
		"p.yaml":             policyOf("p", "acme.com"),
		"p.regpol-test.yaml": "cases:\n- name: acme comes in\n  email: jo@acme.com\n  expect: {outcome: Deny}\n",
	})
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "regpol")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	process := exec.CommandContext(t.Context(), program, "test", "--watch", dir)
	messages, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	for lines := bufio.NewScanner(messages); lines.Scan() && !strings.Contains(lines.Text(), "waiting for a change"); {
	}
	if err := process.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := process.Wait(); process.ProcessState.ExitCode() != 1 {
		t.Error(err)
	}
}
