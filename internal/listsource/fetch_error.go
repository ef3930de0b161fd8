package listsource

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"
)

// maxQuoted is the maximum length of a name that an error quotes from a certificate.
const maxQuoted = 100

// fetchError describes an error of the HTTP client or of reading a response: what is wrong, then the fix. Of the URL it
// shows only the host, because path, query and user may be secrets. host is the host of the URL, unless err is about
// the target of a redirect.
func fetchError(host string, err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
		if at, parseErr := url.Parse(wrapped.URL); parseErr == nil && at.Host != "" {
			host = at.Host
		}
	}
	if slices.ContainsFunc(redirectErrors, func(known error) bool { return errors.Is(err, known) }) {
		if operation, ok := errors.AsType[*net.OpError](err); ok {
			err = operation.Err // of the dialer's Control, without the address
		}
		return fmt.Errorf("%s %w", host, err)
	}
	if refused, ok := errors.AsType[proxyError](err); ok {
		return refused
	}
	if invalid, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateError(host, invalid)
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return connectionError(host, operation)
	}
	return responseError(host, err)
}

// connectionError describes an error of a connection that is not about a certificate.
func connectionError(host string, err *net.OpError) error {
	where, fix := host, "check the host and the port of the URL"
	if err.Op == "proxyconnect" {
		where, fix = "the proxy of "+host, "check HTTPS_PROXY, or add the host to NO_PROXY"
	}
	name, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && name.IsNotFound:
		return fmt.Errorf("%s is not in DNS: %s", where, fix)
	case isDNS:
		return fmt.Errorf("%s cannot be looked up, because DNS does not answer: run this again, or check the DNS server of this machine", where)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses connections: %s", where, fix)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s closed the connection before the end of the answer: run this again", where)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("there is no route from this machine to %s: %s, and the network", where, fix)
	case err.Timeout():
		return fmt.Errorf("%s does not answer: %s, and firewalls on the way", where, fix)
	case err.Op == "remote error": // a TLS alert
		return fmt.Errorf("%s refuses the TLS connection (%s): check that it offers TLS 1.2 or later", where, withoutPrefix(err.Err))
	default:
		return fmt.Errorf("there is no connection to %s (%s): %s", where, withoutPrefix(err.Err), fix)
	}
}

// certificateError describes a certificate that is not accepted.
func certificateError(host string, err *tls.CertificateVerificationError) error {
	const day = "2006-01-02"
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		issuer := "a CA"
		if unknown.Cert != nil {
			issuer = fmt.Sprintf("%.*q", maxQuoted, unknown.Cert.Issuer.String())
		}
		return fmt.Errorf("the certificate of %s is issued by %s, which this machine does not trust: if it is right, give its CA with --ca-file",
			host, issuer)
	}
	if other, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("the certificate of %s is not for this host%s: check the host of the URL", host, namesOf(other.Certificate))
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired && invalid.Cert != nil {
		if time.Now().Before(invalid.Cert.NotBefore) {
			return fmt.Errorf("the certificate of %s is valid only from %s: check the clock of this machine",
				host, invalid.Cert.NotBefore.UTC().Format(day))
		}
		return fmt.Errorf("the certificate of %s expired on %s: ask its owner to renew it", host, invalid.Cert.NotAfter.UTC().Format(day))
	}
	return fmt.Errorf("the certificate of %s is not valid (%s): ask its owner to replace it", host, withoutPrefix(err.Err))
}

// namesOf returns ", but for …" with the first names of a certificate, or "" if it has none.
func namesOf(certificate *x509.Certificate) string {
	const most = 3
	if certificate == nil || len(certificate.DNSNames) == 0 {
		return ""
	}
	names := make([]string, 0, most)
	for _, name := range certificate.DNSNames[:min(most, len(certificate.DNSNames))] {
		names = append(names, fmt.Sprintf("%.*q", maxQuoted, name))
	}
	text := ", but for " + strings.Join(names, ", ")
	if len(certificate.DNSNames) > most {
		text += " and others"
	}
	return text
}

// quotedText matches what an error quotes of a response, such as the target of a redirect.
var quotedText = regexp.MustCompile(`"[^"]*"`)

// responseError describes an answer that is not HTTP over TLS, or is cut off.
func responseError(host string, err error) error {
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), notTLS:
		return fmt.Errorf("%s does not speak TLS on this port: check the port of the URL", host)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s closed the connection before the end of the answer: run this again", host)
	}
	return fmt.Errorf("%s sends an answer that cannot be read (%s): check the URL",
		host, quotedText.ReplaceAllLiteralString(withoutPrefix(err), `"…"`))
}

// withoutPrefix returns the text of an error without the name of the Go package that made it.
func withoutPrefix(err error) string {
	text := err.Error()
	for _, prefix := range []string{"net/http: ", "http: ", "http2: ", "tls: ", "x509: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}

// statusFix returns what to do about an HTTP status, with a colon before it, or "".
func statusFix(status int) string {
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ": check that the URL needs no sign-in, or has the right user and password"
	case status == http.StatusNotFound, status == http.StatusGone:
		return ": check the path of the URL"
	case status == http.StatusTooManyRequests, status >= http.StatusInternalServerError:
		return ": run this again later"
	default:
		return ""
	}
}
