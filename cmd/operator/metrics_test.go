package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/oauthissuer"
	"registrationpolicy.dev/operator/test/reference"
)

const (
	metricsPage = "../../docs/reference/metrics.md"

	testCredential = "a-credential-of-the-test"
)

// onFreePorts are the flags of an operator that a test starts.
var onFreePorts = []string{
	"--hook-bind-address=127.0.0.1:0", "--probe-bind-address=127.0.0.1:0", "--metrics-bind-address=127.0.0.1:0", "--drain-delay=0s",
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func newTestOperator(t *testing.T, logger logr.Logger, flags ...string) *operator {
	t.Helper()
	o, err := parseOptions(append(slices.Clone(onFreePorts), flags...), nil)
	if err != nil {
		t.Fatal(err)
	}
	op, err := newOperator(o, logger, nil)
	if err != nil {
		t.Fatal(err)
	}
	return op
}

// runInDirectory runs an operator on a policy file until the end of the test.
func runInDirectory(t *testing.T, logger logr.Logger, policies string, flags ...string) *operator {
	t.Helper()
	dir, auth := t.TempDir(), t.TempDir()
	write(t, dir, "policies.yaml", policies)
	write(t, auth, "current", testCredential)
	op := newTestOperator(t, logger, append(flags, "--policy-dir", dir, "--hook-auth-dir", auth)...)
	signals := make(chan os.Signal, 1)
	ended := make(chan error)
	go func() { ended <- op.run(signals) }()
	t.Cleanup(func() {
		signals <- syscall.SIGTERM
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for begin := time.Now(); !op.ready.listening.Load(); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the hook does not listen")
		}
	}
	return op
}

// post makes a call, and returns the status of its answer.
func (op *operator) post(t *testing.T, credential, body string) int {
	t.Helper()
	url := "http://" + op.listeners.hook.Addr().String() + op.options.hookPath
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", credential)
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode
}

func signUp(address string) string {
	return fmt.Sprintf(`{"eventType":"com.okta.user.pre-registration","source":"rul1","data":{"userProfile":{"email":%q}}}`, address)
}

// served is one metric as Prometheus sees it.
type served struct {
	kind   string
	labels []string
}

// gathered returns what an operator serves at /metrics, running or not.
func (op *operator) gathered(t *testing.T) map[string]served {
	t.Helper()
	recorder := httptest.NewRecorder()
	op.metrics.Handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(recorder.Body)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]served{}
	for name, family := range families {
		one := served{kind: strings.ToLower(family.GetType().String())}
		for _, label := range family.GetMetric()[0].GetLabel() {
			one.labels = append(one.labels, label.GetName())
		}
		all[name] = one
	}
	return all
}

const testPolicies = `
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: acme}
spec: {allow: {domains: [acme.com]}}
---
apiVersion: registrationpolicy.dev/v1alpha1
kind: RegistrationPolicy
metadata: {name: trial}
spec: {mode: Audit, allow: {domains: ["*"]}}
`

func TestTheMetricsPageListsWhatAnOperatorServesInBothModes(t *testing.T) {
	withFiles := runInDirectory(t, logr.Discard(), testPolicies, oauthFlags(oauthissuer.Start(t, oauthissuer.RSA("k1", 2048)))...)
	waitForKeys(t, withFiles)
	for credential, want := range map[string]int{testCredential: http.StatusOK, "another": http.StatusUnauthorized} {
		if got := withFiles.post(t, credential, signUp("jo@acme.com")); got != want {
			t.Fatalf("a call with the credential %q: %d, want %d", credential, got, want)
		}
	}
	kubeconfig := write(t, t.TempDir(), "kubeconfig", `{apiVersion: v1, kind: Config, current-context: c,
clusters: [{name: c, cluster: {server: "https://127.0.0.1:9"}}], contexts: [{name: c, context: {cluster: c}}]}`)
	inCluster := newTestOperator(t, logr.Discard(), "--kubeconfig", kubeconfig, "--namespace", "own", "--insecure-no-authentication",
		"--hook-tls-dir", certificateFiles(t))
	t.Cleanup(func() { _ = inCluster.listeners.Close() })

	var want []string
	labels := map[string]bool{}
	libraries := map[string]bool{}
	for _, op := range []*operator{withFiles, inCluster} {
		for name, metric := range op.gathered(t) {
			if !strings.HasPrefix(name, "registration_policy_") {
				libraries[prefixOf(name)] = true
				continue
			}
			var names []string
			for _, label := range metric.labels {
				names = append(names, "`"+label+"`")
				labels[label] = true
			}
			if row := "`" + name + "` | " + metric.kind + " | " + dash(names); !slices.Contains(want, row) {
				want = append(want, row)
			}
		}
	}
	for i, row := range want {
		want[i] = inPageOrder(row)
	}
	for _, difference := range reference.Differences(metricsPage, "Metrics of the operator", want, 3) {
		t.Error(difference)
	}
	rows, err := reference.Table(metricsPage, "Values of labels")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		label, _, _ := strings.Cut(row[0], " ")
		delete(labels, strings.Trim(label, "`"))
	}
	for label := range labels {
		t.Errorf("%s: no values of the label %s", metricsPage, label)
	}
	for prefix := range libraries {
		if !slices.Contains(libraryPrefixes, prefix) {
			t.Errorf("%s is not among the prefixes of the libraries' metrics", prefix)
		}
	}
}

