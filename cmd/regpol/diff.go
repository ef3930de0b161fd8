package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// The values of --fail-on, and the kinds of changes on which each ends the program with exit code 1.
const (
	failOnWiden  = "widen"
	failOnNarrow = "narrow"
	failOnAny    = "any"
)

var failOnKinds = map[string][]analysis.Kind{
	failOnWiden:  {analysis.Widened},
	failOnNarrow: {analysis.Narrowed},
	failOnAny:    {analysis.Widened, analysis.Narrowed, analysis.OtherText, analysis.OtherProfile},
}

// outputMarkdown is a value of --output that only diff has: a comment for a pull request.
const outputMarkdown = "markdown"

// diffOptions holds the flags of diff.
type diffOptions struct {
	old, new  policySource
	at        []string // the Git revisions of old and new
	recursive bool
	operatorOptions
	failOn        []string
	showAddresses bool
	verbose       bool
	output        string
}

func newDiff(s streams) *cobra.Command {
	o := &diffOptions{}
	command := &cobra.Command{
		Use:   "diff (OLD NEW | NEW | --at REVISION [--at REVISION] PATH)",
		Short: "Say who may newly sign up, and who may no longer",
		Long: `Compare two sets of policies by their meaning: for every call that Okta could make with one or two addresses, say whether the
answer changes. The result is computed from the entries, not sampled: without a change, both sets decide every such call alike.

OLD and NEW are files or directories with policies; - is standard input. With NEW alone, OLD is the policies of a cluster that is
found as kubectl finds it, or with --at the same path in a Git revision. A second --at is the revision of NEW. Nothing is changed.

Exit codes: 0 compared; 1 there is a change that --fail-on names; 2 wrong usage, unreadable input or no policy; 3 an internal fault.`,
		Example: `  # Two directories
  regpol diff config/samples/quickstart config/samples/one-company.yaml

  # Fail if anybody is newly let in
  regpol diff config/samples/quickstart config/samples/quickstart --fail-on widen

  # A comment for a pull request
  regpol diff config/samples/quickstart config/samples/one-company.yaml -o markdown

  # What the work tree changes since a branch, tag or commit; what a commit changed
  regpol diff --at HEAD config/samples/quickstart
  regpol diff --at HEAD --at HEAD config/samples/quickstart

  # What applying the files would change in a cluster
  regpol diff config/samples/quickstart -n okta-registration
  regpol diff config/samples/quickstart --as-deployed okta-registration/registration-policy-operator`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if err := usage.OneOf(command.Flags(), "namespace", "watch-namespaces"); err != nil && o.old.asDeployed == "" {
				return err
			}
			clusterFlags := o.old.asDeployed == "" &&
				slices.ContainsFunc([]string{"kubeconfig", "context", "namespace", "watch-namespaces"}, command.Flags().Changed)
			switch {
			case len(args) == 0 || len(args) > 2:
				return fmt.Errorf("give OLD and NEW, or NEW alone to compare it with a cluster; see %s --help", command.CommandPath())
			case len(args) == 2 && clusterFlags:
				return errors.New("give OLD and NEW, or a cluster and NEW alone")
			case len(o.at) > 0 && clusterFlags:
				return errors.New("give --at, or a cluster: OLD is one of them")
			}
			o.setPaths(args)
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringArrayVar(&o.at, "at", nil, "Git revision of OLD: a branch, tag or commit; given twice, the second is that of NEW")
	flags.BoolVarP(&o.recursive, "recursive", "R", false, "also read the directories below OLD and NEW")
	o.old.addClusterFlags(flags)
	o.old.addAsDeployedFlag(flags)
	o.addNamespaceSourcesFlag(flags)
	flags.StringSliceVar(&o.failOn, "fail-on", nil, "exit with 1 on these changes: widen, narrow, any")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses from entries, with their local parts")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print all changes and all addresses of each, and not only the first")
	flags.StringVarP(&o.output, "output", "o", outputText, "text, markdown, json, yaml")
	completeChoices(command, map[string][]string{
		"output": append([]string{outputMarkdown}, outputs...), "fail-on": {failOnWiden, failOnNarrow, failOnAny},
	})
	return command
}

