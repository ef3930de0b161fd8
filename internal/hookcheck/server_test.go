package hookcheck_test

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

const (
	host       = "hook.example.com"
	credential = "Basic aG9vazphLXNlY3JldC1vZi10aGUtdGVzdA=="
)

// at returns options that call the hook's host at a listener.
func at(address net.Addr, scheme string) hookcheck.Options {
	return hookcheck.Options{
		Call:      oktasim.Options{URL: scheme + "://" + host + "/okta", Credential: credential},
		PlainHTTP: scheme == "http",
		Resolve: map[string]netip.AddrPort{
			host + port(scheme): netip.MustParseAddrPort(address.String()),
		},
	}
}

func port(scheme string) string {
	if scheme == "http" {
		return ":80"
	}
	return ":443"
}

// serve serves a handler in plain HTTP.
func serve(t *testing.T, handler http.HandlerFunc) hookcheck.Options {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.Start()
	t.Cleanup(server.Close)
	return at(server.Listener.Addr(), "http")
}

// serveTLS serves a healthy hook over TLS.
func (p *pki) serveTLS(t *testing.T, config *tls.Config) hookcheck.Options {
	t.Helper()
	server := httptest.NewUnstartedServer(guarded(answers(allow)))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = config
	listener := tls.NewListener(server.Listener, config)
	address := server.Listener.Addr()
	server.Listener = listener
	server.Start()
	t.Cleanup(server.Close)
	o := at(address, "https")
	o.PublicRoots = p.roots()
	return o
}

// speak is a server that does something else with each connection.
func speak(t *testing.T, scheme string, with func(net.Conn)) hookcheck.Options {
	t.Helper()
	listener := listen(t)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				with(conn)
				conn.Close()
			}()
		}
	}()
	return at(listener.Addr(), scheme)
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener
}

// full is a listener whose queue is full, so that the kernel drops who wants to connect, as a firewall does.
func full(t *testing.T) net.Addr {
	t.Helper()
	socket, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	syscall.CloseOnExec(socket)
	t.Cleanup(func() { _ = syscall.Close(socket) })
	if err := syscall.Bind(socket, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Listen(socket, 0); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(socket)
	if err != nil {
		t.Fatal(err)
	}
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: name.(*syscall.SockaddrInet4).Port}
	for range 10 {
		conn, err := net.DialTimeout("tcp4", address.String(), time.Second)
		if err != nil {
			return address
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the queue takes everybody")
	return nil
}

// resolver asks a DNS server of the test's own, which knows a few names.
func resolver(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		question := make([]byte, 512)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return
			}
			if answer := zone(question[:n]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp4", conn.LocalAddr().String())
	}}
}

// zone answers one question.
func zone(question []byte) []byte {
	var m dnsmessage.Message
	if m.Unpack(question) != nil || len(m.Questions) != 1 {
		return nil
	}
	asked := m.Questions[0]
	m.Response, m.RecursionAvailable, m.Additionals = true, true, nil
	header := dnsmessage.ResourceHeader{Name: asked.Name, Class: dnsmessage.ClassINET, TTL: 1}
	switch asked.Name.String() {
	case "inside.example.com.":
		if asked.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AResource{A: [4]byte{127, 0, 0, 1}}}}
		}
	case "six.example.com.":
		if asked.Type == dnsmessage.TypeAAAA {
			six := netip.MustParseAddr("2001:db8::1").As16()
			m.Answers = []dnsmessage.Resource{{Header: header, Body: &dnsmessage.AAAAResource{AAAA: six}}}
		}
	case "broken.example.com.":
		m.RCode = dnsmessage.RCodeServerFailure
	case "silent.example.com.":
		return nil
	default:
		m.RCode = dnsmessage.RCodeNameError
	}
	answer, err := m.Pack()
	if err != nil {
		return nil
	}
	return answer
}

// answers is a handler that answers 200 with a body.
func answers(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, body)
	}
}

// guarded puts authentication before a handler.
func guarded(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != credential {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next(w, r)
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}
