package proxies

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"registrationpolicy.dev/operator/test/fixture"
)

const (
	credential = "Basic cHJveGllczphLXNlY3JldC1vZi10aGUtdGVzdA=="
	// ownHeader is the header for the credential that the manual suggests. No proxy changes it.
	ownHeader = "X-Registration-Hook-Key"
	// policy allows the domains of Okta's own samples and of bodies.json.
	policy = `
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: samples}
spec:
  allow:
    domains: [example.com, example.org, okta.com]
`
)

// binary is the operator's program, built once.
var binary string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if _, err := programs(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	dir, err := os.MkdirTemp("", "proxies")
	if err != nil {
		fmt.Fprintln(os.Stderr, "proxies:", err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	binary = filepath.Join(dir, "operator")
	build := exec.Command("go", "build", "-o", binary, "registrationpolicy.dev/operator/cmd/operator")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "proxies: build the operator:", err)
		return 1
	}
	return m.Run()
}

// replica is a running operator.
type replica struct {
	hook, probes string // host:port
	process      *exec.Cmd
	exited       chan struct{}
	log          fixture.Transcript
}

// startReplica starts an operator with the policy, and waits until it is ready.
func startReplica(t *testing.T, flags ...string) *replica {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"policies/samples.yaml": policy, "credentials/okta": credential} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	flags = append([]string{
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
		"--policy-dir", filepath.Join(dir, "policies"), "--hook-auth-dir", filepath.Join(dir, "credentials"), "--drain-delay", "0s",
	}, flags...)
	r := &replica{process: exec.Command(binary, flags...), exited: make(chan struct{})}
	r.process.Stderr = &r.log
	if err := r.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = r.process.Wait()
		close(r.exited)
	}()
	t.Cleanup(func() {
		_ = r.process.Process.Kill()
		<-r.exited
		if t.Failed() {
			t.Logf("operator %s:\n%s", r.hook, tail(r.log.String()))
		}
	})
	fixture.Await(t, "the line that says where the operator listens", func() bool {
		if r.ended() {
			t.Fatalf("the operator ended at once: %s", r.log.String())
		}
		return r.readAddresses()
	})
	fixture.Await(t, "readiness", r.ready)
	return r
}

// startReplicas starts n replicas, and returns the addresses of their hooks.
func startReplicas(t *testing.T, n int, flags ...string) []string {
	t.Helper()
	hooks := make([]string, n)
	for i := range hooks {
		hooks[i] = startReplica(t, flags...).hook
	}
	return hooks
}

func (r *replica) readAddresses() bool {
	for line := range strings.Lines(r.log.String()) {
		var said struct{ Msg, Hook, Probes string }
		if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "Starting" {
			r.hook, r.probes = said.Hook, said.Probes
			return true
		}
	}
	return false
}

func (r *replica) ready() bool {
	response, err := http.Get("http://" + r.probes + "/readyz")
	if err != nil {
		return false
	}
	_ = response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (r *replica) ended() bool {
	select {
	case <-r.exited:
		return true
	default:
		return false
	}
}

// terminate sends SIGTERM to the replica, as a kubelet does.
func (r *replica) terminate(t *testing.T) {
	t.Helper()
	if err := r.process.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
}

// decided returns how many calls the replica has logged with this outcome.
func (r *replica) decided(outcome string) int {
	return bytes.Count([]byte(r.log.String()), []byte(`"outcome":"`+outcome+`"`))
}

// behindEach runs the test once behind each kind of proxy.
func behindEach(t *testing.T, test func(t *testing.T, kind Kind)) {
	for _, kind := range Kinds {
		t.Run(string(kind), func(t *testing.T) {
			t.Parallel()
			test(t, kind)
		})
	}
}
