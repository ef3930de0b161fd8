// Package hookcheck calls a registration inline hook as Okta does, and finds what is usually wrong with one: on the
// way to its server, in the server's certificate, in the call and in the answer. Each fault has a stable name and a
// fix.
//
// What Okta makes of the answer is oktasim's reading of Okta's documentation. Nothing here holds or returns a
// credential.
package hookcheck

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// Options say which hook is called and how.
type Options struct {
	// URL, Header, Credential, Timeout and Attempts are those of the call; its other fields are set here.
	Call oktasim.Options
	// PlainHTTP allows an http URL, for a hook whose TLS ends before it.
	PlainHTTP bool
	// Authorities are believed beside the public ones.
	Authorities []*x509.Certificate
	// PublicRoots are the public authorities. Unset means the system's.
	PublicRoots *x509.CertPool
	// Resolver looks the host's name up. Unset means the system's.
	Resolver *net.Resolver
	// Resolve says where to connect to instead of looking up, by "host:port".
	Resolve map[string]netip.AddrPort
	// NoProbe leaves out the calls that find a hook that authenticates nobody.
	NoProbe bool
	// LineBreakDropped says that the credential was read from a file whose final line break was left out.
	LineBreakDropped bool
}

// Fault is one thing that is wrong.
type Fault struct {
	// Name is from the closed set of [Definitions].
	Name Name `json:"name"`
	// Level is the definition's.
	Level Level `json:"level"`
	// What says what is wrong here.
	What string `json:"what"`
	// Fix says what to do.
	Fix string `json:"fix"`
}

// Report is what came of a call.
type Report struct {
	// Called says that the hook was called; if not, the faults say why, and Result is that of a hook that fails.
	Called bool
	// Result is what Okta makes of it.
	Result oktasim.Result
	// Faults are in the order in which the call met them.
	Faults []Fault
}

// HasError tells whether a fault is of level error.
func (r *Report) HasError() bool {
	return slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Level == LevelError })
}

// add adds a fault, once a name and text.
func (r *Report) add(name Name, format string, args ...any) {
	d := definition(name)
	fault := Fault{Name: name, Level: d.Level, What: fmt.Sprintf(format, args...), Fix: d.Fix}
	if !slices.Contains(r.Faults, fault) {
		r.Faults = append(r.Faults, fault)
	}
}

// fail ends an examination before the call.
func (r *Report) fail(shape oktasim.Shape) *Report {
	r.Result = oktasim.Failure(shape)
	return r
}

// Examine calls the hook. What is wrong with the hook is in the report; the error is about the options, or that of a
// context that ended.
func Examine(ctx context.Context, o Options, call oktasim.Call) (*Report, error) {
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	line := &line{options: &o}
	o.Call.RootCAs, o.Call.TLS, o.Call.Dial = roots, line.tls(), line.dial
	hook, err := oktasim.New(o.Call)
	if err != nil {
		return nil, err
	}
	defer hook.Close()
	address, err := url.Parse(o.Call.URL)
	if err != nil {
		return nil, errors.New("URL: not a URL: write https://host/path")
	}

	report := &Report{}
	here := false
	if address.Scheme != "https" && !o.PlainHTTP {
		if !loopbackHost(address.Hostname()) {
			report.add(NotHTTPS, "the URL is http; nothing was sent")
			return report.fail(call.Shape), nil
		}
		here, o.PlainHTTP = true, true
	}
	if !line.resolve(ctx, report, address) {
		return report.fail(call.Shape), context.Cause(ctx)
	}
	switch {
	case here && !line.loopback():
		report.add(NotHTTPS, "the URL is http, and %s leads to another machine; nothing was sent", address.Hostname())
		return report.fail(call.Shape), nil
	case here:
		report.add(PlainHTTP, "the URL is http, to this machine")
	}
	result, err := hook.Post(ctx, call)
	if err != nil {
		return nil, err
	}
	report.Called, report.Result = true, result
	if err := line.examine(ctx, report, address); err != nil {
		return nil, err
	}
	o.readResult(report)
	if !o.NoProbe {
		err = o.probe(ctx, report, call)
	}
	return report, err
}

// roots returns the public authorities and those given.
func (o *Options) roots() (*x509.CertPool, error) {
	if o.PublicRoots == nil {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("the system's certificates: %w", err)
		}
		o.PublicRoots = system
	}
	roots := o.PublicRoots.Clone()
	for _, authority := range o.Authorities {
		roots.AddCert(authority)
	}
	return roots, nil
}
