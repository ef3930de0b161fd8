package e2e

import (
	"bufio"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

const credential = "Basic ZTJlOmEtc2VjcmV0LW9mLXRoZS10ZXN0"

// operator is one running process.
type operator struct {
	hookURL, probeURL, metricsURL string

	process *exec.Cmd
	log     *fixture.Transcript
	exited  chan struct{}
	err     error // how the process ended; set when exited is closed
}

// credentials returns a directory with the test's credential.
func credentials(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "okta"), credential+"\n")
	return dir
}

func remove(t *testing.T, file string) {
	t.Helper()
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// inCluster returns the flags of a replica that watches the cluster's policies.
func (c *cluster) inCluster(t *testing.T) []string {
	return []string{"--kubeconfig", c.kubeconfig, "--namespace", namespace, "--hook-auth-dir", credentials(t), "--drain-delay", "0s"}
}

// start starts an operator on free ports, and waits until its log has their addresses.
func start(t *testing.T, flags ...string) *operator {
	t.Helper()
	return startProgram(t, binary, flags...)
}

// startProgram is start for another build of the operator.
func startProgram(t *testing.T, program string, flags ...string) *operator {
	t.Helper()
	flags = append([]string{
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}, flags...)
	op := &operator{process: exec.Command(program, flags...), log: &fixture.Transcript{}, exited: make(chan struct{})}
	op.process.Env = append([]string{"HOME=" + t.TempDir()}, own(os.Environ())...)
	op.process.Stderr = op.log
	if err := op.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		op.err = op.process.Wait()
		close(op.exited)
	}()
	t.Cleanup(func() {
		_ = op.process.Process.Kill()
		<-op.exited
		if t.Failed() {
			t.Logf("log of the operator:\n%s", op.log)
		}
	})
	var line struct{ Hook, Probes, Metrics string }
	fixture.Await(t, "the line that says where the operator listens", func() bool {
		if op.ended() {
			t.Fatalf("the operator ended at once: %s", op.log)
		}
		return op.find("Starting", &line)
	})
	op.hookURL = "http://" + line.Hook + "/okta/registration"
	op.probeURL = "http://" + line.Probes
	op.metricsURL = "http://" + line.Metrics
	return op
}

// own returns the environment variables for the operator. Others are dropped, because the operator would also read
// KUBECONFIG.
func own(environment []string) []string {
	return slices.DeleteFunc(environment, func(variable string) bool {
		return !strings.HasPrefix(variable, "REGISTRATION_POLICY_")
	})
}

// startReady starts an operator and waits until it is ready.
func startReady(t *testing.T, flags ...string) *operator {
	t.Helper()
	op := start(t, flags...)
	fixture.Await(t, "readiness", func() bool { return op.status(t, op.probeURL+"/readyz") == http.StatusOK })
	return op
}

func (op *operator) isReady() bool {
	status, _, err := op.get(op.probeURL + "/readyz")
	return err == nil && status == http.StatusOK
}

func (op *operator) ended() bool {
	select {
	case <-op.exited:
		return true
	default:
		return false
	}
}

// find decodes the first log line with this message.
func (op *operator) find(message string, into any) bool {
	lines := bufio.NewScanner(strings.NewReader(op.log.String()))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var line struct{ Msg string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Msg == message {
			return json.Unmarshal(lines.Bytes(), into) == nil
		}
	}
	return false
}

func (op *operator) get(url string) (status int, body string, err error) {
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(url)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return response.StatusCode, string(text), err
}

func (op *operator) status(t *testing.T, url string) int {
	t.Helper()
	status, _, err := op.get(url)
	if err != nil {
		t.Fatalf("GET %s: %v", url, err)
	}
	return status
}

// metric returns the value of a series, as text; "" if there is none.
func (op *operator) metric(t *testing.T, series string) string {
	t.Helper()
	_, body, err := op.get(op.metricsURL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(body) {
		if value, found := strings.CutPrefix(line, series+" "); found {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

// okta returns a stand-in for Okta that calls this replica.
func (op *operator) okta(t *testing.T, roots *x509.CertPool) *oktasim.Hook {
	t.Helper()
	hook, err := oktasim.New(oktasim.Options{URL: op.hookURL, Credential: credential, RootCAs: roots})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(hook.Close)
	return hook
}

// answer is the wanted or the actual result of a registration.
type answer struct {
	Outcome oktasim.Outcome
	Text    string // what the person reads on Identity Engine
	Reason  string // for the administrator
}

// register makes a registration and returns the result. It fails the test if the answer has a fault that Okta would
// find.
func (op *operator) register(t *testing.T, address string) answer {
	t.Helper()
	result, err := op.okta(t, nil).Register(t.Context(), oktasim.Registration{Email: address})
	if err != nil {
		t.Fatal(err)
	}
	if len(result.Faults) > 0 {
		t.Fatalf("answer to %s: %s", address, result.Faults)
	}
	return answerOf(t, result)
}

func answerOf(t *testing.T, result oktasim.Result) answer {
	t.Helper()
	var debug struct{ Reason, DecisionID string }
	if result.DebugContext != "" {
		if err := json.Unmarshal([]byte(result.DebugContext), &debug); err != nil {
			t.Fatal(err)
		}
	}
	a := answer{Outcome: result.Outcome, Reason: debug.Reason}
	if len(result.IdentityEngine) > 0 {
		a.Text = result.IdentityEngine[0].Text
		if debug.DecisionID != "" { // it is different in each answer, so put back the {id} of the policy's text
			a.Text = strings.ReplaceAll(a.Text, debug.DecisionID, "{id}")
		}
	}
	return a
}

// awaitAnswer waits until a registration has the wanted result, because rules come into force a moment after they are
// stored.
func (op *operator) awaitAnswer(t *testing.T, address string, want answer) {
	t.Helper()
	var got answer
	deadline := time.Now().Add(patience)
	for {
		if got = op.register(t, address); got == want {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: got %+v, want %+v", address, got, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stop sends a signal and waits for the end.
func (op *operator) stop(t *testing.T, signal syscall.Signal) error {
	t.Helper()
	if err := op.process.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	select {
	case <-op.exited:
		return op.err
	case <-time.After(patience):
		t.Fatal("the operator did not end")
		return nil
	}
}
