package lint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/junit"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policylint"
	"registrationpolicy.dev/operator/internal/usage"
)

// The values of --output that lint has besides the usual ones.
const (
	outputSARIF  = "sarif"
	outputGitHub = "github"
)

var lintOutputs = append(slices.Clone(console.Outputs), outputSARIF, outputGitHub, junit.Format)

// lintOptions holds the flags of lint.
type lintOptions struct {
	source policysource.Location
	at     string // the Git revision of the paths
	policysource.OperatorFlags
	failOn        string
	showAddresses bool
	output        string
}

// Command returns the command regpol lint.
func Command(s console.Streams) *cobra.Command {
	o := &lintOptions{source: policysource.Location{PathFlag: "PATH"}}
	command := &cobra.Command{
		Use:   "lint [PATH...]",
		Short: "Say what is wrong with policies",
		Long: `List what is wrong with policies: what the API server refuses, what the operator does not put in force, and what only looks
wrong. Each finding has its place, what is wrong with this value, and the fix. Policies are compared with all others that are given.

A PATH is a file or a directory with policies and their lists; - is standard input. Without a PATH, the policies are those of a cluster
that is found as kubectl finds it.

An annotation ` + policylint.SilencePrefix + `ID: REASON silences the warnings of a kind on its object.

Exit codes: 0 no finding at the level of --fail-on; 1 there are some; 2 wrong usage, unreadable input, input that is not YAML, or no
policy.`,
		Example: `  # The policies of a directory, and of those below
  regpol lint config/samples/gitops
  regpol lint -R config/samples/gitops

  # Those of a branch, tag or commit
  regpol lint --at HEAD config/samples/gitops

  # Fail on warnings too
  regpol lint config/samples/gitops --fail-on warning

  # Annotations of a pull request on GitHub, and a file for code scanning
  regpol lint config/samples/gitops -o github
  regpol lint config/samples/gitops -o sarif

  # The policies of a cluster
  regpol lint -n registration-policy
  regpol lint --as-deployed registration-policy/registration-policy-operator`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if err := usage.OneOf(command.Flags(), "namespace", "watch-namespaces"); err != nil && o.source.AsDeployed == "" {
				return err
			}
			if command.Flags().Changed("at") {
				o.source.Revision = gitrevision.New(o.at)
			}
			switch {
			case len(args) == 0 && (o.source.Recursive || o.source.Revision != nil):
				return errors.New("--recursive and --at: give a PATH too")
			case len(args) > 0 && o.source.AsDeployed == "":
				for _, flag := range []string{"kubeconfig", "context", "namespace", "watch-namespaces"} {
					if command.Flags().Changed(flag) {
						return fmt.Errorf("give only one of PATH and --%s", flag)
					}
				}
			}
			o.source.Paths = args
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.source.Recursive, "recursive", "R", false, "also read the directories below")
	flags.StringVar(&o.at, "at", "", "read the PATHs from this Git revision: a branch, tag or commit")
	o.source.AddClusterFlags(flags)
	o.source.AddAsDeployedFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	flags.StringVar(&o.failOn, "fail-on", string(policylint.Error), "exit with 1 on these findings: error, warning (and errors)")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses and profile values, which may be personal")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, strings.Join(lintOutputs, ", "))
	console.CompleteChoices(command, map[string][]string{"output": lintOutputs, "fail-on": failOnSeverities})
	return command
}

var failOnSeverities = []string{string(policylint.Error), string(policylint.Warning)}

func (o *lintOptions) run(ctx context.Context, flags *pflag.FlagSet, s console.Streams) error {
	if err := console.ValidChoice("-o", o.output, lintOutputs); err != nil {
		return err
	}
	if err := console.ValidChoice("--fail-on", o.failOn, failOnSeverities); err != nil {
		return err
	}
	if err := o.source.ReadDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.Scopes()
	if err != nil {
		return err
	}
	checked, found, err := o.source.Check(ctx, s.In)
	if err != nil {
		return err
	}
	if len(checked.Policies)+len(checked.Lists)+len(checked.Mistakes) == 0 {
		return found.NoPolicy()
	}
	result := policylint.Find(checked, policylint.Options{
		Scopes: scopes, ShowAddresses: o.showAddresses, Files: len(o.source.Paths) > 0,
	})
	report := newLintReport(checked, result, policylint.Severity(o.failOn))
	if err := report.write(s, o.output); err != nil {
		return err
	}
	warnings := found.Warnings()
	for _, namespace := range scopes.Namespaces() {
		if !slices.ContainsFunc(checked.Policies, func(p policyfile.CheckedPolicy) bool { return p.Namespace == namespace }) {
			warnings = append(warnings, fmt.Sprintf("--namespace-sources: no policy in namespace %s: is it misspelt?", namespace))
		}
	}
	console.PrintWarnings(s, warnings)
	if report.failed() {
		return &console.ExitError{Code: console.ExitDenied}
	}
	return nil
}
