package hookserver

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/rules"
)

const (
	secret = "Basic c2VjcmV0LXNlY3JldC1zZWNyZXQ="
	// patience is how long a test waits for what must happen; it happens within milliseconds.
	patience = 20 * time.Second
)

// running is a server on a real listener, with what it writes.
type running struct {
	t        *testing.T
	server   *Server
	store    *rules.Store
	registry *prometheus.Registry
	log      *logLines
	address  string
	dir      string // of the credentials
}

// run starts a server that accepts secret, with one policy that allows example.com.
func run(t *testing.T, change ...func(*Options)) *running {
	t.Helper()
	r := &running{t: t, store: new(rules.Store), registry: prometheus.NewPedanticRegistry(), log: new(logLines), dir: t.TempDir()}
	writeFile(t, r.dir, "current", secret+"\n")
	files, err := credentials.Load(r.dir, r.log.logger())
	if err != nil {
		t.Fatal(err)
	}
	options := Options{
		Store: r.store, Credentials: files, Registerer: r.registry, Logger: r.log.logger(), DecisionLog: &DecisionLog{Writer: r.log},
	}
	for _, change := range change {
		change(&options)
	}
	r.publish(allowing("example.com"))
	if r.server, err = New(options); err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.address = listener.Addr().String()
	served := make(chan error, 1)
	go func() { served <- r.server.Serve(listener, nil) }()
	t.Cleanup(func() {
		if err := r.server.Shutdown(t.Context()); err != nil {
			r.server.http.Close() // the test's context has ended; calls that a test left open are cut off
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return r
}

func allowing(domains ...string) rules.Policy {
	return rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "okta", Name: "partners"},
		Allow:      rules.AllowRules{Domains: domains},
	}
}

func (r *running) publish(policies ...rules.Policy) {
	snapshot, _ := rules.Compile(policies)
	r.store.Publish(snapshot)
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
}

// post sends a body with the accepted credential; change may alter the request.
func (r *running) post(body string, change ...func(*http.Request)) answer {
	r.t.Helper()
	request, err := http.NewRequest(http.MethodPost, "http://"+r.address+DefaultPath, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	request.Header.Set("Authorization", secret)
	request.Header.Set("Content-Type", "application/json")
	for _, change := range change {
		change(request)
	}
	return r.do(request)
}

func (r *running) do(request *http.Request) answer {
	r.t.Helper()
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		r.t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header, string(body)}
}

// oktaAnswer is an answer as Okta reads it.
type oktaAnswer struct {
	Commands []struct {
		Type  string
		Value map[string]any
	}
	Error *struct {
		ErrorSummary string
		ErrorCauses  []struct{ ErrorSummary, Reason, LocationType, Location, Domain string }
	}
	DebugContext json.RawMessage
}

// read checks what every 200 promises, and returns the outcome.
func (a answer) read(t *testing.T) (outcome string, read oktaAnswer) {
	t.Helper()
	if a.status != http.StatusOK {
		t.Fatalf("status %d, body %q", a.status, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
	if got := a.header.Get("Content-Length"); got != fmt.Sprint(len(a.body)) {
		t.Errorf("Content-Length %q of %d", got, len(a.body))
	}
	if err := json.Unmarshal([]byte(a.body), &read); err != nil {
		t.Fatal(err)
	}
	updates := 0
	for _, command := range read.Commands {
		if command.Type == "com.okta.action.update" {
			updates++
			outcome, _ = command.Value["registration"].(string)
		}
	}
	if updates != 1 {
		t.Errorf("%d commands com.okta.action.update", updates)
	}
	switch outcome {
	case "ALLOW":
		if strings.Contains(a.body, `"error"`) {
			t.Errorf("an allow with an error: %s", a.body)
		}
	case "DENY":
		if read.Error == nil || len(read.Error.ErrorCauses) != 1 {
			t.Fatalf("a denial without one cause: %s", a.body)
		}
		cause := read.Error.ErrorCauses[0]
		if cause.ErrorSummary != read.Error.ErrorSummary || cause.ErrorSummary == "" {
			t.Errorf("summary %q, the cause's %q", read.Error.ErrorSummary, cause.ErrorSummary)
		}
		if cause.LocationType != "body" || cause.Domain != "end-user" || !strings.HasPrefix(cause.Location, "data.userProfile.") {
			t.Errorf("cause %+v", cause)
		}
	default:
		t.Errorf("registration %q", outcome)
	}
	if n := len(read.DebugContext); n == 0 || n > 1024 {
		t.Errorf("debugContext of %d bytes", n)
	}
	return outcome, read
}

// reason returns the reason in the debugContext.
func (a answer) reason(t *testing.T) string {
	t.Helper()
	_, read := a.read(t)
	var debug struct{ Reason string }
	if err := json.Unmarshal(read.DebugContext, &debug); err != nil {
		t.Fatal(err)
	}
	return debug.Reason
}

// signUp is a call of Okta's with these attributes.
func signUp(email, login string) string {
	return call("userProfile", map[string]any{"email": email, "login": login, "firstName": "A"})
}

func call(profile string, attributes any) string {
	body, err := json.Marshal(map[string]any{
		"eventType": "com.okta.user.pre-registration",
		"eventId":   "GOsk4z6tSSeZo6X08MvKaw",
		"source":    "rul1bufGk5dJdRYw50g4",
		"data": map[string]any{
			"context": map[string]any{"request": map[string]any{"id": "XWVxW2zcaH5-Ii74OsI6CgAACJw"}},
			profile:   attributes,
		},
	})
	if err != nil {
		panic(err)
	}
	return string(body)
}

// metrics returns all metrics as text.
func (r *running) metrics() string {
	r.t.Helper()
	families, err := r.registry.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			r.t.Fatal(err)
		}
	}
	return text.String()
}

// hasMetric checks that the line stands in the metrics.
func (r *running) hasMetric(line string) {
	r.t.Helper()
	for got := range strings.Lines(r.metrics()) {
		if strings.TrimSpace(got) == metricPrefix+line {
			return
		}
	}
	name, _, _ := strings.Cut(line, "{")
	name, _, _ = strings.Cut(name, " ")
	var near strings.Builder
	for got := range strings.Lines(r.metrics()) {
		if strings.HasPrefix(got, metricPrefix+name) && near.Len() < 4000 {
			near.WriteString(got)
		}
	}
	r.t.Errorf("no metric %s; there are\n%s", line, cmp.Or(near.String(), "none of that name"))
}

// logLines collects log lines as JSON.
type logLines struct {
	mutex sync.Mutex
	lines []string
}

func (l *logLines) logger() logr.Logger {
	return logr.FromSlogHandler(slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(
		_ []string, attribute slog.Attr,
	) slog.Attr {
		if attribute.Key == "err" { // as the operator does
			attribute.Key = "error"
		}
		return attribute
	}}))
}

// Write takes a line.
func (l *logLines) Write(line []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.lines = append(l.lines, strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

func (l *logLines) text() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return strings.Join(l.lines, "\n")
}

// with returns the lines of one message, decoded.
func (l *logLines) with(t *testing.T, message string) []map[string]any {
	t.Helper()
	var found []map[string]any
	for line := range strings.Lines(l.text()) {
		var values map[string]any
		if err := json.Unmarshal([]byte(line), &values); err != nil {
			t.Fatalf("%v: %s", err, line)
		}
		if values["msg"] == message {
			found = append(found, values)
		}
	}
	return found
}

func writeFile(t testing.TB, dir, name, content string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !condition(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}
