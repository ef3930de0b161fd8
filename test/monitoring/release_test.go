package monitoring

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/assets"
	"registrationpolicy.dev/operator/test/fixture"
	"registrationpolicy.dev/operator/test/oauthissuer"
)

const (
	credential    = "a-credential-of-the-test"
	newCredential = "another-credential-of-the-test"
)

// policies are chosen so that no query of the dashboard has an empty result.
const policies = `
apiVersion: v1
kind: ConfigMap
metadata: {name: disposable, labels: {registrationpolicy.dev/list: "true"}}
data: {entries: "mailinator.com\nyopmail.com\n"}
---
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: everyone}
spec: {allow: {domains: ["*"]}, deny: {domains: [bad.example], lists: [{configMap: {name: disposable}}]}}
---
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: trial}
spec: {mode: Audit, deny: {domains: [acme.com]}}
---
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: without-its-list}
spec: {appliesTo: {sources: [rul1broken]}, allow: {domains: [never.example]}, deny: {lists: [{configMap: {name: missing}}]}}
`

// release has two replicas with the flags of the chart, and a real API server.
type release struct {
	replicas []*replica
	issuer   *oauthissuer.Issuer
	key      *oauthissuer.Key
	client   *http.Client
}

// replica is a running operator.
type replica struct {
	pod              string
	hook, metricsURL string
	log              *fixture.Transcript
}

// startRelease starts a control plane, applies the policies, and waits until both replicas are ready and one leads.
func startRelease(t *testing.T) *release {
	t.Helper()
	plane := &envtest.Environment{CRDDirectoryPaths: []string{repository + "/config/crd/bases"}, ErrorIfCRDPathMissing: true}
	if _, err := plane.Start(); err != nil {
		t.Fatalf("start the control plane: %v", err)
	}
	t.Cleanup(func() { _ = plane.Stop() })
	dir := t.TempDir()
	kubeconfig := write(t, dir, "kubeconfig", string(plane.KubeConfig))
	kubectl := func(args ...string) {
		t.Helper()
		command(t, filepath.Join(os.Getenv(assets.Variable), "kubectl"), append([]string{"--kubeconfig", kubeconfig}, args...)...)
	}
	kubectl("create", "namespace", releaseNamespace)
	kubectl("apply", "--namespace", releaseNamespace, "--filename", write(t, dir, "policies.yaml", policies))

	binary := filepath.Join(dir, "operator")
	command(t, "go", "-C", repository, "build", "-o", binary, "./cmd/operator") // in the operator's module, with its dependencies
	key := oauthissuer.RSA("k1", 2048)
	r := &release{key: key, issuer: oauthissuer.Start(t, key)}
	tlsDir, roots := certificateFiles(t)
	r.client = &http.Client{Timeout: patience, Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}}
	t.Cleanup(r.client.CloseIdleConnections)
	auth := t.TempDir()
	write(t, auth, "okta", credential)
	write(t, auth, "okta-2", newCredential)
	for _, pod := range []string{"hook-a", "hook-b"} {
		snapshots := filepath.Join(dir, "snapshots-of-"+pod)
		if err := os.Mkdir(snapshots, 0o700); err != nil {
			t.Fatal(err)
		}
		r.start(t, pod, binary, "--kubeconfig", kubeconfig, "--namespace", releaseNamespace, "--hook-auth-dir", auth,
			"--hook-auth-header", "X-Registration-Hook-Key", "--hook-tls-dir", tlsDir, "--drain-delay", "0s", "--hook-oauth-issuer", r.issuer.URL,
			"--hook-oauth-audience", oauthissuer.Audience, "--hook-oauth-client-id", oauthissuer.ClientID, "--hook-oauth-scope", oauthissuer.Scope,
			"--hook-oauth-ca-file", r.issuer.CAFile, "--snapshot-dir", snapshots)
	}
	for _, replica := range r.replicas {
		fixture.Await(t, replica.pod+" is ready and has the keys of tokens", func() bool {
			text := string(replica.scrape(t, r.client))
			return strings.Contains(text, "\nregistration_policy_ready 1\n") && strings.Contains(text, "\nregistration_policy_oauth_keys 1\n")
		})
	}
	fixture.Await(t, "a replica leads", func() bool {
		for _, replica := range r.replicas {
			if strings.Contains(string(replica.scrape(t, r.client)), "\nregistration_policy_leader 1\n") {
				return true
			}
		}
		return false
	})
	return r
}

