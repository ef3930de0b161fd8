package hookserver

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"
)

// limited starts a server with a limitedListener. A request with the header X-Good is authenticated.
func limited(t *testing.T, most int) (address string, evicted *atomic.Int64) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	evicted = &atomic.Int64{}
	server := &http.Server{
		ConnContext: withConnection,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Good") != "" {
				markAuthenticated(r.Context())
			}
			_, _ = io.WriteString(w, "answered")
		}),
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(newLimitedListener(listener, most, func() { evicted.Add(1) })) }()
	t.Cleanup(func() {
		_ = server.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Error(err)
		}
	})
	return listener.Addr().String(), evicted
}

// caller calls on one keep-alive connection.
type caller struct{ client *http.Client }

func newCaller(t *testing.T) *caller {
	t.Helper()
	transport := &http.Transport{MaxConnsPerHost: 1}
	t.Cleanup(transport.CloseIdleConnections)
	return &caller{&http.Client{Transport: transport}}
}

func (c *caller) call(t *testing.T, address string, good bool) error {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if good {
		request.Header.Set("X-Good", "1")
	}
	response, err := c.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// silent opens a connection and sends nothing.
func silent(t *testing.T, address string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// closedByServer waits until the server has closed a connection.
func closedByServer(conn net.Conn) bool {
	const patience = 10 * time.Second
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	_, err := conn.Read(make([]byte, 1))
	return err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
}

func TestUnauthenticatedConnectionsDoNotLockCallersOut(t *testing.T) {
	const most = 4
	address, evicted := limited(t, most)
	kept := newCaller(t)
	if err := kept.call(t, address, true); err != nil {
		t.Fatal(err)
	}
	unauthenticated := make([]net.Conn, 0, 3*most)
	for range 3 * most {
		unauthenticated = append(unauthenticated, silent(t, address))
	}
	for i, conn := range unauthenticated[:2*most] {
		if !closedByServer(conn) {
			t.Errorf("unauthenticated connection %d was not closed", i)
		}
	}
	if err := newCaller(t).call(t, address, true); err != nil {
		t.Errorf("a new caller: %v", err)
	}
	if err := kept.call(t, address, true); err != nil {
		t.Errorf("a caller with a kept connection: %v", err)
	}
	if evicted.Load() < 2*most {
		t.Errorf("%d evictions", evicted.Load())
	}
}

// On an overloaded machine, a caller's request may stay unread for longer than authenticationGrace.
func TestSilentConnectionsAreClosedBeforeThoseWithUnreadBytes(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	const most = 3
	accepting := newLimitedListener(listener, most, func() {})
	t.Cleanup(func() { _ = accepting.Close() })
	accept := func(sent string) net.Conn {
		t.Helper()
		conn := silent(t, listener.Addr().String())
		if sent != "" {
			if _, err := io.WriteString(conn, sent); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := accepting.Accept(); err != nil {
			t.Fatal(err)
		}
		return conn
	}
	withBytes := accept("POST ") // left unread
	first, second := accept(""), accept("")
	for range 2 {
		accept("")
	}
	if !closedByServer(first) || !closedByServer(second) {
		t.Error("silent connections were not closed")
	}
	_ = withBytes.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
	if _, err := withBytes.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection with unread bytes: %v, want it open", err)
	}
}

func TestAConnectionThatHasShownACredentialStays(t *testing.T) {
	const most = 2
	address, evicted := limited(t, most)
	first, second := newCaller(t), newCaller(t)
	for _, c := range []*caller{first, second} {
		if err := c.call(t, address, true); err != nil {
			t.Fatal(err)
		}
	}
	if conn := silent(t, address); !closedByServer(conn) {
		t.Error("an unauthenticated connection was accepted at the limit")
	}
	if err := first.call(t, address, false); err != nil {
		t.Errorf("a caller that has shown a credential before: %v", err)
	}
	first.client.CloseIdleConnections()
	deadline, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for newCaller(t).call(t, address, true) != nil { // until the server has seen that the first one left
		if deadline.Err() != nil {
			t.Fatal("no room where a caller has left")
		}
	}
	if evicted.Load() == 0 {
		t.Error("no eviction was counted")
	}
}
