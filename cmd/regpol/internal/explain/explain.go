package explain

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// explainOptions holds the flags of explain.
type explainOptions struct {
	registration.Flags
	arguments   []string // the addresses of the command line
	addressFile string   // the file of --addresses

	policysource.Location
	at string // the Git revision of the policies

	policysource.OperatorFlags
	texts   rules.Texts
	observe bool
	strict  bool
	verbose bool
	output  string
}

// Command returns the command regpol explain.
func Command(s console.Streams) *cobra.Command {
	o := &explainOptions{}
	command := &cobra.Command{
		Use:   "explain (ADDRESS... | --addresses FILE | -f REQUEST.json)",
		Short: "Explain whether a person may sign up, and why",
		Long: `Explain whether a person may sign up: the policy and the entry that decide, the part of the other policies, and the text that
the person reads. With -v it also prints every policy and what Okta gets. Several addresses get one line each.

The policies come from files, or from a cluster that is found as kubectl finds it. Neither a hook nor Okta is called, and nothing
is changed. "regpol lint" lists all that is wrong with the policies.

Exit codes: 0 allowed; 1 denied, or one of several addresses is denied; 2 wrong usage, unreadable input or no policy, so nothing was
decided; 3 with --strict if a part of a policy is not in force. "go run" makes 1 of all but 0: build the program for a script.`,
		Example: `  # With the policies of a file, or of all files in a directory
  regpol explain jo@acme.com --policies config/samples/one-company.yaml
  regpol explain jo@contractors.acme.com --policies config/samples/quickstart

  # Several addresses, from the command line or from a file with one address a line
  regpol explain jo@acme.com jo@contractors.acme.com --policies config/samples/quickstart
  regpol explain --addresses cmd/regpol/testdata/addresses.txt --policies config/samples/quickstart

  # With a login that is not the address
  regpol explain jo@acme.com --login jo.doe --policies config/samples/quickstart

  # A change of a profile, with the id of the calling rule in Okta
  regpol explain jo@acme.com --shape progressive --source rul1bufGk5dJdRYw50g4 --policies config/samples/progressive-profile.yaml

  # A call that Okta made, for example from its Preview
  regpol explain -f test/vectors/okta/requests/oie-ssr.json --policies config/samples/quickstart

  # The answer of an operator with --observe
  regpol explain jo@other.example --policies config/samples/quickstart --observe

  # With the policies of a branch, a tag or a commit
  regpol explain jo@acme.com --policies config/samples/quickstart --at HEAD

  # For a script
  regpol explain jo@acme.com --policies config/samples/quickstart --strict -o json

  # With the policies of a cluster, as its operator sees them
  regpol explain jo@acme.com -n registration-policy
  regpol explain jo@acme.com --as-deployed registration-policy/registration-policy-operator
  kubectl get regpol -n registration-policy -o yaml | regpol explain jo@acme.com --policies -`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			exclusive := exclusiveFlags
			// With --as-deployed, the flags for a cluster select the Deployment, so the command also accepts them with
			// --policies.
			if o.AsDeployed == "" {
				exclusive = append(exclusive, policysource.ExclusiveClusterFlags...)
			}
			for _, flags := range exclusive {
				if err := usage.OneOf(command.Flags(), flags...); err != nil {
					return err
				}
			}
			o.arguments = args
			if command.Flags().Changed("at") {
				o.Revision = gitrevision.New(o.at)
			}
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	o.flags(command)
	return command
}

// exclusiveFlags are pairs of flags that exclude each other.
var exclusiveFlags = [][]string{
	{"filename", "login"}, {"filename", "shape"}, {"filename", "addresses"}, {"login", "addresses"}, {"policies", "watch-namespaces"},
}

func (o *explainOptions) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	defaults := rules.DefaultTexts()
	flags.StringVarP(&o.Request, "filename", "f", "", "file with the JSON of a call from Okta to explain; - is standard input")
	flags.StringVar(&o.addressFile, "addresses", "", "file with one address a line, # for comments; - is standard input")
	o.AddFlags(flags, "none, which no policy can name")

	flags.StringArrayVar(&o.Paths, "policies", nil, "file or directory with policies, instead of a cluster; repeatable; - is standard input")
	flags.BoolVarP(&o.Recursive, "recursive", "R", false, "also read the directories below those of --policies")
	flags.StringVar(&o.at, "at", "", "read --policies from this Git revision: a branch, tag or commit")
	o.AddClusterFlags(flags)

	o.AddAsDeployedFlag(flags)
	o.AddAddressAttributesFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	flags.StringVar(&o.texts.NotAllowed, "text-not-allowed", defaults.NotAllowed, "as the operator's flag")
	flags.StringVar(&o.texts.Invalid, "text-invalid", defaults.Invalid, "as the operator's flag")
	flags.StringVar(&o.texts.Blank, "text-blank", defaults.Blank, "as the operator's flag")
	flags.StringVar(&o.texts.Unavailable, "text-unavailable", defaults.Unavailable, "as the operator's flag")
	flags.BoolVar(&o.observe, "observe", false, "as the operator's flag: answer as an operator that only observes")
	flags.BoolVar(&o.strict, "strict", false, "exit with 3 if a part of any policy is not in force")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every policy and the answer to Okta; of several addresses, all of this for each")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, strings.Join(console.Outputs, ", "))

	console.CompleteChoices(command, map[string][]string{"shape": registration.Shapes, "output": console.Outputs})
}

