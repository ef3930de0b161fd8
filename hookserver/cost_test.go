package hookserver

import (
	"bytes"
	"io"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/cost"
)

// operations are what the server does for a call, from the parsed request to the last byte of the answer, without what
// net/http does.
func operations(tb testing.TB) []cost.Operation {
	tb.Helper()
	const allowed, denied = "rosario.jones@example.com", "rosario.jones@elsewhere.test"
	toNowhere := logr.FromSlogHandler(slog.NewJSONHandler(io.Discard, nil)) //nolint:sloglint // the line is formatted, then dropped
	return []cost.Operation{
		{Name: "answer/allowed", Allocations: 20, Run: runDryRun(tb, allowed)},
		{Name: "answer/denied", Allocations: 23, Run: runDryRun(tb, denied)},
		{Name: "handler/allowed", Allocations: 53, Run: runHandler(tb, allowed, toNowhere)},
		{Name: "handler/denied", Allocations: 56, Run: runHandler(tb, denied, toNowhere)},
		{Name: "handler/allowed without its log line", Allocations: 51, Run: runHandler(tb, allowed, logr.Discard())},
	}
}

func BenchmarkCost(b *testing.B) { cost.Benchmark(b, operations(b)) }

func TestCost(t *testing.T) { cost.Check(t, operations(t)) }

// callFrom returns the body of a sign-up with an address.
func callFrom(tb testing.TB, address string) []byte {
	tb.Helper()
	call, err := oktasim.Registration{
		Email: address, EventID: "04Dmt8BcT_aEgM", RequestID: "reqQFcZNuvhRj2VZbngrI2ZJA",
	}.Call()
	if err != nil {
		tb.Fatal(err)
	}
	return call.Body
}

// runDryRun returns a function that decides a call and encodes the answer.
func runDryRun(tb testing.TB, address string) func() {
	tb.Helper()
	request, err := okta.Decode(callFrom(tb, address), DefaultAddressAttributes())
	if err != nil {
		tb.Fatal(err)
	}
	snapshot, _ := rules.Compile([]rules.Policy{allowing("example.com")})
	return func() {
		if _, err := DryRun(&request, snapshot, "A23456789012345678901234567", Options{}); err != nil {
			tb.Error(err)
		}
	}
}

// runHandler returns a function that has a call answered by the whole handler, without sockets.
func runHandler(tb testing.TB, address string, logger logr.Logger) func() {
	tb.Helper()
	dir := tb.TempDir()
	writeFile(tb, dir, "current", secret)
	credentials, err := LoadCredentials(dir, logr.Discard())
	if err != nil {
		tb.Fatal(err)
	}
	store := new(rules.Store)
	snapshot, _ := rules.Compile([]rules.Policy{allowing("example.com")})
	store.Publish(snapshot)
	server, err := New(Options{Store: store, Credentials: credentials, Registerer: prometheus.NewRegistry(), Logger: logger})
	if err != nil {
		tb.Fatal(err)
	}
	body := callFrom(tb, address)
	request, err := http.NewRequestWithContext(tb.Context(), http.MethodPost, "http://hook.test"+DefaultPath, http.NoBody)
	if err != nil {
		tb.Fatal(err)
	}
	request.Header.Set("Authorization", secret)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set(requestIDHeader, "reqQFcZNuvhRj2VZbngrI2ZJA")
	request.ContentLength = int64(len(body))
	handler, reader, answer := server.Handler(), new(rewound), &discarded{header: http.Header{}}
	return func() {
		reader.Reset(body)
		request.Body = reader
		clear(answer.header)
		handler.ServeHTTP(answer, request)
		if answer.status != http.StatusOK {
			tb.Error(answer.status)
		}
	}
}

// rewound is a request body that is read again and again.
type rewound struct{ bytes.Reader }

// Close does nothing.
func (*rewound) Close() error { return nil }

// discarded is an answer of which only the status is kept.
type discarded struct {
	header http.Header
	status int
}

// Header returns the header.
func (d *discarded) Header() http.Header { return d.header }

// WriteHeader keeps the status.
func (d *discarded) WriteHeader(status int) { d.status = status }

// SetReadDeadline does nothing; a connection has it.
func (*discarded) SetReadDeadline(time.Time) error { return nil }

// Write drops the text.
func (*discarded) Write(text []byte) (int, error) { return len(text), nil }
