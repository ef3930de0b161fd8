package main

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

const (
	hookHost       = "hooks.example.com"
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
	build.Dir = root
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the operator: %v\n%s", err, text)
	}
	op := runningOperator{credential: filepath.Join(dir, "auth", "okta"), ca: filepath.Join(dir, "tls", "tls.crt")}
	writeTo(t, op.credential, hookCredential+"\n")
	writeCertificate(t, filepath.Join(dir, "tls"))
	process := exec.CommandContext(t.Context(), binary,
		"--policy-dir", filepath.Join(root, "config/samples/quickstart"), "--hook-auth-dir", filepath.Dir(op.credential),
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

func writeTo(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// writeCertificate writes tls.crt, of the hook's host and its own CA at once, and tls.key.
func writeCertificate(t *testing.T, dir string, hosts ...string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: hookHost}, DNSNames: append(hosts, hookHost),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(365 * 24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	writeTo(t, filepath.Join(dir, "tls.crt"), string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	writeTo(t, filepath.Join(dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
}
