package e2e

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

func withDirectory(t *testing.T, dir string, flags ...string) []string {
	return append([]string{"--policy-dir", dir, "--hook-auth-dir", credentials(t)}, flags...)
}

const acmePolicy = `
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: acme}
spec:
  allow:
    domains: [acme.com]
`

func TestWhenToldToStopItGoesUnreadyFirstAndAnswersUntilTheEnd(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/acme.yaml", acmePolicy)
	op := startReady(t, withDirectory(t, dir, "--drain-delay", "3s")...)
	okta := op.okta(t, nil)
	if err := op.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, "unready after SIGTERM", func() bool { return op.status(t, op.probeURL+"/readyz") == http.StatusServiceUnavailable })

	// During the drain delay everything still works, changes of rules too, because proxies still send calls.
	write(t, dir+"/acme.yaml", strings.ReplaceAll(acmePolicy, "acme.com", "acme.example"))
	op.awaitAnswer(t, "jo@acme.example", allowed)
	if status := op.status(t, op.probeURL+"/healthz"); status != http.StatusOK {
		t.Errorf("healthz while draining: %d", status)
	}
	answered := 0
	for !op.ended() {
		result, err := okta.Register(t.Context(), oktasim.Registration{Email: "jo@acme.example"})
		if err != nil {
			t.Fatal(err)
		}
		if result.Outcome == oktasim.Registered {
			answered++
			continue
		}
		if result.Status != 0 {
			t.Fatalf("a call during the stop was answered %d", result.Status)
		}
		break // the drain delay is over, and connections are refused
	}
	if answered == 0 {
		t.Error("no call was answered while draining")
	}
	<-op.exited
	if op.err != nil {
		t.Errorf("exit: %v", op.err)
	}
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/acme.yaml", acmePolicy)
	op := startReady(t, withDirectory(t, dir, "--drain-delay", "10m")...)
	if err := op.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, "unready", func() bool { return op.status(t, op.probeURL+"/readyz") != http.StatusOK })
	begun := time.Now()
	if err := op.stop(t, syscall.SIGTERM); err == nil {
		t.Error("ended without an error in the middle of its drain")
	}
	if waited := time.Since(begun); waited > patience {
		t.Errorf("took %s", waited)
	}
}
