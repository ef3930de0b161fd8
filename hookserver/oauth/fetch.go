package oauth

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/go-json-experiment/json"

	"registrationpolicy.dev/operator/internal/cafile"
)

// Paths of the documents that have the URL of an issuer's keys.
const (
	openIDDocument = "/.well-known/openid-configuration"       // after the issuer's path: OpenID Connect Discovery 1.0 §4
	oauthDocument  = "/.well-known/oauth-authorization-server" // before the issuer's path: RFC 8414 §3
)

// fetch fetches the issuer's keys. Its errors quote no content from the issuer except URLs and key ids, which they
// shorten.
func (o *Options) fetch(ctx context.Context) (*keySet, error) {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	issuer, err := url.Parse(o.Issuer)
	if err != nil {
		return nil, err
	}
	client, err := o.client(issuer)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	keysURL, err := discover(ctx, client, issuer, o.Issuer)
	if err != nil {
		return nil, err
	}
	document, err := get(ctx, client, keysURL)
	if err != nil {
		return nil, err
	}
	keys, err := parseKeys(document)
	if err != nil {
		return nil, fmt.Errorf("%s %w", keysURL.Redacted(), err)
	}
	return keys, nil
}

// client returns an HTTP client that follows redirects only to the issuer's host. Each fetch makes a new one: fetches
// are rare, and CAFile may have changed.
func (o *Options) client(issuer *url.URL) (*http.Client, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.CAFile != "" {
		authorities, err := cafile.Read(o.CAFile)
		if err != nil {
			return nil, err
		}
		config.RootCAs = x509.NewCertPool()
		for _, authority := range authorities {
			config.RootCAs.AddCert(authority)
		}
	}
	return &http.Client{
		Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, TLSClientConfig: config, ForceAttemptHTTP2: true,
			DisableCompression: true, MaxResponseHeaderBytes: maxResponseHeader,
		},
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			switch {
			case !sameHost(next.URL, issuer):
				return fmt.Errorf("is redirected away from https://%s", issuer.Host)
			case len(before) > maxRedirects:
				return errors.New("is redirected too often")
			}
			return nil
		},
	}, nil
}

// sameHost reports whether a URL is HTTPS and has the issuer's host and port.
func sameHost(u, issuer *url.URL) bool {
	port := func(u *url.URL) string {
		if u.Port() == "" {
			return "443"
		}
		return u.Port()
	}
	return u.Scheme == "https" && u.User == nil && strings.EqualFold(u.Hostname(), issuer.Hostname()) && port(u) == port(issuer)
}

// discover returns the URL of the issuer's keys, from the issuer's configuration. That document must have exactly
// issuerID as its issuer. issuer is issuerID, parsed.
func discover(ctx context.Context, client *http.Client, issuer *url.URL, issuerID string) (*url.URL, error) {
	path := strings.TrimRight(issuer.EscapedPath(), "/")
	root := "https://" + issuer.Host
	text, err := getAt(ctx, client, root+path+openIDDocument)
	if status, ok := errors.AsType[statusError](err); ok && status.code >= 400 && status.code < 500 {
		// The issuer may support only OAuth, without OpenID Connect.
		var second error
		if text, second = getAt(ctx, client, root+oauthDocument+path); second != nil {
			return nil, errors.Join(err, second)
		}
		err = nil
	}
	if err != nil {
		return nil, err
	}
	var document struct {
		Issuer string `json:"issuer"`
		Keys   string `json:"jwks_uri"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, errors.New("the issuer's configuration is not a JSON object, or has duplicate members")
	}
	if document.Issuer != issuerID { // OpenID Connect Discovery 1.0 §4.3, RFC 8414 §3.3
		return nil, fmt.Errorf("the issuer's configuration is that of %.*q, not of %q", maxQuoted, document.Issuer, issuerID)
	}
	keys, err := url.Parse(document.Keys)
	if err != nil || !sameHost(keys, issuer) {
		return nil, fmt.Errorf("the issuer's jwks_uri %.*q is not on https://%s", maxQuoted, document.Keys, issuer.Host)
	}
	return keys, nil
}

func getAt(ctx context.Context, client *http.Client, address string) ([]byte, error) {
	at, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	return get(ctx, client, at)
}

// statusError is the error of an answer whose status is not 200.
type statusError struct {
	address string
	code    int
}

func (s statusError) Error() string { return fmt.Sprintf("GET %s: status %d", s.address, s.code) }

func get(ctx context.Context, client *http.Client, at *url.URL) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/json")
	response, err := client.Do(request)
	if err != nil {
		return nil, err // no prefix: a [url.Error] names the method and the URL
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, statusError{at.Redacted(), response.StatusCode}
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	if err == nil {
		err = ctx.Err() // if ctx ended, the read may have ended without an error although text is incomplete
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("GET %s: %w", at.Redacted(), err)
	case len(text) > maxDocument:
		return nil, fmt.Errorf("GET %s: the answer has over %d bytes", at.Redacted(), maxDocument)
	}
	return text, nil
}
