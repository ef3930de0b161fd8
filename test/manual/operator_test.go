package manual

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

const (
	// authHeader is the header with the credential: the default of the programs, of the chart and of the pages.
	authHeader = hookserver.DefaultAuthHeader
	credential = "a-credential-of-the-manual-and-of-nobody-else"
)

// operator is a running operator with the flags of the chart.
type operator struct {
	hookURL, metricsURL string
	authDir             string
	process             *exec.Cmd
	log                 *fixture.Transcript
	exited              chan struct{}
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// policies returns a directory with one file for each policy.
func policies(t *testing.T, texts ...string) string {
	t.Helper()
	dir := t.TempDir()
	for i, text := range texts {
		write(t, filepath.Join(dir, string(rune('a'+i))+".yaml"), text)
	}
	return dir
}

// policy returns a policy as YAML. spec is in YAML's flow style.
func policy(name, spec string) string {
	return "apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\nmetadata: {name: " + name + "}\nspec: " + spec + "\n"
}

// start starts an operator on free ports, and waits until its log has their addresses.
func start(t *testing.T, flags ...string) *operator {
	t.Helper()
	op := &operator{authDir: t.TempDir(), log: &fixture.Transcript{}, exited: make(chan struct{})}
	write(t, filepath.Join(op.authDir, "okta"), credential+"\n")
	flags = append([]string{
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
		"--hook-auth-dir", op.authDir, "--drain-delay", "0s",
	}, flags...)
	op.process = exec.Command(filepath.Join(programs, "operator"), flags...)
	op.process.Env = []string{"HOME=" + t.TempDir()}
	op.process.Stderr = op.log
	if err := op.process.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		_ = op.process.Wait()
		close(op.exited)
	}()
	t.Cleanup(func() {
		op.stop()
		if t.Failed() {
			t.Logf("log of the operator:\n%s", op.log)
		}
	})
	var starting struct{ Hook, Metrics string }
	fixture.Await(t, "the line that says where the operator listens", func() bool {
		select {
		case <-op.exited:
			t.Fatalf("the operator ended at once: %s", op.log)
		default:
		}
		for line := range strings.Lines(op.log.String()) {
			if strings.Contains(line, `"msg":"Starting"`) {
				return json.Unmarshal([]byte(line), &starting) == nil
			}
		}
		return false
	})
	op.hookURL, op.metricsURL = "http://"+starting.Hook+"/okta/registration", "http://"+starting.Metrics
	return op
}

// startReady starts an operator and waits until it has rules.
func startReady(t *testing.T, flags ...string) *operator {
	t.Helper()
	op := start(t, flags...)
	fixture.Await(t, "readiness", func() bool { return op.get(t, "/readyz").status == http.StatusOK })
	return op
}

func (op *operator) stop() {
	_ = op.process.Process.Kill()
	<-op.exited
}

type reply struct {
	status int
	body   string
}

func send(t *testing.T, request *http.Request) reply {
	t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{response.StatusCode, string(body)}
}

func (op *operator) get(t *testing.T, path string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, op.metricsURL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	return send(t, request)
}

// post sends a body, which may be malformed, with the credential.
func (op *operator) post(t *testing.T, body string) reply {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, op.hookURL, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(authHeader, credential)
	return send(t, request)
}

// register makes a registration as Okta does.
func (op *operator) register(t *testing.T, registration oktasim.Registration) oktasim.Result {
	t.Helper()
	return call(t, oktasim.Options{URL: op.hookURL, Header: authHeader, Credential: credential}, registration)
}

func call(t *testing.T, options oktasim.Options, registration oktasim.Registration) oktasim.Result {
	t.Helper()
	hook, err := oktasim.New(options)
	if err != nil {
		t.Fatal(err)
	}
	defer hook.Close()
	result, err := hook.Register(t.Context(), registration)
	if err != nil {
		t.Fatal(err)
	}
	return result
}

// signUp returns a sign-up with an address.
func signUp(address string) oktasim.Registration { return oktasim.Registration{Email: address} }

// reason returns the reason in an answer's debugContext.
func reason(t *testing.T, result oktasim.Result) string {
	t.Helper()
	return readDebugContext(t, result).Reason
}

// debugContext has members of an answer's debugContext.
type debugContext struct{ DecisionID, Reason string }

func readDebugContext(t *testing.T, result oktasim.Result) debugContext {
	t.Helper()
	var debug debugContext
	if err := json.Unmarshal([]byte(result.DebugContext), &debug); err != nil {
		t.Fatalf("debugContext %q: %v", result.DebugContext, err)
	}
	return debug
}

// await waits until a sign-up is decided with a reason, because rules come into force a moment after they are stored.
func (op *operator) await(t *testing.T, address, want string) oktasim.Result {
	t.Helper()
	var result oktasim.Result
	fixture.Await(t, address+" answered "+want, func() bool {
		result = op.register(t, signUp(address))
		return result.DebugContext != "" && reason(t, result) == want
	})
	return result
}

// awaitLog waits for a text in the log.
func (op *operator) awaitLog(t *testing.T, part string) {
	t.Helper()
	fixture.Await(t, "log line with "+part, func() bool { return strings.Contains(op.log.String(), part) })
}
