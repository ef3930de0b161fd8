package e2e

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	// mostMemory is the maximum resident memory of the operator during each attack, in KiB. It is several times that of
	// an idle operator, and far less than it would be if memory grew with the number of connections.
	mostMemory = 256 << 10
	// idleConnections is the number of connections on which nothing is sent: five times the server's limit.
	idleConnections = 10_000
	// busyConnections is the number of connections on which an attack keeps sending.
	busyConnections = 500
	// siege is how long each attack lasts.
	siege = 3 * time.Second
)

// During each attack on the hook's port, the memory of the process stays limited, and calls with a credential are
// answered, on kept connections and on new ones.
func TestHostileClientsNeitherFillTheMemoryNorLockOktaOut(t *testing.T) {
	dir, certificates := t.TempDir(), t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy)
	writeCertificate(t, certificates)
	for _, server := range []struct {
		name   string
		flags  []string
		secure *tls.Config
	}{
		{"plain", nil, nil},
		{"TLS", []string{"--hook-tls-dir", certificates}, &tls.Config{InsecureSkipVerify: true}},
	} {
		op := startReady(t, withDirectory(t, dir, server.flags...)...)
		address := strings.Split(op.hookURL, "/")[2]
		for _, attack := range []struct {
			name string
			only string // the kind of server that the attack is for, with or without TLS; "" for both
			run  func(s *hostileClients)
		}{
			{"10,000 connections on which nothing is said", "plain", func(s *hostileClients) { s.each(idleConnections, func(conn net.Conn) { s.hold(conn) }) }},
			{"headers that come byte by byte", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.dribble("POST /okta/registration HTTP/1.1\r\nX-Long: "))
			}},
			{"bodies that come byte by byte", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.dribble("POST /okta/registration HTTP/1.1\r\nHost: hook\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"))
			}},
			{"headers without end", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.flood("POST /okta/registration HTTP/1.1\r\nX-Long: ", strings.Repeat("x", 64<<10)))
			}},
			{"bodies without end", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.flood("POST /okta/registration HTTP/1.1\r\nHost: hook\r\nTransfer-Encoding: chunked\r\n\r\n", "8000\r\n"+strings.Repeat("x", 0x8000)+"\r\n"))
			}},
			{"calls one behind the other without waiting", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.flood("", strings.Repeat("POST /okta/registration HTTP/1.1\r\nHost: hook\r\nContent-Length: 2\r\n\r\n{}", 50)))
			}},
			{"answers that nobody takes", "plain", func(s *hostileClients) {
				s.each(busyConnections, s.write(strings.Repeat("GET / HTTP/1.1\r\nHost: hook\r\n\r\n", 2000)))
			}},
			{"connections that come and go", "", func(s *hostileClients) { s.churn() }},
			{"handshakes that are not begun", "TLS", func(s *hostileClients) { s.each(idleConnections/4, func(conn net.Conn) { s.hold(conn) }) }},
			{"handshakes that end in the middle", "TLS", func(s *hostileClients) {
				s.each(busyConnections, s.write("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
			}},
			{"connections closed by half", "TLS", func(s *hostileClients) { s.each(busyConnections/4, s.halfClose) }},
		} {
			if attack.only != "" && attack.only != server.name {
				continue
			}
			t.Run(server.name+"/"+attack.name, func(t *testing.T) {
				op.forgetPeak(t)
				guests := newGuests(t, op, server.secure)
				hostile := newHostileClients(address)
				attack.run(hostile)
				hostile.end()
				report := guests.end(t)
				memory := op.peak(t)
				if memory > mostMemory {
					t.Errorf("%d KiB resident at once", memory)
				}
				t.Logf("%d connections; %s; at most %d MiB resident", hostile.opened.Load(), report, memory>>10)
			})
		}
		if got := op.status(t, op.probeURL+"/readyz"); got != http.StatusOK {
			t.Errorf("%s: readyz says %d after all", server.name, got)
		}
	}
}