func (r *release) start(t *testing.T, pod, binary string, flags ...string) {
	t.Helper()
	replica := &replica{pod: pod, log: &fixture.Transcript{}}
	process := exec.Command(binary, append(flags,
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0")...)
	process.Env = []string{
		"HOME=" + t.TempDir(), "REGISTRATION_POLICY_REPLICA_NAME=" + pod, "REGISTRATION_POLICY_SNAPSHOT_DIR=" + t.TempDir(), // as the chart
	}
	process.Stderr = replica.log
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = process.Process.Kill()
		_ = process.Wait()
		if t.Failed() {
			t.Logf("log of %s:\n%s", pod, replica.log)
		}
	})
	fixture.Await(t, pod+" says where it listens", func() bool {
		for line := range strings.Lines(replica.log.String()) {
			var said struct{ Msg, Hook, Metrics string }
			if json.Unmarshal([]byte(line), &said) == nil && said.Msg == "Starting" {
				replica.hook, replica.metricsURL = "https://"+said.Hook+"/okta/registration", "http://"+said.Metrics+"/metrics"
				return true
			}
		}
		return false
	})
	r.replicas = append(r.replicas, replica)
}

// certificateFiles returns a directory with tls.crt and tls.key, and a pool with the CA. They are those of package
// httptest.
func certificateFiles(t *testing.T) (string, *x509.CertPool) {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	pair := server.TLS.Certificates[0]
	key, err := x509.MarshalPKCS8PrivateKey(pair.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "tls.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	write(t, dir, "tls.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	return dir, roots
}

// scrape returns what the replica serves at /metrics.
func (p *replica) scrape(t *testing.T, client *http.Client) []byte {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.metricsURL, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v", p.metricsURL, answer.StatusCode, err)
	}
	return text
}

// call is a call of Okta, or an unauthenticated one.
type call struct {
	header, credential string
	registration       oktasim.Registration
	want               int
}

// receive makes calls of all kinds to each replica: with each kind of valid and invalid credential, for each outcome,
// and of each shape.
func (r *release) receive(t *testing.T) {
	t.Helper()
	const own = "X-Registration-Hook-Key"
	signUp := func(address string) oktasim.Registration { return oktasim.Registration{Email: address, Login: address} }
	progressive := oktasim.Registration{Shape: oktasim.ProgressiveProfile, Update: map[string]any{"department": "Sales"}}
	token := "Bearer " + r.issuer.Token(r.key)
	expired := "Bearer " + r.issuer.Token(r.key, func(claims map[string]any) { claims["exp"] = time.Now().Add(-time.Hour).Unix() })
	broken := signUp("jo@acme.com")
	broken.Source = "rul1broken"
	for _, replica := range r.replicas {
		for _, c := range []call{
			{own, credential, signUp("jo@acme.com"), http.StatusOK},
			{own, newCredential, signUp("jo@elsewhere.example"), http.StatusOK},
			{"Authorization", token, signUp("jo@mailinator.com"), http.StatusOK},
			{own, credential, signUp("jo@bad.example"), http.StatusOK},
			{own, credential, signUp("jo"), http.StatusOK},
			{own, credential, broken, http.StatusOK},
			{own, credential, progressive, http.StatusOK},
			{own, "a-wrong-credential", signUp("jo@acme.com"), http.StatusUnauthorized},
			{"X-None", "none", signUp("jo@acme.com"), http.StatusUnauthorized},
			{"Authorization", expired, signUp("jo@acme.com"), http.StatusUnauthorized},
		} {
			if got := r.post(t, replica.hook, c); got != c.want {
				t.Fatalf("%s %v: %d, want %d", replica.pod, c.registration, got, c.want)
			}
		}
	}
}

func (r *release) post(t *testing.T, hook string, c call) int {
	t.Helper()
	made, err := c.registration.Call()
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, hook, bytes.NewReader(made.Body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(c.header, c.credential)
	answer, err := r.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	return answer.StatusCode
}