// setPaths sets where OLD and NEW are: in files, on the disk or in the revisions of --at. OLD is a cluster if neither a
// path nor a revision says where it is.
func (o *diffOptions) setPaths(args []string) {
	o.old.recursive, o.new.recursive = o.recursive, o.recursive
	o.new.paths = args[len(args)-1:]
	if len(args) == 2 || len(o.at) > 0 {
		o.old.paths = args[:1]
	}
	// A new directory of policies has no OLD. If the path is misspelt, NEW fails.
	o.old.mayLackPaths = len(args) == 1
	for i, side := range []*policySource{&o.old, &o.new} {
		if i < len(o.at) {
			side.revision = gitrevision.New(o.at[i])
		}
	}
}

func (o *diffOptions) validate() error {
	if len(o.at) > 2 {
		return errors.New("give --at at most twice: for OLD, and for NEW")
	}
	if slices.Equal(o.old.paths, []string{"-"}) && slices.Equal(o.new.paths, []string{"-"}) {
		return errors.New("OLD and NEW cannot both be standard input")
	}
	for _, kind := range o.failOn {
		if err := validChoice("--fail-on", kind, []string{failOnWiden, failOnNarrow, failOnAny}); err != nil {
			return err
		}
	}
	return validChoice("-o", o.output, append([]string{outputMarkdown}, outputs...))
}

func (o *diffOptions) run(ctx context.Context, flags *pflag.FlagSet, s streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.old.readDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.scopes()
	if err != nil {
		return err
	}
	before, err := o.old.read(ctx, s.in)
	if err != nil {
		return err
	}
	after, err := o.new.read(ctx, s.in)
	if err != nil {
		return err
	}
	if len(before.all) == 0 && len(after.all) == 0 {
		return after.noPolicy()
	}
	old, oldRejections := scopes.BoundAll(before.rules())
	replaced, newRejections := scopes.BoundAll(after.rules())
	changes, err := analysis.Compare(old, replaced)
	if err != nil {
		return &exitError{exitFault, err}
	}
	d := difference{
		before: before, after: after, changes: changes, showAddresses: o.showAddresses, verbose: o.verbose,
	}
	report := d.report()
	if o.output == outputMarkdown {
		if _, err := s.out.Write(report.markdown()); err != nil {
			return err
		}
	} else if err := writeReport(s, o.output, report, func() []byte { return report.text(s.coloured()) }); err != nil {
		return err
	}
	warnings := before.warnings()
	for _, warning := range notInForceOf(before, old, oldRejections) {
		warnings = append(warnings, "OLD: "+warning)
	}
	warnings = append(warnings, after.warnings()...)
	for _, warning := range notInForceOf(after, replaced, newRejections) {
		warnings = append(warnings, "NEW: "+warning)
	}
	printWarnings(s, warnings)
	for _, failOn := range o.failOn {
		for _, kind := range failOnKinds[failOn] {
			if slices.ContainsFunc(changes, func(c analysis.Change) bool { return c.Kind == kind }) {
				return &exitError{code: exitDenied}
			}
		}
	}
	return nil
}

// notInForceOf returns a warning for each part of the policies that is not in force: an analysis is without it.
func notInForceOf(set *policySet, bounded []rules.Policy, rejections []rules.Rejection) []string {
	_, rejected := rules.Compile(bounded)
	var warnings []string
	for _, rejection := range slices.Concat(rejections, rejected) {
		at := ""
		if i := slices.IndexFunc(set.all, func(p policyfile.ReadPolicy) bool { return p.PolicyName == rejection.Policy }); i >= 0 {
			at = set.all[i].Place(rejection.Path)
		}
		at = cmp.Or(at, rejection.Policy.String()+" "+rejection.Path)
		warnings = append(warnings, fmt.Sprintf("%s: not in force: %s", at, rejection.Message))
	}
	for i := range set.all {
		if why := set.all[i].NotUnderstood; why != "" {
			warnings = append(warnings, fmt.Sprintf("%s cannot be enforced: %s", set.all[i].PolicyName, why))
		}
	}
	return warnings
}
