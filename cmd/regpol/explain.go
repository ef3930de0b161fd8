package main

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// exampleID replaces the random id of a decision, so that two runs with the same input print the same text.
const exampleID = "ID-OF-THE-DECISION"

// explainOptions holds the flags of explain.
type explainOptions struct {
	registrationOptions
	arguments   []string // the addresses of the command line
	addressFile string   // the file of --addresses

	policySource
	at string // the Git revision of the policies

	operatorOptions
	texts   rules.Texts
	observe bool
	strict  bool
	verbose bool
	output  string
}

func newExplain(s streams) *cobra.Command {
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
  regpol explain jo@acme.com -n okta-registration
  regpol explain jo@acme.com --as-deployed okta-registration/registration-policy-operator
  kubectl get regpol -n okta-registration -o yaml | regpol explain jo@acme.com --policies -`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			exclusive := exclusiveFlags
			if o.asDeployed == "" { // it needs a cluster, and -n is the namespace of the Deployment
				exclusive = append(exclusive, exclusiveClusterFlags...)
			}
			for _, flags := range exclusive {
				if err := usage.OneOf(command.Flags(), flags...); err != nil {
					return err
				}
			}
			o.arguments = args
			if command.Flags().Changed("at") {
				o.revision = gitrevision.New(o.at)
			}
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	o.flags(command)
	return command
}

// exclusiveFlags are pairs of flags that exclude each other, and exclusiveClusterFlags those that do so without
// --as-deployed.
var (
	exclusiveFlags = [][]string{
		{"filename", "login"}, {"filename", "shape"}, {"filename", "addresses"}, {"login", "addresses"}, {"policies", "watch-namespaces"},
	}
	exclusiveClusterFlags = [][]string{
		{"policies", "kubeconfig"}, {"policies", "context"}, {"policies", "namespace"}, {"namespace", "watch-namespaces"},
	}
)

func (o *explainOptions) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	defaults := rules.DefaultTexts()
	flags.StringVarP(&o.request, "filename", "f", "", "file with the JSON of a call from Okta to explain; - is standard input")
	flags.StringVar(&o.addressFile, "addresses", "", "file with one address a line, # for comments; - is standard input")
	o.addFlags(flags, "none, which no policy can name")

	flags.StringArrayVar(&o.paths, "policies", nil, "file or directory with policies, instead of a cluster; repeatable; - is standard input")
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "also read the directories below those of --policies")
	flags.StringVar(&o.at, "at", "", "read --policies from this Git revision: a branch, tag or commit")
	o.addClusterFlags(flags)

	o.addAsDeployedFlag(flags)
	o.addAddressAttributesFlag(flags)
	o.addNamespaceSourcesFlag(flags)
	flags.StringVar(&o.texts.NotAllowed, "text-not-allowed", defaults.NotAllowed, "as the operator's flag")
	flags.StringVar(&o.texts.Invalid, "text-invalid", defaults.Invalid, "as the operator's flag")
	flags.StringVar(&o.texts.Blank, "text-blank", defaults.Blank, "as the operator's flag")
	flags.StringVar(&o.texts.Unavailable, "text-unavailable", defaults.Unavailable, "as the operator's flag")
	flags.BoolVar(&o.observe, "observe", false, "as the operator's flag: answer as an operator that only observes")
	flags.BoolVar(&o.strict, "strict", false, "exit with 3 if a part of any policy is not in force")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print every policy and the answer to Okta; of several addresses, all of this for each")
	flags.StringVarP(&o.output, "output", "o", outputText, strings.Join(outputs, ", "))

	completeChoices(command, map[string][]string{"shape": shapes, "output": outputs})
}

func (o *explainOptions) validate() error {
	switch {
	case len(o.arguments) > 0 && o.request != "":
		return errors.New("give an ADDRESS or -f REQUEST.json, not both")
	case len(o.arguments) == 0 && o.addressFile == "" && o.request == "":
		return errors.New("give an ADDRESS, a file of them with --addresses, or a call from Okta with -f REQUEST.json; see regpol explain --help")
	case len(o.arguments) > 1 && o.login != "":
		return errors.New("--login belongs to one address: give one ADDRESS with it")
	case len(o.paths) == 0 && (o.revision != nil || o.recursive):
		return errors.New("--at and -R belong to files: give --policies with them")
	case o.request == "-" && slices.Contains(o.paths, "-"):
		return errors.New("-f and --policies cannot both read standard input")
	case o.addressFile == "-" && slices.Contains(o.paths, "-"):
		return errors.New("--addresses and --policies cannot both read standard input")
	}
	return cmp.Or(validChoice("--shape", o.shape, shapes), validChoice("-o", o.output, outputs))
}

// optionFlags maps the fields of [hookserver.Options], which errors name, to the flags that set them.
var optionFlags = map[string]string{
	"Texts.NotAllowed": "--text-not-allowed", "Texts.Invalid": "--text-invalid", "Texts.Unavailable": "--text-unavailable",
	"Texts.Blank": "--text-blank", "AddressAttributes": "--address-attributes",
}

func (o *explainOptions) run(ctx context.Context, flags *pflag.FlagSet, s streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.readDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.scopes()
	if err != nil {
		return err
	}
	calls, err := o.readCalls(s.in)
	if err != nil {
		return err
	}
	policies, err := o.read(ctx, s.in)
	if err != nil {
		return err
	}
	if len(policies.all) == 0 {
		printWarnings(s, policies.warnings())
		return policies.noPolicy()
	}
	evaluated := o.evaluate(policies, scopes)
	denied, err := o.explain(evaluated, calls, s)
	switch {
	case err != nil:
		return err
	case o.strict && evaluated.hasRejections():
		return &exitError{exitFault, errors.New("a part of a policy is not in force (--strict)")}
	case denied:
		return &exitError{code: exitDenied}
	}
	return nil
}

// explain writes the explanation of each call, and reports whether one of them is denied.
func (o *explainOptions) explain(evaluated *evaluation, calls []explainedCall, s streams) (denied bool, _ error) {
	if len(calls) == 1 && o.addressFile == "" {
		r, err := o.reportOf(evaluated, &calls[0])
		if err != nil {
			return false, err
		}
		if err := r.write(s, o.output, o.verbose); err != nil {
			return false, err
		}
		printWarnings(s, r.Warnings)
		return r.Answer == rules.Deny.String(), nil
	}
	buffered := bufio.NewWriter(s.out)
	items := newItemsWriter(buffered, o, s.coloured(), calls)
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
	printWarnings(s, items.warnings)
	return items.denied > 0, nil
}

// reportOf returns the report about a call. It fails if a flag has an invalid value.
func (o *explainOptions) reportOf(evaluated *evaluation, call *explainedCall) (*report, error) {
	preview, err := hookserver.DryRun(&call.request, evaluated.snapshot, exampleID, hookserver.Options{
		AddressAttributes: o.attributes, Texts: o.texts, Observe: o.observe,
	})
	if err != nil {
		return nil, optionerror.ByFlag(err, optionFlags)
	}
	e := explanation{evaluated, call, preview}
	return e.report(), nil
}

func printWarnings(s streams, warnings []string) {
	for _, warning := range warnings {
		fmt.Fprintln(s.err, "regpol: warning: "+warning)
	}
}
