package diff

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules/analysis"
)

// failOnKinds are the kinds of changes on which each value of --fail-on ends the program with exit code 1.
var failOnKinds = map[string][]analysis.Kind{
	outcome.FailOnWiden:  {analysis.Widened},
	outcome.FailOnNarrow: {analysis.Narrowed},
	outcome.FailOnAny:    {analysis.Widened, analysis.Narrowed, analysis.OtherText, analysis.OtherProfile},
}

var diffFailOns = []string{outcome.FailOnWiden, outcome.FailOnNarrow, outcome.FailOnAny}

// outputMarkdown is a value of --output that only diff has: a comment for a pull request.
const outputMarkdown = "markdown"

// diffOptions holds the flags of diff.
type diffOptions struct {
	old, new  policysource.Location
	at        []string // the Git revisions of old and new
	recursive bool
	policysource.OperatorFlags
	failOn        []string
	showAddresses bool
	verbose       bool
	output        string
}

// Command returns the command regpol diff.
func Command(s console.Streams) *cobra.Command {
	o := &diffOptions{}
	command := &cobra.Command{
		Use:   "diff (OLD NEW | NEW | --at REVISION [--at REVISION] PATH)",
		Short: "Say who may newly sign up, and who may no longer",
		Long: `Compare two sets of policies by their meaning: for every call that Okta could make with one or two addresses, say whether the
answer changes. The result is computed from the entries, not sampled: without a change, both sets decide every such call alike.

OLD and NEW are files or directories with policies; - is standard input. With NEW alone, OLD is the policies of a cluster that is
found as kubectl finds it, or with --at the same path in a Git revision. A second --at is the revision of NEW. Nothing is changed.

Exit codes: 0 compared; 1 there is a change that --fail-on names; 2 wrong usage, unreadable input, no policy, or with --fail-on a list
that no file has; 3 an internal fault.`,
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
  regpol diff config/samples/quickstart -n registration-policy
  regpol diff config/samples/quickstart --as-deployed registration-policy/registration-policy-operator`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if err := usage.OneOf(command.Flags(), "namespace", "watch-namespaces"); err != nil && o.old.AsDeployed == "" {
				return err
			}
			clusterFlags := o.old.AsDeployed == "" &&
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
	o.old.AddClusterFlags(flags)
	o.old.AddAsDeployedFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	flags.StringSliceVar(&o.failOn, "fail-on", nil, "exit with 1 on these changes: widen, narrow, any")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses from entries, with their local parts")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print all changes and all addresses of each, and not only the first")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, "text, markdown, json, yaml")
	console.CompleteChoices(command, map[string][]string{
		"output": append([]string{outputMarkdown}, console.Outputs...), "fail-on": diffFailOns,
	})
	return command
}

// setPaths sets where OLD and NEW are: at paths on the disk, or at paths in the revisions of --at. OLD is the cluster
// if there is only one argument and no --at.
func (o *diffOptions) setPaths(args []string) {
	o.old.Recursive, o.new.Recursive = o.recursive, o.recursive
	o.new.Paths = args[len(args)-1:]
	if len(args) == 2 || len(o.at) > 0 {
		o.old.Paths = args[:1]
	}
	// With one argument, the path may be missing in OLD, because its directory may be new. A misspelt path still fails:
	// it is missing in NEW, too.
	o.old.MayLackPaths = len(args) == 1
	for i, side := range []*policysource.Location{&o.old, &o.new} {
		if i < len(o.at) {
			side.Revision = gitrevision.New(o.at[i])
		}
	}
}

func (o *diffOptions) validate() error {
	if len(o.at) > 2 {
		return errors.New("give --at at most twice: for OLD, and for NEW")
	}
	if slices.Equal(o.old.Paths, []string{"-"}) && slices.Equal(o.new.Paths, []string{"-"}) {
		return errors.New("OLD and NEW cannot both be standard input")
	}
	for _, kind := range o.failOn {
		if err := console.ValidChoice("--fail-on", kind, diffFailOns); err != nil {
			return err
		}
	}
	return console.ValidChoice("-o", o.output, append([]string{outputMarkdown}, console.Outputs...))
}

func (o *diffOptions) run(ctx context.Context, flags *pflag.FlagSet, s console.Streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.old.ReadDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.Scopes()
	if err != nil {
		return err
	}
	before, err := o.old.Read(ctx, s.In)
	if err != nil {
		return err
	}
	after, err := o.new.Read(ctx, s.In)
	if err != nil {
		return err
	}
	if len(before.Policies) == 0 && len(after.Policies) == 0 {
		return after.NoPolicy()
	}
	old, oldRejections := scopes.BoundAll(before.Rules())
	replaced, newRejections := scopes.BoundAll(after.Rules())
	changes, err := analysis.Compare(old, replaced)
	if err != nil {
		return &console.ExitError{Code: console.ExitFault, Err: err}
	}
	d := difference{
		before: before, after: after, changes: changes, showAddresses: o.showAddresses, verbose: o.verbose,
	}
	for _, list := range before.ListsElsewhere() {
		d.notCompared = append(d.notCompared, "OLD: "+list)
	}
	for _, list := range after.ListsElsewhere() {
		d.notCompared = append(d.notCompared, "NEW: "+list)
	}
	report := d.report()
	if o.output == outputMarkdown {
		if _, err := s.Out.Write(report.markdown()); err != nil {
			return err
		}
	} else if err := console.WriteReport(s, o.output, report, func() []byte { return report.text(s.Coloured()) }); err != nil {
		return err
	}
	warnings := before.Warnings()
	for _, warning := range policysource.NotInForceOf(before, old, oldRejections) {
		warnings = append(warnings, "OLD: "+warning)
	}
	warnings = append(warnings, after.Warnings()...)
	for _, warning := range policysource.NotInForceOf(after, replaced, newRejections) {
		warnings = append(warnings, "NEW: "+warning)
	}
	console.PrintWarnings(s, warnings)
	for _, failOn := range o.failOn {
		for _, kind := range failOnKinds[failOn] {
			if slices.ContainsFunc(changes, func(c analysis.Change) bool { return c.Kind == kind }) {
				return &console.ExitError{Code: console.ExitDenied}
			}
		}
	}
	if len(o.failOn) > 0 && len(d.notCompared) > 0 {
		return fmt.Errorf("--fail-on %s: cannot tell without the lists that no file has: give their ConfigMaps as files, "+
			"or compare with the cluster that has them", strings.Join(o.failOn, ","))
	}
	return nil
}
