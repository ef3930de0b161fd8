package hookserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/rules"
)

const (
	badCallsPerSecond = 10_000
	// concurrentBadCalls is the number of bad calls in flight, enough for that rate.
	concurrentBadCalls = 64
)

// BenchmarkGoodCallsInAFlood measures good calls with a token, one after the other on a keep-alive connection, while
// unauthenticated callers make 10,000 bad calls a second, each on a new connection. Load and servers share the machine;
// the flood of a bare net/http handler shows what the load alone costs.
func BenchmarkGoodCallsInAFlood(b *testing.B) {
	tokens := runTokens(b)
	forged := tokens.authorization()
	forged = forged[:len(forged)-8] + "AAAAAAAA"
	ours := serveBench(b, tokens)
	bare := serveBare(b)
	for _, flood := range []struct{ name, address, authorization string }{
		{"none", "", ""},
		{"to-a-bare-handler", bare, forged},
		{"opaque-values", ours, "Basic Z3Vlc3M6Z3Vlc3M="},
		{"tokens-of-garbage", ours, "Bearer aaaaaaaa.bbbbbbbb.cccccccc"},
		{"tokens-of-a-forged-signature", ours, forged},
	} {
		b.Run(flood.name, func(b *testing.B) {
			ctx, stop := context.WithCancel(b.Context())
			var bad atomic.Int64
			var flooding sync.WaitGroup
			if flood.address != "" {
				for range concurrentBadCalls {
					flooding.Go(func() { sendBadCalls(ctx, flood.address, flood.authorization, &bad) })
				}
			}
			good := newGoodCaller(b, ours, tokens.authorization())
			var took []time.Duration
			begin := time.Now()
			for b.Loop() {
				at := time.Now()
				good.call(b)
				took = append(took, time.Since(at))
			}
			elapsed := time.Since(begin)
			stop()
			flooding.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds()), "p99-µs")
			b.ReportMetric(float64(bad.Load())/elapsed.Seconds(), "bad/s")
		})
	}
}

// BenchmarkToken measures the verification of a token.
func BenchmarkToken(b *testing.B) {
	tokens := runTokens(b)
	good := strings.TrimPrefix(tokens.authorization(), "Bearer ")
	parts := strings.Split(good, ".")
	for name, token := range map[string]string{
		"good": good, "forged-signature": good[:len(good)-8] + "AAAAAAAA", "garbage": "aaaaaaaa.bbbbbbbb.cccccccc",
		"another-issuer": parts[0] + ".eyJpc3MiOiJ4In0." + parts[2],
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tokens.verifier.Verify(token)
			}
		})
	}
}

func serveBench(b *testing.B, tokens tokens) string {
	b.Helper()
	dir := b.TempDir()
	writeFile(b, dir, "current", secret)
	files, err := credentials.Load(dir, new(logLines).logger())
	if err != nil {
		b.Fatal(err)
	}
	store := new(rules.Store)
	snapshot, _ := rules.Compile([]rules.Policy{allowing("example.com")})
	store.Publish(snapshot)
	server, err := New(Options{Store: store, Credentials: files, OAuth: tokens.verifier, Registerer: prometheus.NewRegistry()})
	if err != nil {
		b.Fatal(err)
	}
	listener := listenBench(b)
	go func() { _ = server.Serve(listener, nil) }() // ends with the process's benchmark
	b.Cleanup(func() { _ = server.http.Close() })
	return listener.Addr().String()
}

func serveBare(b *testing.B) string {
	b.Helper()
	listener := listenBench(b)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = w.Write(refusalBodies[http.StatusUnauthorized])
	})}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return listener.Addr().String()
}

func listenBench(b *testing.B) net.Listener {
	b.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	return listener
}

func requestText(authorization, body string) []byte {
	return fmt.Appendf(nil, "POST %s HTTP/1.1\r\nHost: hook\r\nAuthorization: %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
		DefaultPath, authorization, len(body), body)
}

// sendBadCalls sends its share of the bad calls at an even rate until ctx ends. It skips those that are late.
func sendBadCalls(ctx context.Context, address, authorization string, bad *atomic.Int64) {
	request := requestText(authorization, signUp("jo@example.com", "jo"))
	ticker := time.NewTicker(concurrentBadCalls * time.Second / badCallsPerSecond)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		conn, err := net.Dial("tcp4", address)
		if err != nil {
			continue // the machine is out of ports: the rate that is reported shows it
		}
		if _, err = conn.Write(request); err == nil {
			if answer, _ := io.ReadAll(conn); strings.HasPrefix(string(answer), "HTTP/1.1 401 ") {
				bad.Add(1)
			}
		}
		_ = conn.Close()
	}
}

// goodCaller calls as Okta does, on a keep-alive connection.
type goodCaller struct {
	conn    net.Conn
	reader  *bufio.Reader
	request []byte
}

func newGoodCaller(b *testing.B, address, authorization string) *goodCaller {
	b.Helper()
	conn, err := net.Dial("tcp4", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &goodCaller{conn, bufio.NewReader(conn), requestText(authorization, signUp("jo@example.com", "jo"))}
}

func (g *goodCaller) call(b *testing.B) {
	if _, err := g.conn.Write(g.request); err != nil {
		b.Fatal(err)
	}
	response, err := http.ReadResponse(g.reader, nil)
	if err != nil {
		b.Fatal(err)
	}
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		b.Fatal(response.Status, err)
	}
}
