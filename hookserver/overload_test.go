package hookserver

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
)

// gate is a log that blocks decided calls until it is opened, so that they stay in flight.
type gate struct {
	logr.LogSink

	opened chan struct{}
}

func (g gate) Info(level int, message string, keysAndValues ...any) {
	if message == "Decided" {
		<-g.opened
	}
	g.LogSink.Info(level, message, keysAndValues...)
}

func TestCallsBeyondTheLimitAreShedAtOnceWhileThoseWithinItAreAnswered(t *testing.T) {
	const limit, beyond = 8, 100
	opened := make(chan struct{})
	open := sync.OnceFunc(func() { close(opened) })
	server := run(t, func(o *Options) {
		o.MaxInFlight, o.DecisionLog = limit, nil
		o.Logger = logr.New(gate{o.Logger.GetSink(), opened})
	})
	t.Cleanup(open) // before the server's end, where the test fails before
	body := signUp("jo@example.com", "jo")
	within := make(chan answer, limit)
	for range limit {
		go func() { within <- server.post(body) }()
	}
	eventually(t, "the limit is reached", func() bool {
		return strings.Contains(server.metrics(), fmt.Sprintf("calls_in_flight %d\n", limit))
	})

	// All calls within the limit are still in flight, so those beyond it must be refused at once.
	var callers sync.WaitGroup
	for range beyond {
		callers.Go(func() {
			got := server.post(body)
			if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") != retryAfter {
				t.Errorf("beyond the limit: status %d, Retry-After %q", got.status, got.header.Get("Retry-After"))
			}
			if want := `{"error":"unavailable"}` + "\n"; got.body != want {
				t.Errorf("beyond the limit: body %q, want %q", got.body, want)
			}
		})
	}
	callers.Wait()
	// Other refusals keep their own status.
	if got := server.post(body, func(r *http.Request) { r.Header.Del("Authorization") }); got.status != http.StatusUnauthorized {
		t.Errorf("a stranger: status %d", got.status)
	}
	server.hasMetric(fmt.Sprintf("calls_shed_total %d", beyond))
	server.hasMetric(fmt.Sprintf(`http_requests_total{code="503"} %d`, beyond))
	if n := len(within); n > 0 {
		t.Fatalf("%d calls ended while the gate was closed: the test proves nothing", n)
	}

	open()
	for range limit {
		if outcome, _ := (<-within).read(t); outcome != "ALLOW" {
			t.Errorf("within the limit: %s", outcome)
		}
	}
	server.hasMetric("calls_in_flight 0")
	if outcome, _ := server.post(body).read(t); outcome != "ALLOW" {
		t.Errorf("after the rush: %s", outcome)
	}
}

// Connections, handshakes, headers and bodies are not limited by MaxInFlight: a caller that is stuck in one of them
// does not delay others.
func TestStuckCallersDoNotDelayOthers(t *testing.T) {
	const stuck = 50 // in each way
	certificate := httptest.NewUnstartedServer(nil)
	certificate.StartTLS()
	t.Cleanup(certificate.Close)
	server, err := New(Options{
		Store: storeOf(allowing("example.com")), InsecureNoAuthentication: true, Registerer: prometheus.NewPedanticRegistry(), MaxInFlight: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener, &tls.Config{Certificates: certificate.TLS.Certificates}) }()
	t.Cleanup(func() {
		_ = server.http.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	address := listener.Addr().String()
	secure := certificate.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	secure.ServerName = "example.com" // of httptest's certificate

	for range stuck {
		silent(t, address) // no handshake, and then the beginning of one
		io.WriteString(silent(t, address), "\x16\x03\x01\x02\x00")
		for _, said := range []string{
			"",
			"POST " + DefaultPath + " HTTP/1.1\r\nHost: x\r\nX-Long: ",
			"POST " + DefaultPath + " HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{",
		} {
			conn := tls.Client(silent(t, address), secure)
			if err := conn.Handshake(); err != nil {
				t.Fatal(err)
			}
			io.WriteString(conn, said)
		}
	}
	for range 3 {
		transport := certificate.Client().Transport.(*http.Transport).Clone() // a connection of its own
		request, err := http.NewRequest(http.MethodPost, "https://"+address+DefaultPath, strings.NewReader(signUp("jo@example.com", "jo")))
		if err != nil {
			t.Fatal(err)
		}
		response, err := transport.RoundTrip(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		transport.CloseIdleConnections()
		if response.StatusCode != http.StatusOK {
			t.Errorf("status %d", response.StatusCode)
		}
	}
}
