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

// line is the way to the hook's server, and what was seen on it in the last attempt.
type line struct {
	options   *Options
	addresses []netip.AddrPort

	mu           sync.Mutex // the HTTP client connects beside the call
	connected    bool
	asked        bool // for a client certificate
	handshook    bool
	certificates []*x509.Certificate
}

// resolve finds the IPv4 addresses of the URL's host, and reports whether there is one to call.
func (l *line) resolve(ctx context.Context, report *Report, address *url.URL) bool {
	host, port := address.Hostname(), portOf(address)
	if to, found := l.options.Resolve[net.JoinHostPort(host, port)]; found {
		if !to.Addr().Unmap().Is4() {
			report.add(NoIPv4, "%s is to be called at %s, which is no IPv4 address", host, to.Addr())
			return false
		}
		l.addresses = []netip.AddrPort{to}
		return true
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		report.add(Unreachable, "%s is not a port", port)
		return false
	}
	found, literal := l.lookUp(ctx, report, host)
	for _, ip := range found {
		l.addresses = append(l.addresses, netip.AddrPortFrom(ip.Unmap(), uint16(number)))
	}
	if len(found) > 0 && !l.options.PlainHTTP && !public(found[0]) {
		if literal {
			report.add(PrivateAddress, "%s is not a public address", found[0])
		} else {
			report.add(PrivateAddress, "%s is at %s, which is not a public address", host, found[0])
		}
	}
	return len(l.addresses) > 0
}

// lookUp returns the IPv4 addresses of a host, and whether the host was written as an address.
func (l *line) lookUp(ctx context.Context, report *Report, host string) (_ []netip.Addr, literal bool) {
	if ip, err := netip.ParseAddr(host); err == nil {
		if !ip.Unmap().Is4() {
			report.add(NoIPv4, "the URL names an IPv6 address")
			return nil, true
		}
		return []netip.Addr{ip}, true
	}
	ctx, cancel := context.WithTimeout(ctx, l.options.timeout())
	defer cancel()
	resolver := l.options.Resolver
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
	trouble, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && trouble.IsNotFound:
		report.add(NameNotFound, "%s is not in DNS", host)
	case errors.Is(err, context.DeadlineExceeded) || isDNS && trouble.IsTimeout:
		report.add(NameLookupFailed, "DNS did not answer for %s within %s", host, l.options.timeout())
	case isDNS:
		report.add(NameLookupFailed, "DNS for %s: %s", host, trouble.Err)
	default:
		report.add(NameLookupFailed, "DNS for %s gave no address", host)
	}
	return nil, false
}

// loopbackHost tells the names and addresses of this machine.
func loopbackHost(host string) bool {
	if ip, err := netip.ParseAddr(host); err == nil {
		return ip.Unmap().IsLoopback()
	}
	return host == "localhost" || strings.HasSuffix(host, ".localhost") // RFC 6761 6.3
}

// loopback says whether all that is called is on this machine.
func (l *line) loopback() bool {
	return !slices.ContainsFunc(l.addresses, func(to netip.AddrPort) bool { return !to.Addr().Unmap().IsLoopback() })
}

