package call

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/net/http/httpguts"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/internal/usage"
)

// callOptions holds the flags of call.
type callOptions struct {
	registration.Flags

	url string

	header         string
	credentialFile string
	caFile         string
	resolve        []string
	plainHTTP      bool
	timeout        time.Duration
	noProbe        bool

	acceptDenial       bool
	acceptUnauthorized bool
	output             string
}

// Command returns the command regpol call.
func Command(s console.Streams) *cobra.Command {
	o := &callOptions{}
	command := &cobra.Command{
		Use:   "call URL [ADDRESS]",
		Short: "Call a running hook as Okta would, and report its faults",
		Long: `Call a running hook, of this operator or any other, as Okta would: over IPv4 and HTTP/1.1, within 3 seconds, with one retry
and without following redirects. Print what Okta would do, what the person would read, and every fault with its fix.

The credential comes from a file or from the environment variable REGPOL_CREDENTIAL, and is never shown. If there is one, the hook
is called twice more, without it and with a wrong one, to check that it refuses both calls; --no-probe skips that.

Exit codes: 0 allowed, 1 denied, 2 wrong usage or unreadable input, 3 a fault of level error, whatever the outcome.`,
		Example: `  # As Okta would call it, with the credential in a file
  regpol call https://hook.example.com/okta/registration jo@acme.com --credential-file credential

  # In another header
  regpol call https://hook.example.com/okta/registration jo@acme.com --header X-Registration-Hook-Key --credential-file credential

  # Before DNS points there, and with a certificate of a private CA
  regpol call https://hook.example.com/okta/registration jo@acme.com --credential-file credential \
    --resolve hook.example.com:443:192.0.2.10 --ca-file ca.crt

  # Inside the cluster, without the proxy; succeed on any valid answer
  regpol call http://hook.example.com:8080/okta/registration --plain-http --credential-file credential --accept-denial

  # A change of a profile; a sign-up on Classic with a user name as login
  regpol call https://hook.example.com/okta/registration jo@acme.com --shape progressive --credential-file credential
  regpol call https://hook.example.com/okta/registration jo@acme.com --shape classic --login jo.doe --credential-file credential

  # A recorded call, unchanged, and the answer for a script
  regpol call https://hook.example.com/okta/registration -f call.json --credential-file credential -o json`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("give the URL of a hook, and at most one address; see %s --help", command.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			for _, flag := range []string{"login", "source", "shape"} {
				if err := usage.OneOf(command.Flags(), "filename", flag); err != nil {
					return err
				}
			}
			o.url = args[0]
			if len(args) == 2 {
				o.Address, o.HasAddress = args[1], true
			}
			return o.run(command.Context(), s)
		},
	}
	o.flags(command)
	return command
}

func (o *callOptions) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVarP(&o.Request, "filename", "f", "", "post this file's JSON, unchanged; - is standard input")
	o.AddFlags(flags, "an invented one")

	flags.StringVar(&o.header, "header", hookserver.DefaultAuthHeader, "name of the header that holds the credential")
	flags.StringVar(&o.credentialFile, "credential-file", "",
		"file with the header's value, without a final line break; - is standard input; default: $"+credentialVariable)
	flags.StringVar(&o.caFile, "ca-file", "", "PEM file with more CAs to trust; Okta trusts only public ones")
	flags.StringArrayVar(&o.resolve, "resolve", nil, "HOST:PORT:ADDRESS[:PORT]: connect there instead of looking the host up; repeatable")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow an http URL, for a check behind the proxy; a loopback URL does not need it")
	flags.DurationVar(&o.timeout, "timeout", oktasim.DefaultTimeout, "time for each attempt; default: Okta's")
	flags.BoolVar(&o.noProbe, "no-probe", false, "do not check that the hook refuses callers without the right credential")

	flags.BoolVar(&o.acceptDenial, "accept-denial", false, "exit with 0 after a denial too, if the hook has no fault of level error")
	flags.BoolVar(&o.acceptUnauthorized, "accept-unauthorized", false,
		"exit with 0 if the hook refuses this call, which has no credential, with 401 and has no other fault of level error")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, strings.Join(console.Outputs, ", "))

	console.CompleteChoices(command, map[string][]string{"shape": registration.Shapes, "output": console.Outputs})
}

func (o *callOptions) validate() error {
	switch {
	case o.HasAddress && o.Request != "":
		return errors.New("give an ADDRESS or -f REQUEST.json, not both")
	case o.Request == "-" && o.credentialFile == "-":
		return errors.New("-f and --credential-file cannot both read standard input")
	case !httpguts.ValidHeaderFieldName(o.header): // not quoted in the error: it may include the credential
		return errors.New("--header: give only the header's name; its value comes from --credential-file")
	case o.timeout <= 0:
		return errors.New("--timeout: write a duration above 0s, such as 3s")
	}
	return cmp.Or(console.ValidChoice("--shape", o.Shape, registration.Shapes), console.ValidChoice("-o", o.output, console.Outputs))
}

func (o *callOptions) run(ctx context.Context, s console.Streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	options, err := o.hook(s.In)
	if err != nil {
		return err
	}
	if o.acceptUnauthorized && options.Call.Credential != "" {
		return errors.New("--accept-unauthorized is for a call without a credential: leave out --credential-file and $" + credentialVariable)
	}
	call, err := o.call(s.In)
	if err != nil {
		return err
	}
	examined, err := hookcheck.Examine(ctx, options, call)
	if err != nil {
		return err
	}
	r := newHookReport(o, call, examined, redactor(options.Call.Credential))
	if err := r.write(s, o.output); err != nil {
		return &console.ExitError{Code: console.ExitFault, Err: err}
	}
	switch {
	case o.acceptUnauthorized && onlyUnauthorized(examined):
		return nil
	case o.acceptUnauthorized && !examined.HasError():
		return &console.ExitError{Code: console.ExitFault, Err: errors.New("the hook answers a caller without a credential")}
	case examined.HasError() || examined.Result.Outcome == oktasim.Failed:
		return &console.ExitError{Code: console.ExitFault}
	case examined.Result.Outcome == oktasim.Denied && !o.acceptDenial:
		return &console.ExitError{Code: console.ExitDenied}
	}
	return nil
}

// onlyUnauthorized reports whether a hook has refused the call with 401, and has no other fault of level error.
func onlyUnauthorized(report *hookcheck.Report) bool {
	refused := false
	for _, fault := range report.Faults {
		switch {
		case fault.Name == hookcheck.Unauthorized:
			refused = true
		case fault.Level == hookcheck.LevelError:
			return false
		}
	}
	return refused
}
