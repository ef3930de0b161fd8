package listsource

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode"
)

const (
	// Stdin is the name of the source for standard input.
	Stdin = "-"
	// schemeHTTPS is the only accepted scheme. Without TLS, somebody on the network could change the list.
	schemeHTTPS = "https"
	// sourceForms names what a source can be, for the end of messages.
	sourceForms = "give a file, a URL that begins with https://, or - for standard input"
)

// ErrInvalid reports a source that another attempt cannot read either, such as a missing file or a URL that is not
// HTTPS.
var ErrInvalid = errors.New("the source cannot be read")

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
		return fmt.Errorf("the source took longer than %s: run this again, or raise --timeout", f.Timeout)
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
		return nil, fileError(source, err)
	}
	defer file.Close()
	if info, err := file.Stat(); err == nil && info.IsDir() {
		return nil, fmt.Errorf("%w: %q is a directory: give a file", ErrInvalid, source)
	}
	text, err := f.readLimited(file)
	if pathError, ok := errors.AsType[*fs.PathError](err); ok {
		return nil, fileError(source, pathError)
	}
	return text, err
}

// fileError describes an error of opening or reading a file.
func fileError(name string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%w: there is no such file: %q: %s", ErrInvalid, name, sourceForms)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%w: you do not have the permission to read the file %q", ErrInvalid, name)
	default:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
}

// readLimited reads a source to its end. It fails if there are more than MaxBytes.
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
	return fmt.Errorf("the source is larger than %d bytes: check that it is a list, or raise --max-size", f.MaxBytes)
}

func isURL(source string) bool { return strings.Contains(source, "://") }

// parseURL parses a source that must be an HTTPS URL. Its errors quote nothing of the URL, which may hold a secret.
func parseURL(source string) (*url.URL, error) {
	at, err := url.Parse(source)
	_, badEscape := errors.AsType[url.EscapeError](err)
	_, badHost := errors.AsType[url.InvalidHostError](err)
	switch {
	case strings.ContainsFunc(source, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return nil, fmt.Errorf("%w: the URL is invalid: it has a space, or an invisible character: write a space as %%20", ErrInvalid)
	case badHost:
		return nil, fmt.Errorf("%w: the URL is invalid: its host has a character that a host cannot have", ErrInvalid)
	case badEscape:
		return nil, fmt.Errorf("%w: the URL is invalid: a %% must have two hexadecimal digits after it: write %% itself as %%25", ErrInvalid)
	case err != nil:
		return nil, fmt.Errorf("%w: the URL is invalid: check its port, and escape the special characters in its user and password", ErrInvalid)
	case at.Scheme != schemeHTTPS:
		return nil, fmt.Errorf("%w: its scheme is not https: give an https URL, a file, or - for standard input", ErrInvalid)
	case at.Host == "":
		return nil, fmt.Errorf("%w: the URL has no host: write https:// and the host", ErrInvalid)
	}
	return at, nil
}

// Check returns an error if a source is empty, or a URL that is invalid or not HTTPS. It reads nothing.
func Check(source string) error {
	switch {
	case source == "":
		return fmt.Errorf("%w: it is empty: %s", ErrInvalid, sourceForms)
	case !isURL(source):
		return nil
	}
	_, err := parseURL(source)
	return err
}

// Display returns a source for reports: a URL is without user, query and fragment.
func Display(source string) string {
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
