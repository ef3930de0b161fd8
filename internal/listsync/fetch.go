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
	// Stdin is the source that stands for standard input.
	Stdin = "-"
	// maxRedirects is how often a source may send us on: enough for a moved file behind a CDN.
	maxRedirects = 5
	// maxHeader is the length of the longest header of an answer, in bytes. The body has a limit of its own.
	maxHeader = 64 << 10
	// pageBegin is how many bytes at the start of a text are searched for the marks of an HTML page.
	pageBegin = 1024
	// schemeHTTPS is the only one: what is read in the clear, anybody on the way can write.
	schemeHTTPS = "https"
)

var (
	// ErrSource is the error of a source that nothing can be read from as it is written: a file that is not there, a URL that
	// is not HTTPS. Trying again does not help.
	ErrSource = errors.New("the source cannot be read")
	// errRedirect is one that is not followed.
	errRedirect = errors.New("it redirects to a URL that is not https")
	// errRedirects is one too many.
	errRedirects = fmt.Errorf("it redirects more than %d times", maxRedirects)
	// errRedirectHost is one to a host that was not named: whoever holds the first must not choose what is read within our network.
	errRedirectHost = errors.New("it redirects to another host")
	// errNetworkClass is the same host at an address of another class: a name server can lead into our network, too.
	errNetworkClass = errors.New("it redirects to another class of network, such as from a public address to a private one")

	redirectErrors = []error{errRedirect, errRedirects, errRedirectHost, errNetworkClass}
)

// Fetcher reads a list from its source. The zero value of a limit is no limit at all: callers set them.
type Fetcher struct {
	// Stdin is read for the source "-".
	Stdin io.Reader
	// Authorities are believed beside those of the system.
	Authorities []*x509.Certificate
	// RedirectHosts are the hosts, with the port if it is not 443, that the source may redirect to beside its own.
	RedirectHosts []string
	// MaxBytes is the size of the largest source.
	MaxBytes int64
	// Timeout is for all of the reading, connecting and redirects included.
	Timeout time.Duration
}

// Fetch returns what a file, standard input ("-") or an HTTPS URL holds, whole or not at all. The errors hold nothing of a
// URL but its host.
func (f *Fetcher) Fetch(ctx context.Context, source string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, f.Timeout)
	defer cancel()
	type result struct {
		text []byte
		err  error
	}
	// Neither a pipe nor a disk that hangs can be told to stop: the reading is left behind.
	done := make(chan result, 1)
	go func() {
		text, err := f.read(ctx, source)
		done <- result{text, err}
	}()
	select {
	case <-ctx.Done():
		return nil, f.late(ctx)
	case r := <-done:
		if r.err != nil && ctx.Err() != nil {
			return nil, f.late(ctx)
		}
		return r.text, r.err
	}
}

func (f *Fetcher) late(ctx context.Context) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("the source took longer than %s", f.Timeout)
	}
	return ctx.Err()
}

func (f *Fetcher) read(ctx context.Context, source string) ([]byte, error) {
	switch {
	case source == Stdin:
		return f.limited(f.Stdin)
	case isURL(source):
		return f.get(ctx, source)
	}
	file, err := os.Open(source)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSource, err)
	}
	defer file.Close()
	text, err := f.limited(file)
	if pathError, ok := errors.AsType[*os.PathError](err); ok { // a directory
		return nil, fmt.Errorf("%w: %w", ErrSource, pathError)
	}
	return text, err
}

// limited reads all of a source, and no more than it may have.
func (f *Fetcher) limited(from io.Reader) ([]byte, error) {
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

// get reads a URL. The transport is this call's own: nothing of it outlives the call.
func (f *Fetcher) get(ctx context.Context, source string) ([]byte, error) {
	at, err := parseURL(source)
	if err != nil {
		return nil, err
	}
	networks := &networkClasses{told: len(f.RedirectHosts) > 0}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Control: networks.check}).DialContext,
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true, // the limit is of what comes over the wire
		MaxResponseHeaderBytes: maxHeader,
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
		return nil, fmt.Errorf("%w: the URL is not one", ErrSource)
	}
	request.Header.Set("User-Agent", "regpol")
	request.Header.Set("Accept", "text/plain, */*;q=0.5")
	response, err := (&http.Client{Transport: transport, CheckRedirect: f.followed}).Do(request)
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
	text, err := f.limited(response.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", response.Request.URL.Host, withoutURL(err))
	}
	return text, nil
}

// followed says whether a redirect is followed.
func (f *Fetcher) followed(to *http.Request, before []*http.Request) error {
	// It would tell the next host the query of this one.
	to.Header.Del("Referer")
	switch {
	case to.URL.Scheme != schemeHTTPS:
		return errRedirect
	case to.URL.Host != before[0].URL.Host && !slices.Contains(f.RedirectHosts, to.URL.Host):
		return fmt.Errorf("%w: if %s is right, name it with --redirect-host", errRedirectHost, to.URL.Host)
	case len(before) > maxRedirects:
		return errRedirects
	}
	return nil
}

// networkClasses holds all connections of one reading to the class of the first: public, private, link-local or loopback.
type networkClasses struct {
	told  bool // that it may be led elsewhere
	mu    sync.Mutex
	first string
}

// check is the Control of a net.Dialer.
func (n *networkClasses) check(_, address string, _ syscall.RawConn) error {
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
	if class != n.first && !n.told {
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

// quoted finds what an error quotes of an answer, the target of a redirect for one.
var quoted = regexp.MustCompile(`"[^"]*"`)

// withoutURL returns an error of the HTTP client without the URL: its path, query or user may be a secret.
func withoutURL(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	isKnown := func(known error) bool { return errors.Is(err, known) }
	if _, ok := errors.AsType[net.Error](err); ok || slices.ContainsFunc(redirectErrors, isKnown) {
		return err // names hosts only
	}
	if err, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return err
	}
	return errors.New(quoted.ReplaceAllLiteralString(err.Error(), `"…"`))
}

func isURL(source string) bool { return strings.Contains(source, "://") }

// parseURL returns the URL of a source, which must be one of HTTPS.
func parseURL(source string) (*url.URL, error) {
	at, err := url.Parse(source)
	switch {
	case err != nil: // which quotes it
		return nil, fmt.Errorf("%w: the URL is not one", ErrSource)
	case at.Scheme != schemeHTTPS:
		return nil, fmt.Errorf("%w: give an https URL, a file, or - for standard input", ErrSource)
	case at.Host == "":
		return nil, fmt.Errorf("%w: the URL has no host", ErrSource)
	}
	return at, nil
}

// Check says what is wrong with a source before anything is read: of a URL, that it is not HTTPS.
func Check(source string) error {
	if !isURL(source) {
		return nil
	}
	_, err := parseURL(source)
	return err
}

// Shown returns a source as people may see it: a URL without user, query and fragment.
func Shown(source string) string {
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

// isPage tells a page of HTML, which is what many sites answer for a list that moved, or that wants a sign-in.
func isPage(text []byte) bool {
	begin := strings.ToLower(strings.TrimLeft(string(text[:min(len(text), pageBegin)]), " \t\r\n\ufeff"))
	return strings.HasPrefix(begin, "<!doctype html") || strings.HasPrefix(begin, "<html") || strings.HasPrefix(begin, "<head")
}