func (o *explainOptions) validate() error {
	switch {
	case len(o.arguments) > 0 && o.Request != "":
		return errors.New("give an ADDRESS or -f REQUEST.json, not both")
	case len(o.arguments) == 0 && o.addressFile == "" && o.Request == "":
		return errors.New("give an ADDRESS, a file of them with --addresses, or a call from Okta with -f REQUEST.json; see regpol explain --help")
	case len(o.arguments) > 1 && o.Login != "":
		return errors.New("--login belongs to one address: give one ADDRESS with it")
	case len(o.Paths) == 0 && (o.Revision != nil || o.Recursive):
		return errors.New("--at and -R belong to files: give --policies with them")
	case o.Request == "-" && slices.Contains(o.Paths, "-"):
		return errors.New("-f and --policies cannot both read standard input")
	case o.addressFile == "-" && slices.Contains(o.Paths, "-"):
		return errors.New("--addresses and --policies cannot both read standard input")
	}
	return cmp.Or(console.ValidChoice("--shape", o.Shape, registration.Shapes), console.ValidChoice("-o", o.output, console.Outputs))
}

func (o *explainOptions) run(ctx context.Context, flags *pflag.FlagSet, s console.Streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.ReadDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.Scopes()
	if err != nil {
		return err
	}
	calls, err := o.readCalls(s.In)
	if err != nil {
		return err
	}
	policies, err := o.Read(ctx, s.In)
	if err != nil {
		return err
	}
	if len(policies.Policies) == 0 {
		console.PrintWarnings(s, policies.Warnings())
		return policies.NoPolicy()
	}
	evaluated := explanation.Evaluate(policies, scopes)
	denied, err := o.explain(evaluated, calls, s)
	switch {
	case err != nil:
		return err
	case o.strict && evaluated.HasRejections():
		return &console.ExitError{Code: console.ExitFault, Err: errors.New("a part of a policy is not in force (--strict)")}
	case denied:
		return &console.ExitError{Code: console.ExitDenied}
	}
	return nil
}

// explain writes the explanation of each call, and reports whether one of them is denied.
func (o *explainOptions) explain(evaluated *explanation.Evaluation, calls []explanation.Call, s console.Streams) (denied bool, _ error) {
	if len(calls) == 1 && o.addressFile == "" {
		r, err := o.reportOf(evaluated, &calls[0])
		if err != nil {
			return false, err
		}
		if err := r.Write(s, o.output, o.verbose); err != nil {
			return false, err
		}
		console.PrintWarnings(s, r.Warnings)
		return r.Answer == rules.Deny.String(), nil
	}
	buffered := bufio.NewWriter(s.Out)
	items := newItemsWriter(buffered, o, s.Coloured(), calls)
	for i := range calls {
		r, err := o.reportOf(evaluated, &calls[i])
		if err != nil {
			return false, err
		}
		if err := items.add(r); err != nil {
			return false, err
		}
	}
	if err := errors.Join(items.end(), buffered.Flush()); err != nil {
		return false, err
	}
	console.PrintWarnings(s, items.warnings)
	return items.denied > 0, nil
}

// reportOf returns the report about a call. It fails if a flag has an invalid value.
func (o *explainOptions) reportOf(evaluated *explanation.Evaluation, call *explanation.Call) (*explanation.Report, error) {
	explained, err := evaluated.Explain(call, hookserver.Options{
		AddressAttributes: o.Attributes, Texts: o.texts, Observe: o.observe,
	})
	if err != nil {
		return nil, err
	}
	return explained.Report(), nil
}
