package neterror

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
	"strings"
	"syscall"
	"time"
)

// maxQuoted is the maximum length of a name that an error quotes from a certificate.
const maxQuoted = 100

// Fix says what to do about an error, for the person who gave the address of the host. Each text ends a message.
type Fix struct {
	// Address is what to do about a wrong or unreachable address, such as "check the URL".
	Address string
	// Authority is what to do if the CA of the certificate is not trusted.
	Authority string
}

// Describe describes an error of the HTTP client, or of reading a response: what is wrong with host, then the fix. For
// a *url.Error it shows the host of that error's URL instead of host, because the two differ after a redirect.
func Describe(host string, err error, fix Fix) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err, host = wrapped.Err, HostOf(wrapped, host)
	}
	if invalid, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return certificateError(host, invalid, fix)
	}
	if operation, ok := errors.AsType[*net.OpError](err); ok {
		return connectionError(host, operation, fix)
	}
	return responseError(host, err, fix)
}

// HostOf returns the host of the URL in an error, or fallback if the URL has none.
func HostOf(err *url.Error, fallback string) string {
	if at, parseErr := url.Parse(err.URL); parseErr == nil && at.Host != "" {
		return at.Host
	}
	return fallback
}

// connectionError describes an error of a connection that is not about a certificate.
func connectionError(host string, err *net.OpError, fix Fix) error {
	where, check := host, fix.Address
	if err.Op == "proxyconnect" {
		where, check = "the proxy of "+host, "check HTTPS_PROXY, or add the host to NO_PROXY"
	}
	name, isDNS := errors.AsType[*net.DNSError](err)
	switch {
	case isDNS && name.IsNotFound:
		return fmt.Errorf("%s is not in DNS: %s", where, check)
	case isDNS:
		return fmt.Errorf("%s cannot be looked up, because DNS does not answer: run this again, or check the DNS server of this machine", where)
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%s refuses connections: %s", where, check)
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s closed the connection before the end of the answer: run this again", where)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return fmt.Errorf("there is no route from this machine to %s: %s, and the network", where, check)
	case err.Timeout():
		return fmt.Errorf("%s does not answer: %s, and firewalls on the way", where, check)
	case err.Op == "remote error": // a TLS alert
		return fmt.Errorf("%s refuses the TLS connection (%s): check that it offers TLS 1.2 or later", where, withoutPrefix(err.Err))
	default:
		return fmt.Errorf("there is no connection to %s (%s): %s", where, withoutPrefix(err.Err), check)
	}
}

// certificateError describes a certificate that is not accepted.
func certificateError(host string, err *tls.CertificateVerificationError, fix Fix) error {
	const day = "2006-01-02"
	if unknown, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		issuer := "a CA"
		if unknown.Cert != nil {
			issuer = fmt.Sprintf("%.*q", maxQuoted, unknown.Cert.Issuer.String())
		}
		return fmt.Errorf("the certificate of %s is issued by %s, which this machine does not trust: %s", host, issuer, fix.Authority)
	}
	if other, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Errorf("the certificate of %s is not for this host%s: %s", host, namesOf(other.Certificate), fix.Address)
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

// namesOf returns the end of a message: ", but for" and the first DNS names of a certificate, or "" if it has none.
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
func responseError(host string, err error, fix Fix) error {
	_, notTLS := errors.AsType[tls.RecordHeaderError](err)
	switch {
	case errors.Is(err, http.ErrSchemeMismatch), notTLS:
		return fmt.Errorf("%s does not speak TLS on this port: %s", host, fix.Address)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Errorf("%s closed the connection before the end of the answer: run this again", host)
	}
	return fmt.Errorf("%s sends an answer that cannot be read (%s): %s",
		host, quotedText.ReplaceAllLiteralString(withoutPrefix(err), `"…"`), fix.Address)
}

// withoutPrefix returns the text of an error without the name of the Go package that made it.
func withoutPrefix(err error) string {
	text := err.Error()
	for _, prefix := range []string{"net/http: ", "http: ", "http2: ", "tls: ", "x509: "} {
		text = strings.TrimPrefix(text, prefix)
	}
	return text
}
