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
	// DefaultTimeout is the time that Okta gives a call, from the connection to the end of the answer.
	DefaultTimeout = 3 * time.Second
	// DefaultAttempts is how often Okta calls at most: once, and once more.
	DefaultAttempts = 2
	// MaxAttempts is how often a text said that Okta calls, which was published for two days in 2023.
	MaxAttempts = 3
)

// Options say which hook is called and how.
type Options struct {
	// URL is the hook's address. Okta itself calls https only; http is for a hook whose TLS ends before it.
	URL string
	// Header is the name of the header that holds the credential (authScheme.key). Unset means Authorization.
	Header string
	// Credential is that header's value, sent as it is (authScheme.value). Unset sends no such header. It never appears
	// in a result or an error.
	Credential string
	// Timeout is the time for one attempt. Unset means DefaultTimeout.
	Timeout time.Duration
	// Attempts is how often the hook is called at most. Unset means DefaultAttempts; more than MaxAttempts is an error.
	Attempts int
	// RootCAs are the authorities whose certificates are believed. Unset means the system's; Okta believes public ones.
	RootCAs *x509.CertPool
	// TLS is used as it is but for RootCAs. Unset means TLS 1.2 or later.
	TLS *tls.Config
	// Dial opens the connection to a host and port, over IPv4 as Okta does. Unset means by the system's name
	// resolution.
	Dial func(ctx context.Context, address string) (net.Conn, error)
}

// Hook is a hook that can be called. All methods may be called at the same time.
type Hook struct {
	options Options
	client  http.Client
}

// New returns the hook that the options describe, or an error that names the option that cannot be used.
func New(o Options) (*Hook, error) {
	o.Header = cmp.Or(o.Header, "Authorization")
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.Attempts = cmp.Or(o.Attempts, DefaultAttempts)
	u, err := url.Parse(o.URL)
	switch {
	case err != nil:
		// The parser's own message repeats the URL, and what secret it may hold.
		return nil, errors.New("URL: not a URL: write https://host/path")
	case u.Scheme != "https" && u.Scheme != "http" || u.Host == "":
		return nil, errors.New("URL: write https://host/path")
	case u.User != nil:
		return nil, errors.New("URL: put the credential into the header, not into the URL")
	case !httpguts.ValidHeaderFieldName(o.Header):
		return nil, fmt.Errorf("header: %.40q is not a header name", o.Header)
	case !httpguts.ValidHeaderFieldValue(o.Credential):
		return nil, errors.New("credential: not a header value")
	case o.Timeout < 0:
		return nil, errors.New("timeout: must be positive")
	case o.Attempts < 1 || o.Attempts > MaxAttempts:
		return nil, fmt.Errorf("attempts: must be 1 to %d", MaxAttempts)
	}
	return &Hook{options: o, client: http.Client{
		Transport:     newTransport(o),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// newTransport calls over HTTP/1.1 with keep-alive and IPv4, without a proxy and without compression, as Okta does.
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

// Close drops the idle connections.
func (h *Hook) Close() { h.client.CloseIdleConnections() }

// Register makes a call of r and posts it. See [Registration.Call] and [Hook.Post] for the errors.
func (h *Hook) Register(ctx context.Context, r Registration) (Result, error) {
	call, err := r.Call()
	if err != nil {
		return Result{}, err
	}
	return h.Post(ctx, call)
}

// Post calls the hook as Okta does: again after a timeout, a connection error or a 5xx, never after another answer.
// What goes wrong with the hook is in the result; the error is that of a context that ended before there was one.
func (h *Hook) Post(ctx context.Context, call Call) (Result, error) {
	begin := time.Now()
	var earlier []Trouble
	for attempt := 1; ; attempt++ {
		last := time.Now()
		r, again := h.attempt(ctx, call)
		if err := context.Cause(ctx); err != nil {
			return Result{}, err
		}
		if !again || attempt == h.options.Attempts {
			r.Attempts, r.Latency, r.LastLatency = attempt, time.Since(begin), time.Since(last)
			r.Trouble = append(earlier, r.Trouble...)
			return r, nil
		}
		for _, t := range r.Trouble {
			earlier = append(earlier, Trouble{Kind: t.Kind, Text: fmt.Sprintf("attempt %d: %s", attempt, t), Earlier: true})
		}
	}
}

// attempt calls once, and reports whether Okta would call again.
func (h *Hook) attempt(ctx context.Context, call Call) (_ Result, again bool) {
	ctx, cancel := context.WithTimeout(ctx, h.options.Timeout)
	defer cancel()
	answer, err := h.roundTrip(ctx, call)
	if err != nil {
		r := Result{Status: answer.Status, Err: err}
		if errors.Is(err, context.DeadlineExceeded) {
			r.trouble(KindTimeout, "no whole answer within %s", h.options.Timeout)
		} else {
			r.trouble(KindConnection, "connection error: %s", err)
		}
		r.fail(call.Shape)
		return r, true
	}
	r := Read(call.Shape, answer.Answer)
	r.RedirectHost, r.Header = answer.redirectHost, answer.header
	return r, answer.Status/100 == 5
}

// roundTrip posts once and reads the answer, of which it takes no more than Okta would. An answer that breaks off is an
// error with the status set.
func (h *Hook) roundTrip(ctx context.Context, call Call) (received, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.options.URL, bytes.NewReader(call.Body))
	if err != nil {
		return received{}, errors.New("not a URL")
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
			err = wrapped.Err // without the URL, which may hold a secret in its query
		}
		if unlikeHTTP(err) {
			err = ErrNotHTTP
		}
		return received{}, err
	}
	defer resp.Body.Close()
	for _, values := range resp.Header {
		for i := range values {
			values[i] = h.redact(values[i])
		}
	}
	answer := received{Answer: Answer{Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}, header: resp.Header}
	if location, err := resp.Location(); err == nil {
		answer.redirectHost = h.redact(location.Host)
	}
	answer.Body, err = io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	if len(answer.Body) < MaxAnswer { // a longer one is refused unread, and must stay as long as it is
		answer.Body = []byte(h.redact(string(answer.Body)))
	}
	return answer, err
}

// ErrNotHTTP says that what came back is no HTTP/1.1 answer. It says no more, because the HTTP client's errors repeat
// it, and a hook may have sent the credential back.
var ErrNotHTTP = errors.New("what came back is not an HTTP/1.1 answer")

// unlikeHTTP tells whether an error is about the bytes of an answer, and not about the connection.
func unlikeHTTP(err error) bool {
	_, isConnection := errors.AsType[net.Error](err)
	return strings.HasPrefix(err.Error(), "net/http: HTTP/1.x transport connection broken") && !isConnection &&
		!errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF)
}

// received is an answer, its header, and where it points to.
type received struct {
	Answer
	header       http.Header
	redirectHost string
}

// redact takes the credential out of what a hook sends back: some mirror what they were sent.
func (h *Hook) redact(text string) string {
	if h.options.Credential == "" {
		return text
	}
	return strings.ReplaceAll(text, h.options.Credential, Redacted)
}

// Redacted stands where an answer holds the credential.
const Redacted = "[credential]"
