package e2e

import (
	"bufio"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

// A container runtime whose disk is full does not read the log. The operator must still answer calls.
func TestALogThatNobodyTakesCostsNoCall(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	process := exec.Command(binary, withDirectory(t, dir, "--hook-bind-address", "127.0.0.1:0",
		"--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0", "--drain-delay", "0s")...)
	process.Env = append([]string{"HOME=" + t.TempDir()}, own(os.Environ())...)
	log, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
	})
	said := bufio.NewReader(log)
	var starting struct{ Msg, Hook, Metrics string }
	for starting.Msg != "Hook listens" { // the addresses are in the line Starting, which comes before
		line, err := said.ReadBytes('\n')
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(line, &starting); err != nil {
			t.Fatal(err)
		}
	}
	op := &operator{hookURL: "http://" + starting.Hook + "/okta/registration", metricsURL: "http://" + starting.Metrics}
	okta := op.okta(t, nil)
	leftOut := func() bool {
		return op.metric(t, "registration_policy_log_lines_left_out_total") != "0"
	}
	fixture.Await(t, "more lines than fit", func() bool {
		for range 1000 {
			result, err := okta.Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
			if err != nil || result.Outcome != oktasim.Registered || result.Attempts != 1 {
				t.Fatalf("a call while nobody takes the log: %v after %d attempts, %v", result.Outcome, result.Attempts, err)
			}
		}
		return leftOut()
	})

	for line := ""; !strings.Contains(line, "Log lines left out"); {
		if line, err = said.ReadString('\n'); err != nil {
			t.Fatalf("the log ends without a line about what is missing: %v", err)
		}
	}
	go func() { _, _ = io.Copy(io.Discard, said) }()
}
