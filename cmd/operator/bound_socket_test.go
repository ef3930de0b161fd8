package main

import (
	"errors"
	"net"
	"syscall"
	"testing"
	"time"
)

// dial connects, and reports the error where that fails.
func dial(t *testing.T, address string) error {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 5 * time.Second}).DialContext(t.Context(), "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	return err
}

func TestABoundSocketRefusesConnectionsUntilItListens(t *testing.T) {
	t.Parallel()
	for address, loopback := range map[string]string{
		"127.0.0.1:0": "127.0.0.1", "localhost:0": "127.0.0.1", ":0": "127.0.0.1", "0.0.0.0:0": "127.0.0.1", "[::1]:0": "::1",
	} {
		t.Run(address, func(t *testing.T) {
			t.Parallel()
			if loopback == "::1" && !hasIPv6() {
				t.Logf("this machine has no IPv6")
				return
			}
			socket, err := bindSocket(address)
			if err != nil {
				t.Fatal(err)
			}
			_, port, err := net.SplitHostPort(socket.Addr().String())
			if err != nil || port == "0" {
				t.Fatalf("bound to %v, %v", socket.Addr(), err)
			}
			target := net.JoinHostPort(loopback, port)
			if err := dial(t, target); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("before it listens: %v, want refused", err)
			}
			listener, err := socket.listen()
			if err != nil {
				t.Fatal(err)
			}
			if listener.Addr().String() != socket.Addr().String() {
				t.Errorf("listens on %s, bound to %s", listener.Addr(), socket.Addr())
			}
			if err := dial(t, target); err != nil {
				t.Errorf("once it listens: %v", err)
			}
			if conn, err := listener.Accept(); err != nil {
				t.Error(err)
			} else {
				_ = conn.Close()
			}
			if err := errors.Join(listener.Close(), socket.Close()); err != nil {
				t.Error(err)
			}
			if err := dial(t, target); !errors.Is(err, syscall.ECONNREFUSED) {
				t.Errorf("closed: %v, want refused", err)
			}
		})
	}
}

func hasIPv6() bool {
	listener, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

func TestAPortThatIsTakenIsReportedBeforeItListens(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if _, err := bindSocket(taken.Addr().String()); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a port on which another process listens: %v, want in use", err)
	}

	// If neither socket listens yet, the listen of the second one fails.
	first, err := bindSocket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	second, err := bindSocket(first.Addr().String())
	if err != nil {
		if !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("a port that another process has bound: %v, want in use", err)
		}
		return // as macOS has it
	}
	listener, err := first.listen()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	if _, err := second.listen(); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("both listen: %v, want in use", err)
	}
}

// Connections of a killed process that the kernel is still closing do not block the port.
func TestAConnectionOfAnEarlierProcessIsNotInTheWay(t *testing.T) {
	t.Parallel()
	socket, err := bindSocket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := socket.Addr().String()
	listener, err := socket.listen()
	if err != nil {
		t.Fatal(err)
	}
	caller, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	accepted, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	// The side that closes first waits.
	if err := errors.Join(accepted.Close(), listener.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = caller.Close() }()
	again, err := bindSocket(address)
	if err != nil {
		t.Fatalf("bind again: %v", err)
	}
	listener, err = again.listen()
	if err != nil {
		t.Fatalf("listen again: %v", err)
	}
	_ = listener.Close()
}