// forgetPeak resets the peak of the process's resident memory.
func (op *operator) forgetPeak(t *testing.T) {
	t.Helper()
	const peakOfMemory = "5" // proc_pid_clear_refs(5)
	if err := os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", op.process.Process.Pid), []byte(peakOfMemory), 0o200); err != nil {
		t.Fatal(err)
	}
}

// peak returns the peak of the process's resident memory since forgetPeak, in KiB.
func (op *operator) peak(t *testing.T) int {
	t.Helper()
	return op.memory(t, "VmHWM")
}

// resident returns the current resident memory of the process, in KiB.
func (op *operator) resident(t *testing.T) int {
	t.Helper()
	return op.memory(t, "VmRSS")
}

// memory returns a field of /proc/PID/status in KiB, see proc_pid_status(5).
func (op *operator) memory(t *testing.T, name string) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", op.process.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(name + `:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("no %s in %s", name, status)
	}
	memory, err := strconv.Atoi(string(found[1]))
	if err != nil {
		t.Fatal(err)
	}
	return memory
}

// guests make valid calls until end. Each guest makes one call after another.
type guests struct {
	stop   chan struct{}
	ended  sync.WaitGroup
	mu     sync.Mutex
	kept   []time.Duration
	fresh  []time.Duration
	faults []string
	again  atomic.Int64 // calls that were repeated, as Okta would
}

// newGuests starts a guest that keeps its connection, and one that opens a new connection for each call.
func newGuests(t *testing.T, op *operator, secure *tls.Config) *guests {
	t.Helper()
	url := op.hookURL
	if secure != nil {
		url = strings.Replace(url, "http://", "https://", 1)
	}
	g := &guests{stop: make(chan struct{})}
	for _, keeps := range []bool{true, false} {
		g.join(t, url, keeps, secure, 5*time.Millisecond)
	}
	return g
}

// join starts another guest, which pauses after each call.
func (g *guests) join(t *testing.T, url string, keeps bool, secure *tls.Config, pause time.Duration) {
	t.Helper()
	// Okta's timeout for the whole call.
	client := &http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: !keeps, TLSClientConfig: secure}}
	if fault := g.call(client, url, keeps); fault != "" { // before the attack begins
		t.Fatal(fault)
	}
	g.ended.Go(func() {
		for {
			select {
			case <-g.stop:
				client.CloseIdleConnections()
				return
			case <-time.After(pause):
			}
			if fault := g.call(client, url, keeps); fault != "" {
				g.mu.Lock()
				g.faults = append(g.faults, fault)
				g.mu.Unlock()
			}
		}
	})
}

