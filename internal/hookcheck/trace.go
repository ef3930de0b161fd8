package hookcheck

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// trace connects to the hook's server for [oktasim.Hook], and records how far the last attempt came, to find out why a
// call failed.
type trace struct {
	options   *Options
	addresses []netip.AddrPort

	mu                   sync.Mutex // the HTTP client connects in another goroutine
	connected            bool
	certificateRequested bool // the server requested a client certificate
	handshakeDone        bool
	certificates         []*x509.Certificate // the server's
}

// resolve finds the IPv4 addresses of the URL's host, and reports whether there is one.
func (t *trace) resolve(ctx context.Context, report *Report, address *url.URL) bool {
	host, port := address.Hostname(), portOf(address)
	if to, found := t.options.Resolve[net.JoinHostPort(host, port)]; found {
		if !to.Addr().Unmap().Is4() {
			report.add(NoIPv4, "%s is to be called at %s, which is not an IPv4 address", host, to.Addr())
			return false
		}
		t.addresses = []netip.AddrPort{to}
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		report.add(Unreachable, "the URL's port %s is not a number up to 65535", port)
		return false
	}
	found, literal := t.lookUp(ctx, report, host)
	for _, ip := range found {
		t.addresses = append(t.addresses, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	if len(found) > 0 && !t.options.PlainHTTP && !public(found[0]) {
		if literal {
			report.add(PrivateAddress, "%s is not a public address", found[0])
		} else {
			report.add(PrivateAddress, "%s is at %s, which is not a public address", host, found[0])
		}
	}
	return len(t.addresses) > 0
}

// lookUp returns the IPv4 addresses of a host, and whether the host is a literal IP address.
func (t *trace) lookUp(ctx context.Context, report *Report, host string) (_ []netip.Addr, literal bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ip.Unmap().Is4() {
			report.add(NoIPv4, "the URL names an IPv6 address")
			return nil, true
		}
		return []netip.Addr{ip}, true
	}
	ctx, cancel := context.WithTimeout(ctx, t.options.timeout())
	defer cancel()
	resolver := t.options.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	found, err := resolver.LookupNetIP(ctx, "ip4", host)
	if err == nil && len(found) > 0 {
		return found, false
	}
	if six, err := resolver.LookupNetIP(ctx, "ip6", host); err == nil && len(six) > 0 {
		report.add(NoIPv4, "%s has only IPv6 addresses (AAAA records), such as %s", host, six[0])
		return nil, false
	}
	dnsErr, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && dnsErr.IsNotFound:
		report.add(NameNotFound, "%s is not in DNS", host)
	case errors.Is(err, context.DeadlineExceeded) || isDNS && dnsErr.IsTimeout:
		report.add(NameLookupFailed, "DNS did not answer for %s within %s", host, t.options.timeout())
	case isDNS:
		report.add(NameLookupFailed, "DNS for %s: %s", host, dnsErr.Err)
	default:
		report.add(NameLookupFailed, "DNS for %s gave no address", host)
	}
	return nil, false
}

// loopbackHost reports whether a host is a loopback address or localhost.
func loopbackHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 §6.3
}

// loopback reports whether all addresses are loopback addresses.
func (t *trace) loopback() bool {
	return !slices.ContainsFunc(t.addresses, func(to netip.AddrPort) bool { return !to.Addr().Unmap().IsLoopback() })
}

// public reports whether an address can be reached from the internet.
func public(ip netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: carrier-grade NAT
	ip = ip.Unmap()
	return ip.IsGlobalUnicast() && !ip.IsPrivate() && !shared.Contains(ip)
}

func portOf(address *url.URL) string {
	if port := address.Port(); port != "" {
		return port
	}
	if address.Scheme == "http" {
		return "80"
	}
	return "443"
}

