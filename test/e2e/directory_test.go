package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

func TestEditingAFileChangesTheAnswerAndABadEditLeavesTheOldState(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "acme.yaml")
	write(t, file, acmePolicy)
	op := startReady(t, withDirectory(t, dir)...)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	op.awaitAnswer(t, "jo@acme.example", notAllowed)

	write(t, file, strings.ReplaceAll(acmePolicy, "acme.com", "acme.example"))
	op.awaitAnswer(t, "jo@acme.example", allowed)
	op.awaitAnswer(t, "jo@acme.com", notAllowed)

	write(t, file, strings.ReplaceAll(acmePolicy, "domains:", "domain:"))
	fixture.Await(t, "the refusal shows in readyz", func() bool {
		_, body, err := op.get(op.metricsURL + "/readyz")
		return err == nil && strings.Contains(body, "acme.yaml:7") && strings.Contains(body, "spec.allow.domain")
	})
	op.awaitAnswer(t, "jo@acme.example", allowed)
	if got := op.metric(t, "registration_policy_rules_stale"); got != "1" {
		t.Errorf("registration_policy_rules_stale: %q", got)
	}

	write(t, file, "") // as if an editor was interrupted
	fixture.Await(t, "the empty file shows in readyz", func() bool {
		_, body, err := op.get(op.metricsURL + "/readyz")
		return err == nil && strings.Contains(body, "acme.yaml:1: empty")
	})
	op.awaitAnswer(t, "jo@acme.example", allowed)

	write(t, file, acmePolicy)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	if got := op.metric(t, "registration_policy_rules_stale"); got != "0" {
		t.Errorf("registration_policy_rules_stale: %q", got)
	}
}

func TestARevokedCredentialIsRefusedAndItsSuccessorTaken(t *testing.T) {
	t.Parallel()
	dir, auth := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	write(t, filepath.Join(auth, "old"), "an-old-credential-of-okta")
	write(t, filepath.Join(auth, "new"), credential)
	op := startReady(t, "--policy-dir", dir, "--hook-auth-dir", auth)
	old, err := oktasim.New(oktasim.Options{URL: op.hookURL, Credential: "an-old-credential-of-okta"})
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close()
	call := func() oktasim.Result {
		result, err := old.Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
		if err != nil {
			t.Fatal(err)
		}
		return result
	}
	if got := call(); got.Outcome != oktasim.Registered {
		t.Fatalf("with the old credential: %v %v", got.Outcome, got.Faults)
	}
	remove(t, filepath.Join(auth, "old"))
	fixture.Await(t, "401 for the revoked credential", func() bool { return call().Status == 401 })
	op.awaitAnswer(t, "jo@acme.com", allowed)
	if log := op.log.String(); strings.Contains(log, "an-old-credential-of-okta") || strings.Contains(log, credential) {
		t.Error("a credential is in the log")
	}
}

func TestACertificateIsReplacedWithoutARestart(t *testing.T) {
	t.Parallel()
	dir, certificates := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	first := writeCertificate(t, certificates)
	op := startReady(t, withDirectory(t, dir, "--hook-tls-dir", certificates)...)
	op.hookURL = strings.Replace(op.hookURL, "http://", "https://", 1)
	register := func(roots *x509.CertPool) answer {
		result, err := op.okta(t, roots).Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
		if err != nil {
			t.Fatal(err)
		}
		return answerOf(t, result)
	}
	if got := register(first); got != allowed {
		t.Fatalf("over TLS: %+v", got)
	}
	second := writeCertificate(t, certificates)
	fixture.Await(t, "the new certificate is served", func() bool {
		return register(second) == allowed
	})
}

// writeCertificate writes a certificate for 127.0.0.1 and its key, and returns a pool with its CA.
func writeCertificate(t *testing.T, dir string) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "hook"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate})
	write(t, filepath.Join(dir, "tls.crt"), string(text))
	write(t, filepath.Join(dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(text)
	return pool
}

func TestAFlagCanBeGivenInTheEnvironment(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	t.Setenv("REGISTRATION_POLICY_TEXT_NOT_ALLOWED", "Not here.")
	op := startReady(t, withDirectory(t, dir)...)
	op.awaitAnswer(t, "jo@other.example", answer{oktasim.Denied, "Not here.", string(rules.ReasonNotAllowed)})
}
