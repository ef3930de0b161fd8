package call

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

const (
	// credentialVariable is the environment variable with the credential. There is no flag for it, because other users
	// can read a command line.
	credentialVariable = "REGPOL_CREDENTIAL"
)

// hook returns the options for calling the hook: its URL, its credential, the CAs to trust, and the IP addresses of
// --resolve. It takes them from the flags, files and the environment.
func (o *callOptions) hook(stdin io.Reader) (hookcheck.Options, error) {
	options := hookcheck.Options{PlainHTTP: o.plainHTTP, NoProbe: o.noProbe}
	credential, dropped, err := o.credential(stdin)
	if err != nil {
		return options, err
	}
	options.LineBreakDropped = dropped
	options.Call = oktasim.Options{URL: o.url, Header: o.header, Credential: credential, Timeout: o.timeout}
	if options.Authorities, err = input.Authorities(o.caFile); err != nil {
		return options, err
	}
	options.Resolve, err = parseResolve(o.resolve)
	return options, err
}

// credential reads the credential in the way the operator reads a file of its --hook-auth-dir, and reports whether it
// dropped a final line break. Its errors contain no part of the credential.
func (o *callOptions) credential(stdin io.Reader) (_ string, dropped bool, _ error) {
	text, from := os.Getenv(credentialVariable), "$"+credentialVariable
	if o.credentialFile != "" {
		from = "--credential-file"
		body, err := input.Read(o.credentialFile, stdin)
		if err != nil {
			if wrapped, ok := errors.AsType[*fs.PathError](err); ok {
				err = wrapped.Err // without the file name: a user may have given the credential in its place
			}
			return "", false, fmt.Errorf("%s: the file cannot be read: %w", from, err)
		}
		text = string(body)
	}
	value, dropped := strings.CutSuffix(text, "\n")
	if dropped {
		value = strings.TrimSuffix(value, "\r")
	}
	switch {
	case value == "" && o.credentialFile != "":
		return "", false, fmt.Errorf("%s: the file is empty", from)
	case strings.ContainsAny(value, "\r\n"):
		return "", false, fmt.Errorf("%s: the credential has a line break before its end: write it in one line", from)
	}
	return value, dropped, nil
}

// call returns the call that the flags describe, or the call in the file of -f.
func (o *callOptions) call(stdin io.Reader) (oktasim.Call, error) {
	if o.Request == "" {
		call, err := o.Registration(nil).Call()
		if err != nil {
			return oktasim.Call{}, fmt.Errorf("%w: is the address UTF-8?", err)
		}
		return call, nil
	}
	body, err := input.Read(o.Request, stdin)
	if err != nil {
		return oktasim.Call{}, fmt.Errorf("read the call: %w", err)
	}
	call, err := oktasim.ParseCall(body)
	if err != nil {
		return oktasim.Call{}, fmt.Errorf("%s is not a call from Okta: %w", o.Request, err)
	}
	return call, nil
}

// parseResolve parses the values of --resolve, HOST:PORT:ADDRESS[:PORT], and returns addresses by host:port. The first
// PORT may be http or https.
func parseResolve(entries []string) (map[string]netip.AddrPort, error) {
	resolve := map[string]netip.AddrPort{}
	for _, entry := range entries {
		invalid := fmt.Errorf("--resolve: %q: write HOST:PORT:ADDRESS or HOST:PORT:ADDRESS:PORT", entry)
		parts := strings.SplitN(entry, ":", 3)
		if len(parts) < 3 || parts[0] == "" {
			return nil, invalid
		}
		if number, known := map[string]string{"http": "80", "https": "443"}[parts[1]]; known {
			parts[1] = number
		}
		key := net.JoinHostPort(parts[0], parts[1])
		to, err := netip.ParseAddrPort(parts[2])
		if err != nil {
			address, err := netip.ParseAddr(strings.Trim(parts[2], "[]"))
			if err != nil {
				return nil, invalid
			}
			port, err := netip.ParseAddrPort("0.0.0.0:" + parts[1])
			if err != nil {
				return nil, invalid
			}
			to = netip.AddrPortFrom(address, port.Port())
		}
		resolve[key] = to
	}
	return resolve, nil
}