// call makes a call. It returns what is wrong with the answer, or "".
func (g *guests) call(client *http.Client, url string, keeps bool) string {
	const body = `{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"login":"jo@acme.com","email":"jo@acme.com"}}}`
	request, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return err.Error()
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", credential)
	begin := time.Now()
	response, err := client.Do(request)
	if err != nil && time.Since(begin) < client.Timeout { // Okta repeats a call once if it got no answer
		request.Body, _ = request.GetBody() // cannot fail for a strings.Reader
		g.again.Add(1)
		response, err = client.Do(request)
	}
	if err != nil {
		return err.Error()
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK || !bytes.Contains(answer, []byte(`{"registration":"ALLOW"}`)) {
		return fmt.Sprintf("%d %s %v", response.StatusCode, answer, err)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if keeps {
		g.kept = append(g.kept, time.Since(begin))
	} else {
		g.fresh = append(g.fresh, time.Since(begin))
	}
	return ""
}

// end stops all guests, reports an error for each call without a good answer, and returns a text about the latency of
// the others.
func (g *guests) end(t *testing.T) string {
	t.Helper()
	close(g.stop)
	g.ended.Wait()
	for _, fault := range g.faults {
		t.Error(fault)
	}
	if len(g.kept) < 10 || len(g.fresh) < 10 {
		t.Errorf("only %d and %d good calls", len(g.kept), len(g.fresh))
	}
	told := func(took []time.Duration) string {
		slices.Sort(took)
		rounded := func(at int) time.Duration { return took[at].Round(10 * time.Microsecond) }
		return fmt.Sprintf("%d calls, p50 %s, p99 %s, the slowest %s", len(took), rounded(len(took)/2), rounded(len(took)*99/100),
			rounded(len(took)-1))
	}
	return fmt.Sprintf("kept connections: %s; new ones: %s; %d made twice", told(g.kept), told(g.fresh), g.again.Load())
}

// hostileClients are connections of callers without a credential.
type hostileClients struct {
	address string
	over    chan struct{}
	ended   sync.WaitGroup
	opened  atomic.Int64
}

func newHostileClients(address string) *hostileClients {
	return &hostileClients{address: address, over: make(chan struct{})}
}

// each opens count connections, at most ten in a millisecond, and calls treat for each until the end of the attack. If
// it opened all at once, the machine's queue of TCP handshakes would overflow, which says nothing about the operator.
func (s *hostileClients) each(count int, treat func(net.Conn)) {
	for i := range count {
		if i%10 == 9 {
			time.Sleep(time.Millisecond)
		}
		s.ended.Go(func() {
			conn, err := net.DialTimeout("tcp", s.address, siege)
			if err != nil {
				return
			}
			s.opened.Add(1)
			defer func() { _ = conn.Close() }()
			treat(conn)
		})
	}
	time.Sleep(siege)
}

func (s *hostileClients) end() {
	close(s.over)
	s.ended.Wait()
}

// hold keeps a connection open until the end of the attack.
func (s *hostileClients) hold(net.Conn) { <-s.over }

// dribble sends a beginning at once, and then single bytes with pauses.
func (s *hostileClients) dribble(beginning string) func(net.Conn) {
	return func(conn net.Conn) {
		text := []byte(beginning)
		for {
			if _, err := conn.Write(text); err != nil {
				return
			}
			text = []byte("x")
			select {
			case <-s.over:
				return
			case <-time.After(100 * time.Millisecond):
			}
		}
	}
}

// flood sends a beginning, and then the same text again and again, as fast as the operator reads it.
func (s *hostileClients) flood(beginning, text string) func(net.Conn) {
	return func(conn net.Conn) {
		go func() { _, _ = io.Copy(io.Discard, conn) }()
		said := beginning
		for {
			_ = conn.SetWriteDeadline(time.Now().Add(siege))
			if _, err := io.WriteString(conn, said); err != nil {
				s.hold(conn)
				return
			}
			said = text
			select {
			case <-s.over:
				return
			case <-time.After(10 * time.Millisecond): // leave CPU time to the operator, which runs on the same machine
			}
		}
	}
}

// write sends a text and reads no answer.
func (s *hostileClients) write(text string) func(net.Conn) {
	return func(conn net.Conn) {
		_ = conn.SetWriteDeadline(time.Now().Add(siege))
		_, _ = io.WriteString(conn, text)
		s.hold(conn)
	}
}

// halfClose makes a TLS handshake, closes its sending direction, and keeps the connection open.
func (s *hostileClients) halfClose(conn net.Conn) {
	secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
	_ = conn.SetDeadline(time.Now().Add(siege))
	if secure.Handshake() != nil {
		return
	}
	_, _ = io.WriteString(secure, "POST /okta/registration HTTP/1.1\r\nHost: hook\r\n")
	_ = secure.CloseWrite()
	s.hold(conn)
}

// churn opens connections and closes them at once.
func (s *hostileClients) churn() {
	for range 8 {
		s.ended.Go(func() {
			for {
				select {
				case <-s.over:
					return
				default:
				}
				conn, err := net.DialTimeout("tcp", s.address, siege)
				if err != nil {
					continue
				}
				s.opened.Add(1)
				_ = conn.Close()
				time.Sleep(time.Millisecond)
			}
		})
	}
	time.Sleep(siege)
}