// certificateFiles returns a directory with tls.crt and tls.key: the pair that net/http's own tests use.
func certificateFiles(t *testing.T) string {
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
	return dir
}

func TestTheMetricOfReadinessFollowsReadyz(t *testing.T) {
	ready := &readiness{store: &rules.Store{}}
	metric := newReadyMetric(ready)
	wantReady := func(want float64, when string) {
		t.Helper()
		if got := testutil.ToFloat64(metric); got != want {
			t.Errorf("%s: %v, want %v", when, got, want)
		}
	}
	wantReady(0, "before there are rules")
	snapshot, _ := rules.Compile(nil)
	ready.store.Publish(snapshot)
	wantReady(0, "before the hook listens")
	ready.listening.Store(true)
	wantReady(1, "with rules")
	ready.draining.Store(true)
	wantReady(0, "while draining")
}

// inPageOrder sorts labels in the order of the page; the exposition format sorts them by name.
func inPageOrder(row string) string {
	return strings.NewReplacer("`enforceable`, `mode`", "`mode`, `enforceable`", "`outcome`, `policy`", "`policy`, `outcome`").Replace(row)
}

func dash(cells []string) string {
	if len(cells) == 0 {
		return "–"
	}
	return strings.Join(cells, ", ")
}

// libraryPrefixes begin the names of metrics that are not ours.
var libraryPrefixes = []string{"controller_runtime_", "workqueue_", "rest_client_", "certwatcher_", "go_", "process_"}

func prefixOf(name string) string {
	for _, prefix := range libraryPrefixes {
		if strings.HasPrefix(name, prefix) {
			return prefix
		}
	}
	return name
}

func TestTheMetricsPageListsTheLibrariesAndTheValuesOfLabels(t *testing.T) {
	var want []string
	for _, prefix := range libraryPrefixes {
		want = append(want, "`"+prefix+"`")
	}
	for _, difference := range reference.Differences(metricsPage, "Metrics of the libraries", want, 1) {
		t.Error(difference)
	}

	var reasons, shapes []string
	for _, reason := range rules.Reasons() {
		reasons = append(reasons, string(reason))
	}
	for _, shape := range []rules.Shape{rules.SignUp, rules.ProfileUpdate, rules.Both, rules.UnrecognisedShape} {
		shapes = append(shapes, shape.String())
	}
	refused, err := reference.Table("../../docs/reference/reasons.md", "Calls that are refused")
	if err != nil {
		t.Fatal(err)
	}
	codes := []string{"200"}
	for _, row := range refused {
		codes = append(codes, row[0])
	}
	slices.Sort(codes)
	results, err := reference.Texts("../../hookserver/authenticate.go", "auth")
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := reference.Texts("../../hookserver/oauth/cause.go", "Cause")
	if err != nil {
		t.Fatal(err)
	}
	results = append(results, tokens...)
	builds, err := reference.Texts("../../internal/publish/metrics.go", "build")
	if err != nil {
		t.Fatal(err)
	}
	faults, err := reference.Texts("../../internal/storedsnapshot/metrics.go", "fault")
	if err != nil {
		t.Fatal(err)
	}
	for label, values := range map[string][]string{
		"`fault`": faults, "`outcome`": {rules.Allow.String(), rules.Deny.String()}, "`reason`": reasons, "`request_type`": shapes,
		"`result` of `authentications_total`": results, "`result` of `oauth_key_fetches_total`": {"fetched", "failed"}, "`result` of `rules_builds_total`": builds,
		"`code`": slices.Compact(codes), "`mode`": {string(rules.Enforce), string(rules.Audit)}, "`enforceable`": {"true", "false"},
	} {
		row := label + " | `" + strings.Join(values, "`, `") + "`"
		rows, err := reference.Table(metricsPage, "Values of labels")
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(rows, func(cells []string) bool { return strings.Join(cells[:2], " | ") == row }) {
			t.Errorf("%s: missing, or not so: | %s |", metricsPage, row)
		}
	}
}

// lockedBuffer is written by an operator and read by a test.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
