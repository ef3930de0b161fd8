// Package hookcheck calls a registration inline hook as Okta does and finds its faults: in the connection to its
// server, the server's certificate, the call and the answer. Each fault has a stable name and a fix.
//
// Package oktasim determines how Okta handles the answer. Reports never have the credential.
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
	// Call has the URL, Header, Credential, Timeout and Attempts of the call. Examine sets its other fields.
	Call oktasim.Options
	// PlainHTTP allows an http URL, for a hook behind a proxy that terminates TLS.
	PlainHTTP bool
	// Authorities are trusted CAs in addition to the public ones.
	Authorities []*x509.Certificate
	// PublicRoots are the public CAs. Unset means the system's.
	PublicRoots *x509.CertPool
	// Resolver resolves the host name. Unset means the system's.
	Resolver *net.Resolver
	// Resolve maps "host:port" to an address to connect to instead of resolving the host name.
	Resolve map[string]netip.AddrPort
	// NoProbe omits the calls that check whether the hook refuses a missing and a wrong credential.
	NoProbe bool
	// LineBreakDropped is true if the source of Call.Credential ended in a line break, which Credential lacks. If the hook
	// refuses the credential, the fault mentions this as a possible cause.
	LineBreakDropped bool
}

// Fault is a fault of a hook.
type Fault struct {
	// Name is from the closed set of [Definitions].
	Name Name `json:"name"`
	// Level is the severity in the [Definition] of the fault.
	Level Level `json:"level"`
	// What says what is wrong in this case.
	What string `json:"what"`
	// Fix says what to do.
	Fix string `json:"fix"`
}

// Report is the result of [Examine].
type Report struct {
	// Called is true if the hook was called. If not, Faults say why, and Result is Okta's result for a hook that it cannot
	// reach.
	Called bool
	// Result is the result of the call in Okta.
	Result oktasim.Result
	// Faults are in the order in which the call met them.
	Faults []Fault
}

// HasError reports whether a fault has level error.
func (r *Report) HasError() bool {
	return slices.ContainsFunc(r.Faults, func(f Fault) bool { return f.Level == LevelError })
}

// add adds a fault, unless it is already in the report.
func (r *Report) add(name Name, format string, args ...any) {
	d := definition(name)
	fault := Fault{Name: name, Level: d.Level, What: fmt.Sprintf(format, args...), Fix: d.Fix}
	if !slices.Contains(r.Faults, fault) {
		r.Faults = append(r.Faults, fault)
	}
}

// fail sets the result of a hook that was not called.
func (r *Report) fail(shape oktasim.Shape) *Report {
	r.Result = oktasim.Failure(shape)
	return r
}

// Examine calls the hook and reports its faults. It fails only if an option is invalid or ctx ends.
func Examine(ctx context.Context, o Options, call oktasim.Call) (*Report, error) {
	roots, err := o.roots()
	if err != nil {
		return nil, err
	}
	trace := &trace{options: &o}
	o.Call.RootCAs, o.Call.TLS, o.Call.Dial = roots, trace.tlsConfig(), trace.dial
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
	loopbackOnly := false // true for an http URL without PlainHTTP, which may only lead to this machine
	if address.Scheme != "https" && !o.PlainHTTP {
		if !loopbackHost(address.Hostname()) {
			report.add(NotHTTPS, "the URL is http; nothing was sent")
			return report.fail(call.Shape), nil
		}
		loopbackOnly, o.PlainHTTP = true, true
	}
	if !trace.resolve(ctx, report, address) {
		return report.fail(call.Shape), context.Cause(ctx)
	}
	switch {
	case loopbackOnly && !trace.loopback():
		report.add(NotHTTPS, "the URL is http, and %s leads to another machine; nothing was sent", address.Hostname())
		return report.fail(call.Shape), nil
	case loopbackOnly:
		report.add(PlainHTTP, "the URL is http, to this machine")
	}
	result, err := hook.Post(ctx, call)
	if err != nil {
		return nil, err
	}
	report.Called, report.Result = true, result
	if err := trace.examine(ctx, report, address); err != nil {
		return nil, err
	}
	o.readResult(report)
	if !o.NoProbe {
		err = o.probe(ctx, report, call)
	}
	return report, err
}

// roots returns the CAs that the call trusts: the public ones and Authorities.
func (o *Options) roots() (*x509.CertPool, error) {
	if o.PublicRoots == nil {
		system, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("read the system's CA certificates: %w", err)
		}
		o.PublicRoots = system
	}
	roots := o.PublicRoots.Clone()
	for _, authority := range o.Authorities {
		roots.AddCert(authority)
	}
	return roots, nil
}