// public tells whether the internet can reach an address.
func public(ip netip.Addr) bool {
	shared := netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: between a provider and its customers
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

// dial connects to the first of the addresses that takes the connection.
func (l *line) dial(ctx context.Context, _ string) (net.Conn, error) {
	l.see(func() { l.connected, l.asked, l.handshook, l.certificates = false, false, false, nil })
	dialer := &net.Dialer{}
	var errs []error
	for _, address := range l.addresses {
		conn, err := dialer.DialContext(ctx, "tcp4", address.String())
		if err == nil {
			l.see(func() { l.connected = true })
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (l *line) see(note func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	note()
}

// tls watches the handshake.
func (l *line) tls() *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			l.see(func() { l.asked = true })
			return &tls.Certificate{}, nil // none, as Okta
		},
		VerifyConnection: func(state tls.ConnectionState) error {
			l.see(func() { l.handshook, l.certificates = true, state.PeerCertificates })
			return nil
		},
	}
}

// examine names what was wrong on the line in the last attempt.
func (l *line) examine(ctx context.Context, report *Report, address *url.URL) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &report.Result
	if invalid, ok := errors.AsType[*tls.CertificateVerificationError](r.Err); ok {
		l.examineCertificates(report, address.Hostname(), invalid)
		return nil
	}
	if len(l.certificates) > 0 {
		l.examineCertificates(report, address.Hostname(), nil)
	}
	if r.Err == nil {
		return nil
	}
	_, isRecord := errors.AsType[tls.RecordHeaderError](r.Err)
	where := l.addresses[0]
	switch {
	case !l.connected:
		report.unconnected(r.Err, where, l.options)
	case errors.Is(r.Err, http.ErrSchemeMismatch):
		report.add(NotTLS, "%s answers in plain HTTP", where)
	case isRecord:
		report.add(NotTLS, "%s answers with something that is not TLS", where)
	case l.asked && !errors.Is(r.Err, context.DeadlineExceeded):
		report.add(ClientCertificateRequired, "%s asked for a client certificate, and refused to go on without", where)
	case address.Scheme == "https" && !l.handshook:
		return l.examineHandshake(ctx, report, address)
	case errors.Is(r.Err, context.DeadlineExceeded):
		report.add(Timeout, "connected, but no whole answer within %s", l.options.timeout())
	default:
		report.add(ConnectionBroken, "%s", broken(r.Err))
	}
	return context.Cause(ctx)
}

// broken says how a connection ended.
func broken(err error) string {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server closed the connection before a whole answer"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return "the server reset the connection before a whole answer"
	default:
		return "the connection broke before a whole answer: " + err.Error()
	}
}

// unconnected names why there was no connection.
func (r *Report) unconnected(err error, where netip.AddrPort, o *Options) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		r.add(ConnectTimeout, "no connection to %s within %s", where, o.timeout())
	case errors.Is(err, syscall.ECONNREFUSED):
		r.add(ConnectionRefused, "%s refuses connections", where)
	default:
		r.add(Unreachable, "%s: %s", where, err)
	}
}

// examineHandshake names why a handshake did not come to an end. It shakes hands once more, as no client should: only
// to see whether older versions are all that the server has. Nothing is sent.
func (l *line) examineHandshake(ctx context.Context, report *Report, address *url.URL) error {
	limited, cancel := context.WithTimeout(ctx, l.options.timeout())
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(limited, "tcp4", l.addresses[0].String())
	if err != nil {
		report.add(HandshakeFailed, "%s", report.Result.Err)
		return context.Cause(ctx)
	}
	defer conn.Close()
	client := tls.Client(conn, &tls.Config{
		ServerName: address.Hostname(), InsecureSkipVerify: true, //nolint:gosec // weak on purpose: nothing is sent over it
		MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11, CipherSuites: everyCipher(),
	})
	switch err := client.HandshakeContext(limited); {
	case err == nil:
		report.add(TLSTooOld, "%s speaks %s at most", l.addresses[0], tls.VersionName(client.ConnectionState().Version))
	case errors.Is(report.Result.Err, context.DeadlineExceeded):
		report.add(Timeout, "connected, but the TLS handshake did not end within %s", l.options.timeout())
	default:
		report.add(HandshakeFailed, "%s", report.Result.Err)
	}
	return context.Cause(ctx)
}

func everyCipher() []uint16 {
	var ids []uint16
	for _, suite := range append(tls.CipherSuites(), tls.InsecureCipherSuites()...) {
		ids = append(ids, suite.ID)
	}
	return ids
}

// timeout returns how long an attempt may take.
func (o *Options) timeout() time.Duration {
	if o.Call.Timeout > 0 {
		return o.Call.Timeout
	}
	return oktasim.DefaultTimeout
}
