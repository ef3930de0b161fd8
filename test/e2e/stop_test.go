package e2e

import (
	"net/http"
	"os/exec"
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

// A load balancer that checks the hook's port must see what the kubelet sees at /readyz: ready, and unready as soon as the
// replica is told to stop, while it still answers calls.
func TestTheHealthPathFollowsReadiness(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/acme.yaml", acmePolicy)
	op := startReady(t, withDirectory(t, dir, "--drain-delay", "3s", "--hook-health-path", "/health")...)
	health := "http://" + op.hookAddress() + "/health"
	fixture.Await(t, "health", func() bool { return op.status(t, health) == http.StatusOK })
	if status := op.status(t, op.hookURL); status != http.StatusMethodNotAllowed {
		t.Errorf("GET of the hook itself: status %d", status)
	}
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("a call beside the health checks: %+v", got)
	}
	const answered, decided = `registration_policy_http_requests_total{code="200"}`, `registration_policy_decision_duration_seconds_count`
	if requests, calls := op.metric(t, answered), op.metric(t, decided); requests != calls {
		t.Errorf("%s requests were answered 200, and %s calls decided: health checks count as calls", requests, calls)
	}
	if err := op.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	fixture.Await(t, "unhealthy after SIGTERM", func() bool { return op.status(t, health) == http.StatusServiceUnavailable })
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("a call while the replica drains: %+v", got)
	}
}

func TestTheHealthPathOfAReplicaIsOffByDefaultAndNeverTheHook(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write(t, dir+"/acme.yaml", acmePolicy)
	op := startReady(t, withDirectory(t, dir)...)
	for _, path := range []string{"/", "/health", "/healthz", "/readyz"} {
		if status := op.status(t, "http://"+op.hookAddress()+path); status != http.StatusNotFound {
			t.Errorf("GET %s: status %d", path, status)
		}
	}
	for _, path := range []string{"/okta/registration", "/okta/registration/", "health"} {
		flags := withDirectory(t, dir, "--hook-health-path", path, "--hook-bind-address", "127.0.0.1:0")
		text, err := exec.CommandContext(t.Context(), binary, flags...).CombinedOutput()
		if err == nil || !strings.Contains(string(text), "--hook-health-path") {
			t.Errorf("--hook-health-path=%s: %v\n%s", path, err, text)
		}
	}
}
