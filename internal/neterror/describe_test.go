package neterror

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// secret is in every part of a URL that may contain a secret. No error may contain it.
const secret = "hunter2"

// rawText is what errors of Go's packages begin with.
var rawText = regexp.MustCompile(`dial tcp|read tcp|x509:|tls:|http:|lookup |connect: `)

func TestAnErrorOfTheNetworkIsASentenceWithAFix(t *testing.T) {
	dial := func(err error) error { return &net.OpError{Op: "dial", Net: "tcp", Err: err} }
	system := func(call string, number syscall.Errno) error { return os.NewSyscallError(call, number) }
	proxy := func(err error) error { return &net.OpError{Op: "proxyconnect", Net: "tcp", Err: err} }
	invalid := func(err error) error { return &tls.CertificateVerificationError{Err: err} }
	expired := func(from, to time.Time) error {
		return invalid(x509.CertificateInvalidError{Reason: x509.Expired, Cert: &x509.Certificate{NotBefore: from, NotAfter: to}})
	}
	now := time.Now()
	fix := Fix{Address: "check the URL", Authority: "give its CA"}
	for sentence, test := range map[string]struct {
		err  error
		want string
	}{
		"nothing listens": {
			dial(system("connect", syscall.ECONNREFUSED)), "lists.example.com refuses connections: check the URL",
		},
		"no such host": {
			dial(&net.DNSError{Err: "no such host", Name: "lists.example.com", IsNotFound: true}),
			"lists.example.com is not in DNS: check the URL",
		},
		"DNS is down": {dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "DNS does not answer: run this again"},
		"no route":    {dial(system("connect", syscall.EHOSTUNREACH)), "there is no route from this machine to lists.example.com: "},
		"no answer":   {dial(system("connect", syscall.ETIMEDOUT)), "lists.example.com does not answer: check the URL, and firewalls"},
		"a reset connection": {
			&net.OpError{Op: "read", Net: "tcp", Err: system("read", syscall.ECONNRESET)},
			"lists.example.com closed the connection before the end of the answer: run this again",
		},
		"an early end": {io.ErrUnexpectedEOF, "lists.example.com closed the connection before the end of the answer: run this again"},
		"any other error of a connection": {
			dial(errors.New("tls: strange")), "there is no connection to lists.example.com (strange): check the URL",
		},
		"no such proxy":        {proxy(dial(&net.DNSError{IsNotFound: true})), "the proxy of lists.example.com is not in DNS: check HTTPS_PROXY"},
		"the proxy is down":    {proxy(dial(system("connect", syscall.ECONNREFUSED))), "the proxy of lists.example.com refuses connections: check HTTPS_PROXY"},
		"a TLS alert":          {&net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}, "(protocol version not supported): check that it"},
		"no TLS":               {http.ErrSchemeMismatch, "lists.example.com does not speak TLS on this port: check the URL"},
		"neither TLS nor HTTP": {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "does not speak TLS on this port"},
		"another CA": {
			invalid(x509.UnknownAuthorityError{Cert: &x509.Certificate{Issuer: pkix.Name{CommonName: "Acme CA"}}}),
			`the certificate of lists.example.com is issued by "CN=Acme CA", which this machine does not trust: give its CA`,
		},
		"another host": {
			invalid(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"a.example", "b.example", "c.example", "d.example"}}}),
			`the certificate of lists.example.com is not for this host, but for "a.example", "b.example", "c.example" and others: check the URL`,
		},
		"an expired certificate":    {expired(now.AddDate(-1, 0, 0), time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)), "expired on 2020-01-02: ask its owner to renew it"},
		"a certificate of tomorrow": {expired(now.AddDate(0, 0, 1), now.AddDate(1, 0, 0)), "check the clock of this machine"},
		"any other bad certificate": {invalid(errors.New("x509: strange")), "the certificate of lists.example.com is not valid (strange): ask its owner to replace it"},
		"any other error of an answer": {
			fmt.Errorf("net/http: malformed HTTP response %q", secret), `sends an answer that cannot be read (malformed HTTP response "…"): check the URL`,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := Describe("other.example", &url.Error{Op: "Get", URL: "https://jo:" + secret + "@lists.example.com/?key=" + secret, Err: test.err}, fix)
			if !strings.Contains(got.Error(), test.want) || rawText.MatchString(got.Error()) || strings.Contains(got.Error(), secret) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}
