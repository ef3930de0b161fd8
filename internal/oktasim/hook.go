package oktasim

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// DefaultTimeout is Okta's timeout of a call, from connecting to the end of the answer.
	DefaultTimeout = 3 * time.Second
	// DefaultAttempts is how often Okta calls at most: once, with one retry.
	DefaultAttempts = 2
	// MaxAttempts is the highest number of attempts that Okta ever documented: a version of its documentation from 2023,
	// which was published for two days, has two retries.
	MaxAttempts = 3
)

// Options say which hook is called and how.
type Options struct {
	// URL is the hook's URL. Okta calls https only; http is for a hook behind a proxy that terminates TLS.
	URL string
	// Header is the name of the header that holds the credential (authScheme.key). Unset means Authorization.
	Header string
	// Credential is that header's value, sent unchanged (authScheme.value). Unset sends no such header. It never
	// appears in a result or an error.
	Credential string
	// Timeout is the time for one attempt. Unset means DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often the hook is called at most. Unset means DefaultAttempts; more than MaxAttempts is an error.
	Attempts int
	// RootCAs are the trusted CAs. Unset means the system's; Okta trusts public ones.
	RootCAs *x509.CertPool
	// TLS is the TLS configuration, without RootCAs. Unset means TLS 1.2 or later.
	TLS *tls.Config
	// Dial connects to a host:port. Unset connects over IPv4, as Okta does, with the system's resolver.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Hook calls a hook. Its methods may be called concurrently.
type Hook struct {
	options Options
	client  http.Client
}

// New returns a Hook with these options. It fails if one is invalid, with an error that names it.
func New(o Options) (*Hook, error) {
	o.Header = cmp.Or(o.Header, "Authorization")
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Attempts = cmp.Or(o.Attempts, DefaultAttempts)
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		// The error of url.Parse has the URL, which may have a secret.
		return nil, errors.New("URL: not a URL: write https://host/path")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("URL: does not begin with https:// and a host: write https://host/path")
	case u.User != nil:
		return nil, errors.New("URL: has a user name or password: send the credential in a header instead")
	case !httpguts.ValidHeaderFieldName(o.Header):
		return nil, fmt.Errorf("header: %.40q is not a header name: write letters, digits and hyphens", o.Header)
	case !httpguts.ValidHeaderFieldValue(o.Credential):
		return nil, errors.New("credential: has a character that a header value cannot have, such as a line break")
	case o.Timeout < 0:
		return nil, errors.New("timeout: is negative: write a positive duration")
	case o.Attempts < 1 || o.Attempts > MaxAttempts:
		return nil, fmt.Errorf("attempts: must be 1 to %d", MaxAttempts)
	}
	return &Hook{options: o, client: http.Client{
		Transport:     newTransport(o),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// newTransport returns a transport that calls as Okta does: over IPv4 and HTTP/1.1 with keep-alive, without a proxy and
// without compression.
func newTransport(o Options) *http.Transport {
	var http1 http.Protocols
	http1.SetHTTP1(true)
	dial := o.Dial
	if dial == nil {
		dialer := &net.Dialer{}
		dial = func(ctx context.Context, address string) (net.Conn, error) {
			return dialer.DialContext(ctx, "tcp4", address)
		}
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.TLS != nil {
		config = o.TLS.Clone()
	}
	config.RootCAs = o.RootCAs
	return &http.Transport{
		DialContext:        func(ctx context.Context, _, address string) (net.Conn, error) { return dial(ctx, address) },
		TLSClientConfig:    config,
		Protocols:          &http1,
		DisableCompression: true,
	}
}

// Close closes idle connections.
func (h *Hook) Close() { h.client.CloseIdleConnections() }

// Register posts the call of r. Its errors are those of [Registration.Call] and [Hook.Post].
func (h *Hook) Register(ctx context.Context, r Registration) (Result, error) {
	call, err := r.Call()
	if err != nil {
		return Result{}, err
	}
	return h.Post(ctx, call)
}

// Post calls the hook as Okta does. It retries after a timeout, a connection error or a 5xx, and after nothing else.
// The result has the faults of the hook. Post fails only if ctx ends first, and then returns the cause.
func (h *Hook) Post(ctx context.Context, call Call) (Result, error) {
	begin := time.Now()
	var earlier []Fault
	for attempt := 1; ; attempt++ {
		attemptBegin := time.Now()
		r, retry := h.attempt(ctx, call)
		if err := context.Cause(ctx); err != nil {
			return Result{}, err
		}
		if !retry || attempt == h.options.Attempts {
			r.Attempts, r.Latency, r.LastLatency = attempt, time.Since(begin), time.Since(attemptBegin)
			r.Faults = append(earlier, r.Faults...)
			return r, nil
		}
		for _, t := range r.Faults {
			earlier = append(earlier, Fault{Kind: t.Kind, Text: fmt.Sprintf("attempt %d: %s", attempt, t), Earlier: true})
		}
	}
}

// attempt calls once, and reports whether Okta would retry.
func (h *Hook) attempt(ctx context.Context, call Call) (_ Result, retry bool) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	answer, err := h.roundTrip(ctx, call)
	if err != nil {
		r := Result{Status: answer.Status, Err: err}
		if errors.Is(err, context.DeadlineExceeded) {
			r.addFault(KindTimeout, "no complete answer within %s", h.options.Timeout)
		} else {
			r.addFault(KindConnection, "connection error: %s", err)
		}
		r.fail(call.Shape)
		return r, true
	}
	r := Read(call.Shape, answer.Answer)
	r.RedirectHost, r.Header = answer.redirectHost, answer.header
	return r, answer.Status/100 == 5
}

// roundTrip posts once and reads at most MaxAnswer bytes of the answer. If the body cannot be read completely, it
// returns an error and an answer with the status.
func (h *Hook) roundTrip(ctx context.Context, call Call) (response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.options.URL, bytes.NewReader(call.Body))
	if err != nil {
		return response{}, errors.New("not a URL") // without the URL, which may have a secret
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "Okta-Integrations")
	if call.RequestID != "" {
		req.Header.Set("X-Okta-Request-Id", call.RequestID)
	}
	if h.options.Credential != "" {
		req.Header.Set(h.options.Header, h.options.Credential)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // without the URL, which may have a secret in its query
		}
		if isMalformedHTTP(err) {
			err = ErrNotHTTP
		}
		return response{}, err
	}
	defer resp.Body.Close()
	for _, values := range resp.Header {
		for i := range values {
			values[i] = h.redact(values[i])
		}
	}
	answer := response{Answer: Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}, header: resp.Header}
	if location, err := resp.Location(); err == nil {
		answer.redirectHost = h.redact(location.Host)
	}
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	// Do not redact a body that is too large, so that Read refuses it: redact could shorten it below the limit.
	if len(answer.Body) < MaxAnswer {
		answer.Body = []byte(h.redact(string(answer.Body)))
	}
	return answer, err
}

// ErrNotHTTP is the error of an answer that is not HTTP/1.1. It replaces the errors of net/http, which quote the answer
// and so could show a credential that the hook sent back.
var ErrNotHTTP = errors.New("the answer is not HTTP/1.1")

// isMalformedHTTP reports whether an error is about the syntax of an answer rather than the connection.
func isMalformedHTTP(err error) bool {
	_, isConnection := errors.AsType[net.Error](err)
	return strings.HasPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken") && !isConnection &&
		!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// response is an answer with its header and the host that it redirects to.
type response struct {
	Answer
	header       http.Header
	redirectHost string
}

// redact removes the credential from the answer: some hooks send it back.
func (h *Hook) redact(text string) string {
	if h.options.Credential == "" {
		return text
	}
	return strings.ReplaceAll(text, h.options.Credential, Redacted)
}

// Redacted replaces the credential in an answer.
const Redacted = "[credential]"
