package call

import (
	"bufio"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

const (
	hookHost       = "hook.example.com"
	hookURL        = "https://" + hookHost + "/okta/registration"
	hookCredential = "Basic cmVncG9sOmEtc2VjcmV0LW9mLXRoZS10ZXN0"
)

// runningOperator is an operator on the quick start's policies, over TLS, and what is needed to call it.
type runningOperator struct {
	address        string // of its listener
	ca, credential string // files
}

// startOperator builds and starts the operator.
func startOperator(t *testing.T) runningOperator {
	t.Helper()
	dir := t.TempDir()
	binary := filepath.Join(dir, "operator")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "./cmd/operator")
	build.Dir = verbtest.WorkTree
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, text)
	}
	op := runningOperator{credential: filepath.Join(dir, "auth", "okta"), ca: filepath.Join(dir, "tls", "tls.crt")}
	verbtest.WriteTo(t, op.credential, hookCredential+"\n")
	verbtest.WriteCertificate(t, filepath.Join(dir, "tls"), hookHost)
	process := exec.CommandContext(t.Context(), binary,
		"--policy-dir", filepath.Join(verbtest.WorkTree, "config/samples/quickstart"), "--hook-auth-dir", filepath.Dir(op.credential),
		"--hook-tls-dir", filepath.Dir(op.ca), "--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0",
		"--metrics-bind-address", "127.0.0.1:0", "--drain-delay", "0s")
	process.Env = []string{"HOME=" + dir}
	log, err := process.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	addresses := make(chan string, 1)
	go func() {
		defer close(ended)
		for lines := bufio.NewScanner(log); lines.Scan(); {
			var line struct{ Hook string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Hook != "" {
				addresses <- line.Hook
			}
		}
	}()
	t.Cleanup(func() {
		_ = process.Process.Kill()
		<-ended
		_ = process.Wait()
	})
	select {
	case op.address = <-addresses:
	case <-ended:
		t.Fatal("the operator ended at once")
	}
	return op
}

// flags are the flags with which a call of hookURL reaches the operator, and trusts its certificate.
func (op runningOperator) flags() []string {
	return []string{
		"--resolve", hookHost + ":443:" + op.address, "--ca-file", op.ca, "--credential-file", op.credential,
	}
}
