package listsource

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

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
	for sentence, test := range map[string]struct {
		err  error
		want string
	}{
		"nothing listens": {
			dial(system("connect", syscall.ECONNREFUSED)), "lists.example.com refuses connections: check the host and the port of the URL",
		},
		"no such host": {
			dial(&net.DNSError{Err: "no such host", Name: "lists.example.com", IsNotFound: true}),
			"lists.example.com is not in DNS: check the host and the port of the URL",
		},
		"DNS is down": {dial(&net.DNSError{Err: "server misbehaving", IsTemporary: true}), "DNS does not answer: run this again"},
		"no route":    {dial(system("connect", syscall.EHOSTUNREACH)), "there is no route from this machine to lists.example.com: "},
		"no answer":   {dial(system("connect", syscall.ETIMEDOUT)), "lists.example.com does not answer: check the host and the port of the URL, and firewalls"},
		"a reset connection": {
			&net.OpError{Op: "read", Net: "tcp", Err: system("read", syscall.ECONNRESET)},
			"lists.example.com closed the connection before the end of the answer: run this again",
		},
		"an early end": {io.ErrUnexpectedEOF, "lists.example.com closed the connection before the end of the answer: run this again"},
		"any other error of a connection": {
			dial(errors.New("tls: strange")), "there is no connection to lists.example.com (strange): check the host and the port",
		},
		"no such proxy":        {proxy(dial(&net.DNSError{IsNotFound: true})), "the proxy of lists.example.com is not in DNS: check HTTPS_PROXY"},
		"the proxy is down":    {proxy(dial(system("connect", syscall.ECONNREFUSED))), "the proxy of lists.example.com refuses connections: check HTTPS_PROXY"},
		"the proxy refuses":    {proxyError{"proxy.example:3128", "lists.example.com:443", 403}, "(HTTPS_PROXY) answers with status 403 to a connection to lists"},
		"a TLS alert":          {&net.OpError{Op: "remote error", Err: errors.New("tls: protocol version not supported")}, "(protocol version not supported): check that it"},
		"no TLS":               {http.ErrSchemeMismatch, "lists.example.com does not speak TLS on this port: check the port of the URL"},
		"neither TLS nor HTTP": {tls.RecordHeaderError{Msg: "first record does not look like a TLS handshake"}, "does not speak TLS on this port"},
		"another CA": {
			invalid(x509.UnknownAuthorityError{Cert: &x509.Certificate{Issuer: pkix.Name{CommonName: "Acme CA"}}}),
			`the certificate of lists.example.com is issued by "CN=Acme CA", which this machine does not trust: if it is right, give its CA with --ca-file`,
		},
		"another host": {
			invalid(x509.HostnameError{Certificate: &x509.Certificate{DNSNames: []string{"a.example", "b.example", "c.example", "d.example"}}}),
			`the certificate of lists.example.com is not for this host, but for "a.example", "b.example", "c.example" and others: check the host`,
		},
		"an expired certificate":    {expired(now.AddDate(-1, 0, 0), time.Date(2020, 1, 2, 3, 4, 5, 6, time.UTC)), "expired on 2020-01-02: ask its owner to renew it"},
		"a certificate of tomorrow": {expired(now.AddDate(0, 0, 1), now.AddDate(1, 0, 0)), "check the clock of this machine"},
		"any other bad certificate": {invalid(errors.New("x509: strange")), "the certificate of lists.example.com is not valid (strange): ask its owner to replace it"},
		"any other error of an answer": {
			fmt.Errorf("net/http: malformed HTTP response %q", secret), `sends an answer that cannot be read (malformed HTTP response "…"): check the URL`,
		},
		"a redirect over networks": {dial(errNetworkClass), "lists.example.com leads to another class of network"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := fetchError("other.example", &url.Error{Op: "Get", URL: "https://jo:" + secret + "@lists.example.com/?key=" + secret, Err: test.err})
			if !strings.Contains(got.Error(), test.want) || rawText.MatchString(got.Error()) || strings.Contains(got.Error(), secret) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestAProxyThatRefusesIsNamed(t *testing.T) {
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	t.Cleanup(proxy.Close)
	at, err := url.Parse(strings.Replace(proxy.URL, "http://", "http://jo:"+secret+"@", 1))
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{Proxy: http.ProxyURL(at), OnProxyConnectResponse: checkProxyAnswer}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://lists.example.com/?key="+secret, nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err == nil {
		_ = response.Body.Close()
		t.Fatal("the proxy let it pass")
	}
	want := "the proxy " + at.Host + " (HTTPS_PROXY) answers with status 403 to a connection to lists.example.com:443: "
	if got := fetchError("lists.example.com", err); !strings.HasPrefix(got.Error(), want) || strings.Contains(got.Error(), secret) {
		t.Errorf("got %q, want %q", got, want)
	}
}
