package listsync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// Stdin is the name of the source for standard input.
	Stdin = "-"
	// maxRedirects is enough for a moved file behind a CDN.
	maxRedirects = 5
	// maxHeaderBytes limits the header of a response. The body has its own limit.
	maxHeaderBytes = 64 << 10
	// htmlPrefixBytes is the number of bytes at the start of a text in which isHTML looks for HTML.
	htmlPrefixBytes = 1024
	// schemeHTTPS is the only accepted scheme: content without TLS could be changed on the way.
	schemeHTTPS = "https"
)

var (
	// ErrSource reports a source that cannot be read and that a retry cannot help, such as a missing file or a URL that
	// is not HTTPS.
	ErrSource = errors.New("the source cannot be read")

	errRedirectScheme   = errors.New("it redirects to a URL that is not https")
	errTooManyRedirects = fmt.Errorf("it redirects more than %d times", maxRedirects)
	// errRedirectHost prevents a source from choosing other hosts, such as one in the internal network.
	errRedirectHost = errors.New("it redirects to another host")
	// errNetworkClass prevents the same through DNS: a host name that resolves to an internal address.
	errNetworkClass = errors.New("it redirects to another class of network, such as from a public address to a private one")

	redirectErrors = []error{errRedirectScheme, errTooManyRedirects, errRedirectHost, errNetworkClass}
)

// Fetcher reads a list from its source. MaxBytes and Timeout must be set.
type Fetcher struct {
	// Stdin is read for the source "-".
	Stdin io.Reader
	// Authorities are CAs to trust in addition to the system's.
	Authorities []*x509.Certificate
	// RedirectHosts are the hosts, with the port if it is not 443, to which the source may redirect in addition to its
	// own.
	RedirectHosts []string
	// MaxBytes is the maximum size of the source.
	MaxBytes int64
	// Timeout limits the whole fetch, including connecting and redirects.
	Timeout time.Duration
}

// Fetch returns the complete content of a file, of standard input ("-") or of an HTTPS URL. Its errors contain no part
// of a URL except the host.
func (f *Fetcher) Fetch(ctx context.Context, source string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	type result struct {
		text []byte
		err  error
	}
	// A read from a pipe or a hanging disk cannot be cancelled, so the goroutine is abandoned on a timeout.
	done := make(chan result, 1)
	go func() {
		text, err := f.read(ctx, source)
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, f.timeoutError(ctx)
	case r := <-done:
		if r.err != nil && ctx.Err() != nil {
			return nil, f.timeoutError(ctx)
		}
		return r.text, r.err
	}
}

func (f *Fetcher) timeoutError(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the source took longer than %s", f.Timeout)
	}
	return ctx.Err()
}

func (f *Fetcher) read(ctx context.Context, source string) ([]byte, error) {
	switch {
	case source == Stdin:
		return f.readLimited(f.Stdin)
	case isURL(source):
		return f.get(ctx, source)
	}
	file, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	defer file.Close()
	text, err := f.readLimited(file)
	if pathError, ok := errors.AsType[*os.PathError](err); ok { // a directory
		return nil, fmt.Errorf("%w: %w", ErrSource, pathError)
	}
	return text, err
}

// readLimited reads a source. It fails if there are more than MaxBytes.
func (f *Fetcher) readLimited(from io.Reader) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(from, f.MaxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(text)) > f.MaxBytes:
		return nil, f.tooLarge()
	}
	return text, nil
}

func (f *Fetcher) tooLarge() error {
	return fmt.Errorf("the source is larger than %d bytes", f.MaxBytes)
}

// get reads a URL. Each call has its own transport, so no connection outlives it.
func (f *Fetcher) get(ctx context.Context, source string) ([]byte, error) {
	at, err := parseURL(source)
	if err != nil {
		return nil, err
	}
	networks := &networkClassCheck{allowChange: len(f.RedirectHosts) > 0}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Control: networks.check}).DialContext,
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true, // MaxBytes limits the bytes on the wire
		MaxResponseHeaderBytes: maxHeaderBytes,
	}
	if len(f.Authorities) > 0 {
		if transport.TLSClientConfig.RootCAs, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("the system's CAs: %w", err)
		}
		for _, authority := range f.Authorities {
			transport.TLSClientConfig.RootCAs.AddCert(authority)
		}
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("%w: the URL is invalid", ErrSource)
	}
	request.Header.Set("User-Agent", "regpol")
	request.Header.Set("Accept", "text/plain, */*;q=0.5")
	response, err := (&http.Client{Transport: transport, CheckRedirect: f.checkRedirect}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at.Host, withoutURL(err))
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers with status %d", response.Request.URL.Host, response.StatusCode)
	case response.Header.Get("Content-Encoding") != "":
		return nil, fmt.Errorf("%s sends a compressed answer, though none was asked for", response.Request.URL.Host)
	case response.ContentLength > f.MaxBytes:
		return nil, f.tooLarge()
	}
	text, err := f.readLimited(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", response.Request.URL.Host, withoutURL(err))
	}
	return text, nil
}

