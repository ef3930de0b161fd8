package listsource

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"sync"
	"syscall"

	"registrationpolicy.dev/operator/internal/neterror"
)

const (
	// maxRedirects is enough for a moved file behind a CDN.
	maxRedirects = 5
	// maxHeaderBytes limits the header of a response. The body has its own limit, Fetcher.MaxBytes.
	maxHeaderBytes = 64 << 10
)

var (
	errRedirectScheme   = errors.New("redirects to a URL that is not https: give the https URL of the list itself")
	errTooManyRedirects = fmt.Errorf("redirects more than %d times: give the URL of the list itself", maxRedirects)
	// errRedirectHost reports a redirect to another host. If it were followed, the source could make this program send
	// requests to any host, such as one in the internal network.
	errRedirectHost = errors.New("redirects to another host")
	// errNetworkClass reports a connection to an internal address after one to a public address, or the reverse. A host
	// name can resolve to an internal address, so errRedirectHost alone does not protect the internal network.
	errNetworkClass = errors.New("leads to another class of network, such as from a public address to a private one: " +
		"if that is right, name the host with --redirect-host")

	redirectErrors = []error{errRedirectScheme, errTooManyRedirects, errRedirectHost, errNetworkClass}
)

// get reads a URL. Each call has its own transport, so no connection outlives the call.
//
// Package hookserver/oauth has similar code that fetches an issuer's keys. The two share no code, because the rules
// differ: there, a CA file replaces the system's CAs, no redirect may leave the issuer's host, and errors show URLs.
func (f *Fetcher) get(ctx context.Context, source string) ([]byte, error) {
	at, err := parseURL(source)
	if err != nil {
		return nil, err
	}
	networks := &networkClassCheck{allowChange: len(f.RedirectHosts) > 0}
	transport := &http.Transport{
		DialContext:            (&net.Dialer{Control: networks.check}).DialContext,
		Proxy:                  http.ProxyFromEnvironment,
		OnProxyConnectResponse: checkProxyAnswer,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12},
		ForceAttemptHTTP2:      true,
		DisableKeepAlives:      true,
		DisableCompression:     true, // otherwise MaxBytes would limit the decompressed text, not the download
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
		return nil, fmt.Errorf("%w: the URL is invalid", ErrInvalid)
	}
	request.Header.Set("User-Agent", "regpol")
	request.Header.Set("Accept", "text/plain, */*;q=0.5")
	response, err := (&http.Client{Transport: transport, CheckRedirect: f.checkRedirect}).Do(request)
	if err != nil {
		return nil, fetchError(at.Host, err)
	}
	defer response.Body.Close()
	host := response.Request.URL.Host
	switch {
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answers with status %d%s", host, response.StatusCode, statusFix(response.StatusCode))
	case response.Header.Get("Content-Encoding") != "":
		return nil, fmt.Errorf("%s sends a compressed answer, though none was asked for: give a URL of plain text", host)
	case response.ContentLength > f.MaxBytes:
		return nil, f.tooLarge()
	}
	text, err := f.readLimited(response.Body)
	if err != nil {
		return nil, fetchError(host, err)
	}
	return text, nil
}

// checkRedirect is the CheckRedirect of an http.Client. It refuses a redirect to a URL that is not HTTPS, a redirect to
// a host that is neither that of the source nor in RedirectHosts, and any redirect after the first maxRedirects.
func (f *Fetcher) checkRedirect(to *http.Request, before []*http.Request) error {
	// Without this, the header Referer would send the query of the URL, which may be a secret, to the next host.
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

// proxyError reports that the proxy refuses to connect to a host.
type proxyError struct {
	proxy, host string
	status      int
}

func (e proxyError) Error() string {
	return fmt.Sprintf("the proxy %s (HTTPS_PROXY) answers with status %d to a connection to %s: allow the host there, or add it to NO_PROXY",
		e.proxy, e.status, e.host)
}

// checkProxyAnswer is the OnProxyConnectResponse of an http.Transport. Without it, the error would be only the proxy's
// text, such as "Forbidden".
func checkProxyAnswer(_ context.Context, proxy *url.URL, request *http.Request, response *http.Response) error {
	if response.StatusCode != http.StatusOK {
		return proxyError{proxy.Host, request.URL.Opaque, response.StatusCode}
	}
	return nil
}

// networkClassCheck requires all connections of a fetch to have the network class of the first: public, private,
// link-local or loopback.
type networkClassCheck struct {
	allowChange bool // the fetch has RedirectHosts, which may be in any network
	mu          sync.Mutex
	first       string
}

// check is the Control of a net.Dialer. It refuses an IP address whose network class differs from that of the first
// connection, so that the name of a host cannot resolve first to a public and then to a private address.
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

// fetchError describes an error of the HTTP client or of reading a response. Of the URL it shows only the host.
func fetchError(host string, err error) error {
	if refused, ok := errors.AsType[proxyError](err); ok {
		return refused
	}
	if slices.ContainsFunc(redirectErrors, func(known error) bool { return errors.Is(err, known) }) {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err, host = wrapped.Err, neterror.HostOf(wrapped, host)
		}
		if operation, ok := errors.AsType[*net.OpError](err); ok {
			err = operation.Err // the error of networkClassCheck, without the IP address that net.OpError adds
		}
		return fmt.Errorf("%s %w", host, err)
	}
	return neterror.Describe(host, err, neterror.Fix{
		Address: "check the host and the port of the URL", Authority: "if it is right, give its CA with --ca-file",
	})
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