// dial connects to the first address that accepts a connection.
func (t *trace) dial(ctx context.Context, _ string) (net.Conn, error) {
	t.record(func() {
		t.connected, t.certificateRequested, t.handshakeDone, t.certificates = false, false, false, nil
	})
	dialer := &net.Dialer{}
	var errs []error
	for _, address := range t.addresses {
		conn, err := dialer.DialContext(ctx, "tcp4", address.String())
		if err == nil {
			t.record(func() { t.connected = true })
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (t *trace) record(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// tlsConfig returns a TLS configuration that records the handshake.
func (t *trace) tlsConfig() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			t.record(func() { t.certificateRequested = true })
			return &tls.Certificate{}, nil // Okta has no client certificate either
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			t.record(func() { t.handshakeDone, t.certificates = true, state.PeerCertificates })
			return nil
		},
	}
}

// examine adds the faults of the connection in the last attempt. It fails only if ctx ends.
func (t *trace) examine(ctx context.Context, report *Report, address *url.URL) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := &report.Result
	if invalid, ok := errors.AsType[*tls.CertificateVerificationError](r.Err); ok {
		t.examineCertificates(report, address.Hostname(), invalid)
		return nil
	}
	if len(t.certificates) > 0 {
		t.examineCertificates(report, address.Hostname(), nil)
	}
	if r.Err == nil {
		return nil
	}
	_, isRecord := errors.AsType[tls.RecordHeaderError](r.Err)
	where := t.addresses[0]
	switch {
	case !t.connected:
		report.addConnectFault(r.Err, where, t.options)
	case errors.Is(r.Err, http.ErrSchemeMismatch):
		report.add(NotTLS, "%s answers in plain HTTP", where)
	case isRecord:
		report.add(NotTLS, "%s answers with something that is not TLS", where)
	case t.certificateRequested && !errors.Is(r.Err, context.DeadlineExceeded):
		report.add(ClientCertificateRequired, "%s requested a client certificate, and ended the connection without one", where)
	case address.Scheme == "https" && !t.handshakeDone:
		return t.examineHandshake(ctx, report, address)
	case errors.Is(r.Err, context.DeadlineExceeded):
		report.add(Timeout, "connected, but no complete answer within %s", t.options.timeout())
	default:
		report.add(ConnectionBroken, "%s", brokenConnection(r.Err))
	}
	return context.Cause(ctx)
}

// brokenConnection describes how a connection broke.
func brokenConnection(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection before the answer was complete"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server reset the connection before the answer was complete"
	default:
		return "the connection broke before the answer was complete: " + err.Error()
	}
}

// addConnectFault adds the reason why no connection was made.
func (r *Report) addConnectFault(err error, where netip.AddrPort, o *Options) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r.add(ConnectTimeout, "no connection to %s within %s", where, o.timeout())
	case errors.Is(err, syscall.ECONNREFUSED):
		r.add(ConnectionRefused, "%s refuses connections", where)
	default:
		r.add(Unreachable, "%s: %s", where, err)
	}
}

// examineHandshake adds the reason why the TLS handshake failed. To find out whether the server supports only versions
// before TLS 1.2, it repeats the handshake with insecure settings, and sends no data afterwards.
func (t *trace) examineHandshake(ctx context.Context, report *Report, address *url.URL) error {
	limited, cancel := context.WithTimeout(ctx, t.options.timeout())
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(limited, "tcp4", t.addresses[0].String())
	if err != nil {
		report.add(HandshakeFailed, "%s", report.Result.Err)
		return context.Cause(ctx)
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		ServerName: address.Hostname(), InsecureSkipVerify: true, //nolint:gosec // only probes the version: no data is sent
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: allCipherSuites(),
	})
	switch err := client.HandshakeContext(limited); {
	case err == nil:
		report.add(TLSTooOld, "%s speaks %s at most", t.addresses[0], tls.VersionName(client.ConnectionState().Version))
	case errors.Is(report.Result.Err, context.DeadlineExceeded):
		report.add(Timeout, "connected, but the TLS handshake did not end within %s", t.options.timeout())
	default:
		report.add(HandshakeFailed, "%s", report.Result.Err)
	}
	return context.Cause(ctx)
}

func allCipherSuites() []uint16 {
	var ids []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, suite.ID)
	}
	return ids
}

// timeout returns the time for an attempt.
func (o *Options) timeout() time.Duration {
	if o.Call.Timeout > 0 {
		return o.Call.Timeout
	}
	return oktasim.DefaultTimeout
}
