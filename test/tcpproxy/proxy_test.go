package tcpproxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// patience is how long the tests wait for data. quiet is how long they wait to see that no data comes.
const (
	patience = 20 * time.Second
	quiet    = 100 * time.Millisecond
)

// startEcho starts a server that sends back each line.
func startEcho(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(conn, conn) }()
		}
	}()
	return listener.Addr().String()
}

func dial(t *testing.T, p *Proxy) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// say sends a line, and returns the line that comes back within a time.
func say(t *testing.T, conn net.Conn, line string, within time.Duration) (string, error) {
	t.Helper()
	if _, err := io.WriteString(conn, line); err != nil {
		return "", err
	}
	return hear(t, conn, within)
}

func hear(t *testing.T, conn net.Conn, within time.Duration) (string, error) {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(conn).ReadString('\n')
}

func TestASilentLineKeepsWhatIsSentUntilItIsMended(t *testing.T) {
	p := Start(t, startEcho(t))
	before := dial(t, p)
	if got, err := say(t, before, "one\n", patience); got != "one\n" {
		t.Fatalf("%q, %v", got, err)
	}
	p.Silence()
	during := dial(t, p)
	for _, conn := range []net.Conn{before, during} {
		if got, err := say(t, conn, "two\n", quiet); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("a silent line said %q, %v; want nothing", got, err)
		}
	}
	p.Restore()
	for _, conn := range []net.Conn{before, during} {
		if got, err := hear(t, conn, patience); got != "two\n" {
			t.Errorf("after it was restored: %q, %v", got, err)
		}
	}
}

func TestACutLineEndsConnectionsAndTheNextOnesUntilItIsMended(t *testing.T) {
	p := Start(t, startEcho(t))
	before, silent := dial(t, p), dial(t, p)
	if got, err := say(t, before, "one\n", patience); got != "one\n" {
		t.Fatalf("%q, %v", got, err)
	}
	if got, err := say(t, silent, "one\n", patience); got != "one\n" {
		t.Fatalf("%q, %v", got, err)
	}
	p.Silence()
	p.Cut()
	for _, conn := range []net.Conn{before, silent, dial(t, p)} {
		if got, err := hear(t, conn, patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a cut line said %q, %v; want an end", got, err)
		}
	}
	p.Restore()
	if got, err := say(t, dial(t, p), "three\n", patience); got != "three\n" {
		t.Errorf("after it was restored: %q, %v", got, err)
	}
}

func TestASlowLinePassesEverythingOnInOrderAndLater(t *testing.T) {
	const latency = 80 * time.Millisecond
	p := Start(t, startEcho(t))
	conn := dial(t, p)
	p.Slow(latency)
	began := time.Now()
	if got, err := say(t, conn, "one\n", patience); got != "one\n" {
		t.Fatalf("%q, %v", got, err)
	}
	if took := time.Since(began); took < 2*latency {
		t.Errorf("there and back in %s, want %s or more", took, 2*latency)
	}
	if _, err := io.WriteString(conn, "two\n"); err != nil {
		t.Fatal(err)
	}
	p.Slow(0) // data in transit stays delayed, and keeps its order
	if _, err := io.WriteString(conn, "three\n"); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(conn)
	for _, want := range []string{"two\n", "three\n"} {
		if got, err := lines.ReadString('\n'); got != want {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	began = time.Now()
	if got, err := say(t, conn, "four\n", patience); got != "four\n" || time.Since(began) > latency {
		t.Errorf("%q, %v after %s; want no latency", got, err, time.Since(began))
	}
}
