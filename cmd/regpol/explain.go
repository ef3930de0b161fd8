package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// exampleID takes the place of the random id of a decision, so that equal explanations are equal texts.
const exampleID = "ID-OF-THE-DECISION"

// explainOptions holds the flags of explain.
type explainOptions struct {
	registrationOptions

	policies        []string
	cluster         clusterOptions
	watchNamespaces []string

	attributes       []string
	namespaceSources []string
	texts            rules.Texts
	observe          bool
	strict           bool
	output           string
}

func newExplain(s streams) *cobra.Command {
	o := &explainOptions{}
	command := &cobra.Command{
		Use:   "explain (ADDRESS | -f REQUEST.json)",
		Short: "Explain whether a person may sign up, and why",
		Long: `Explain whether a person may sign up, which policy decides by which entry, why the others do not, what the person reads, and
what Okta gets. The policies come from files, or from a cluster that is found as kubectl finds it. Neither a hook nor Okta is
called, and nothing is changed.

Exit codes: 0 allowed, 1 denied, 2 wrong usage or unreadable input, 3 with --strict if a part of a policy is not in force.`,
		Example: `  # With the policies of a file, or of all files in a directory
  regpol explain jo@acme.com --policies config/samples/one-company.yaml
  regpol explain jo@contractors.acme.com --policies config/samples/quickstart

  # With a login that is not the address
  regpol explain jo@acme.com --login jo.doe --policies config/samples/quickstart

  # A change of a profile, with the id of the calling rule in Okta
  regpol explain jo@acme.com --shape progressive --source rul1bufGk5dJdRYw50g4 --policies config/samples/progressive-profile.yaml

  # A call that Okta made, for example from its Preview
  regpol explain -f test/vectors/okta/requests/oie-ssr.json --policies config/samples/quickstart

  # The answer of an operator with --observe
  regpol explain jo@other.example --policies config/samples/quickstart --observe

  # For a script
  regpol explain jo@acme.com --policies config/samples/quickstart --strict -o json

  # With the policies of a cluster, as its operator sees them
  regpol explain jo@acme.com -n okta-registration
  kubectl get regpol -n okta-registration -o yaml | regpol explain jo@acme.com --policies -`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) > 1 {
				return fmt.Errorf("give one address; see %s --help", command.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			for _, flags := range exclusiveFlags {
				if err := usage.OneOf(command.Flags(), flags...); err != nil {
					return err
				}
			}
			if len(args) == 1 {
				o.address, o.hasAddress = args[0], true
			}
			return o.run(command.Context(), s)
		},
	}
	o.flags(command)
	return command
}

// exclusiveFlags are groups of flags of which explain takes only one.
var exclusiveFlags = [][]string{
	{"filename", "login"}, {"filename", "shape"}, {"policies", "kubeconfig"}, {"policies", "context"}, {"policies", "namespace"},
	{"policies", "watch-namespaces"}, {"namespace", "watch-namespaces"},
}

func (o *explainOptions) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	defaults := rules.DefaultTexts()
	flags.StringVarP(&o.request, "filename", "f", "", "file with the JSON of a call from Okta to explain; - is standard input")
	o.addFlags(flags, "none, which no policy can name")

	flags.StringArrayVar(&o.policies, "policies", nil, "file or directory with policies, instead of a cluster; repeatable; - is standard input")
	flags.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: as kubectl")
	flags.StringVar(&o.cluster.context, "context", "", "context of the kubeconfig; default: the current one")
	flags.StringVarP(&o.cluster.namespace, "namespace", "n", "", "namespace of the policies; default: that of the context")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil, "namespaces of the policies, if the operator watches several")

	flags.StringSliceVar(&o.attributes, "address-attributes", hookserver.DefaultAddressAttributes(), "as the operator's flag")
	flags.StringArrayVar(&o.namespaceSources, "namespace-sources", nil, "as the operator's flag: namespace=source,source; repeatable")
	flags.StringVar(&o.texts.NotAllowed, "text-not-allowed", defaults.NotAllowed, "as the operator's flag")
	flags.StringVar(&o.texts.Invalid, "text-invalid", defaults.Invalid, "as the operator's flag")
	flags.StringVar(&o.texts.Blank, "text-blank", defaults.Blank, "as the operator's flag")
	flags.StringVar(&o.texts.Unavailable, "text-unavailable", defaults.Unavailable, "as the operator's flag")
	flags.BoolVar(&o.observe, "observe", false, "as the operator's flag: answer as an operator that only observes")
	flags.BoolVar(&o.strict, "strict", false, "exit with 3 if a part of any policy is not in force")
	flags.StringVarP(&o.output, "output", "o", outputText, strings.Join(outputs, ", "))

	completeChoices(command, map[string][]string{"shape": shapes, "output": outputs})
}

func (o *explainOptions) validate() error {
	switch {
	case o.hasAddress && o.request != "":
		return errors.New("give an ADDRESS or -f REQUEST.json, not both")
	case !o.hasAddress && o.request == "":
		return errors.New("give an ADDRESS, or a call from Okta with -f REQUEST.json; see regpol explain --help")
	case o.request == "-" && slices.Contains(o.policies, "-"):
		return errors.New("-f and --policies cannot both read standard input")
	}
	return cmp.Or(validChoice("--shape", o.shape, shapes), validChoice("-o", o.output, outputs))
}

// optionFlags maps options of the hook server to the flags that set them.
var optionFlags = map[string]string{
	"Texts.NotAllowed": "--text-not-allowed", "Texts.Invalid": "--text-invalid", "Texts.Unavailable": "--text-unavailable",
	"Texts.Blank": "--text-blank", "AddressAttributes": "--address-attributes",
}

func (o *explainOptions) run(ctx context.Context, s streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	scopes, err := policyobject.ParseScopes(o.namespaceSources)
	if err != nil {
		return fmt.Errorf("--namespace-sources: %w", err)
	}
	call, err := o.readCall(s.in)
	if err != nil {
		return err
	}
	policies, err := o.readPolicies(ctx, s.in)
	if err != nil {
		return err
	}
	bounded, rejections := scopes.BoundAll(policies.rules())
	snapshot, rejected := rules.Compile(bounded)
	rejections = append(rejections, rejected...)

	preview, err := hookserver.DryRun(&call.request, snapshot, exampleID, hookserver.Options{
		AddressAttributes: o.attributes, Texts: o.texts, Observe: o.observe,
	})
	if err != nil {
		return optionerror.ByFlag(err, optionFlags)
	}
	e := explanation{call, policies, bounded, snapshot, rejections, preview}
	r := e.report()
	if err := r.write(s, o.output); err != nil {
		return err
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(s.err, "regpol: warning: "+warning)
	}
	switch {
	case o.strict && r.hasRejections():
		return &exitError{exitFault, errors.New("a part of a policy is not in force (--strict)")}
	case preview.Decision.Answer() == rules.Deny:
		return &exitError{code: exitDenied}
	}
	return nil
}
