package hookserver

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/rules"
)

// benchedCall is a call without a socket: its request and the writer of its answer are used again and again, so that
// only what the handler does is measured.
type benchedCall struct {
	server  *Server
	request *http.Request
	body    bytes.Reader
	text    []byte
	header  http.Header
	status  int
	answer  []byte
}

// Header, WriteHeader, Write and SetReadDeadline make a benchedCall an http.ResponseWriter like that of net/http.
func (c *benchedCall) Header() http.Header    { return c.header }
func (c *benchedCall) WriteHeader(status int) { c.status = status }
func (c *benchedCall) Write(p []byte) (int, error) {
	c.answer = append(c.answer[:0], p...)
	return len(p), nil
}

// SetReadDeadline does nothing.
func (c *benchedCall) SetReadDeadline(time.Time) error { return nil }

// newBenchedCall returns a call with this address to a server as the operator runs it, with 10 policies of 100 domains.
func newBenchedCall(tb testing.TB, address string) *benchedCall {
	tb.Helper()
	policies := make([]rules.Policy, 10)
	for i := range policies {
		policies[i].PolicyName = rules.PolicyName{Namespace: "okta", Name: fmt.Sprintf("policy-%02d", i)}
		policies[i].Message = "Please sign up with your company address."
		for j := range 100 {
			policies[i].Allow.Domains = append(policies[i].Allow.Domains, fmt.Sprintf("company-%04d.example.com", 100*i+j))
		}
	}
	dir := tb.TempDir()
	writeFile(tb, dir, "current", secret)
	files, err := credentials.Load(dir, logr.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	server, err := New(Options{
		Store: storeOf(policies...), Credentials: files, Registerer: prometheus.NewRegistry(),
		Logger:      logr.FromSlogHandler(slog.NewJSONHandler(struct{ io.Writer }{io.Discard}, nil)).WithName("hook"),
		DecisionLog: &DecisionLog{Writer: io.Discard, Name: "hook"},
	})
	if err != nil {
		tb.Fatal(err)
	}
	c := &benchedCall{server: server, header: http.Header{}, text: []byte(signUp(address, address))}
	c.request, err = http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://hook"+DefaultPath, nil)
	if err != nil {
		tb.Fatal(err)
	}
	c.request.Header = http.Header{
		"Authorization": {secret}, "Content-Type": {"application/json"}, "User-Agent": {"Okta-Integrations"},
		requestIDHeader: {"reqQFcZNuvhRj2VZbngrI2ZJA"},
	}
	c.request.ContentLength = int64(len(c.text))
	c.request.Body = io.NopCloser(&c.body)
	return c
}

// make makes the call once.
func (c *benchedCall) make() {
	clear(c.header)
	c.body.Reset(c.text)
	c.server.serve(c, c.request)
}