// checkRedirect is the CheckRedirect of an http.Client.
func (f *Fetcher) checkRedirect(to *http.Request, before []*http.Request) error {
	// Referer would send the query of this URL, which may be a secret, to the next host.
	to.Header.Del("Referer")
	switch {
	case to.URL.Scheme != schemeHTTPS:
		return errRedirectScheme
	case to.URL.Host != before[0].URL.Host && !slices.Contains(f.RedirectHosts, to.URL.Host):
		return fmt.Errorf("%w: if %s is right, name it with --redirect-host", errRedirectHost, to.URL.Host)
	case len(before) > maxRedirects:
		return errTooManyRedirects
	}
	return nil
}

// networkClassCheck requires all connections of a fetch to have the network class of the first: public, private,
// link-local or loopback.
type networkClassCheck struct {
	allowChange bool // because of RedirectHosts
	mu          sync.Mutex
	first       string
}

// check is the Control of a net.Dialer.
func (n *networkClassCheck) check(_, address string, _ syscall.RawConn) error {
	host, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	class := networkClass(host.Addr())
	if n.first == "" {
		n.first = class
	}
	if class != n.first && !n.allowChange {
		return errNetworkClass
	}
	return nil
}

func networkClass(address netip.Addr) string {
	switch address = address.Unmap(); {
	case address.IsLoopback(), address.IsUnspecified():
		return "loopback"
	case address.IsLinkLocalUnicast():
		return "link-local"
	case address.IsPrivate():
		return "private"
	default:
		return "public"
	}
}

// quoted matches the parts that an error quotes of a response, such as the target of a redirect.
var quoted = regexp.MustCompile(`"[^"]*"`)

// withoutURL returns an error of the HTTP client without the URL, whose path, query or user may be a secret.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	isKnown := func(known error) bool { return errors.Is(err, known) }
	if _, ok := errors.AsType[net.Error](err); ok || slices.ContainsFunc(redirectErrors, isKnown) {
		return err // names only hosts
	}
	if err, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	}
	return errors.New(quoted.ReplaceAllLiteralString(err.Error(), `"…"`))
}

func isURL(source string) bool { return strings.Contains(source, "://") }

// parseURL parses a source that must be an HTTPS URL.
func parseURL(source string) (*url.URL, error) {
	at, err := url.Parse(source)
	switch {
	case err != nil: // err quotes the URL, which may hold a secret
		return nil, fmt.Errorf("%w: the URL is invalid", ErrSource)
	case at.Scheme != schemeHTTPS:
		return nil, fmt.Errorf("%w: its scheme is not https: give an https URL, a file, or - for standard input", ErrSource)
	case at.Host == "":
		return nil, fmt.Errorf("%w: the URL has no host", ErrSource)
	}
	return at, nil
}

// CheckSource returns an error if a source is a URL that is invalid or not HTTPS. It reads nothing.
func CheckSource(source string) error {
	if !isURL(source) {
		return nil
	}
	_, err := parseURL(source)
	return err
}

// DisplaySource returns a source for reports: a URL is without user, query and fragment.
func DisplaySource(source string) string {
	switch {
	case source == Stdin:
		return "standard input"
	case !isURL(source):
		return source
	}
	at, err := url.Parse(source)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: at.Scheme, Host: at.Host, Path: at.Path, RawPath: at.RawPath}).String()
}

// isHTML reports whether a text looks like an HTML page. Many sites send one if a list has moved or needs a sign-in.
func isHTML(text []byte) bool {
	begin := strings.ToLower(strings.TrimLeft(string(text[:min(len(text), htmlPrefixBytes)]), " \t\r\n\ufeff"))
	return strings.HasPrefix(begin, "<!doctype html") || strings.HasPrefix(begin, "<html") || strings.HasPrefix(begin, "<head")
}
