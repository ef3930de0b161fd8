package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

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

var lintOutputs = append(slices.Clone(outputs), outputSARIF, outputGitHub, outputJUnit)

// lintOptions holds the flags of lint.
type lintOptions struct {
	source policySource
	at     string // the Git revision of the paths
	operatorOptions
	failOn        string
	showAddresses bool
	output        string
}

func newLint(s streams) *cobra.Command {
	o := &lintOptions{source: policySource{pathFlag: "PATH"}}
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
  regpol lint -n okta-registration
  regpol lint --as-deployed okta-registration/registration-policy-operator`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			if err := usage.OneOf(command.Flags(), "namespace", "watch-namespaces"); err != nil && o.source.asDeployed == "" {
				return err
			}
			if command.Flags().Changed("at") {
				o.source.revision = gitrevision.New(o.at)
			}
			switch {
			case len(args) == 0 && (o.source.recursive || o.source.revision != nil):
				return errors.New("--recursive and --at: give a PATH too")
			case len(args) > 0 && o.source.asDeployed == "":
				for _, flag := range []string{"kubeconfig", "context", "namespace", "watch-namespaces"} {
					if command.Flags().Changed(flag) {
						return fmt.Errorf("give only one of PATH and --%s", flag)
					}
				}
			}
			o.source.paths = args
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVarP(&o.source.recursive, "recursive", "R", false, "also read the directories below")
	flags.StringVar(&o.at, "at", "", "read the PATHs from this Git revision: a branch, tag or commit")
	o.source.addClusterFlags(flags)
	o.source.addAsDeployedFlag(flags)
	o.addNamespaceSourcesFlag(flags)
	flags.StringVar(&o.failOn, "fail-on", string(policylint.Error), "exit with 1 on these findings: error, warning (and errors)")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses and profile values, which may be personal")
	flags.StringVarP(&o.output, "output", "o", outputText, strings.Join(lintOutputs, ", "))
	completeChoices(command, map[string][]string{"output": lintOutputs, "fail-on": failOnSeverities})
	return command
}

var failOnSeverities = []string{string(policylint.Error), string(policylint.Warning)}

func (o *lintOptions) run(ctx context.Context, flags *pflag.FlagSet, s streams) error {
	if err := validChoice("-o", o.output, lintOutputs); err != nil {
		return err
	}
	if err := validChoice("--fail-on", o.failOn, failOnSeverities); err != nil {
		return err
	}
	if err := o.source.readDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.scopes()
	if err != nil {
		return err
	}
	checked, found, err := o.source.check(ctx, s.in)
	if err != nil {
		return err
	}
	if len(checked.Policies)+len(checked.Lists)+len(checked.Mistakes) == 0 {
		return found.noPolicy()
	}
	result := policylint.Find(checked, policylint.Options{
		Scopes: scopes, ShowAddresses: o.showAddresses, Files: len(o.source.paths) > 0,
	})
	report := newLintReport(checked, result, policylint.Severity(o.failOn))
	if err := report.write(s, o.output); err != nil {
		return err
	}
	warnings := found.warnings()
	for _, namespace := range scopes.Namespaces() {
		if !slices.ContainsFunc(checked.Policies, func(p policyfile.CheckedPolicy) bool { return p.Namespace == namespace }) {
			warnings = append(warnings, fmt.Sprintf("--namespace-sources: no policy in namespace %s: is it misspelt?", namespace))
		}
	}
	printWarnings(s, warnings)
	if report.failed() {
		return &exitError{code: exitDenied}
	}
	return nil
}

// check reads the policies, with the mistakes in them.
func (o *policySource) check(ctx context.Context, stdin io.Reader) (all *policyfile.Checked, found *policySet, err error) {
	reader, err := policyfile.NewOffline()
	if err != nil {
		return nil, nil, err
	}
	found = &policySet{recursive: o.recursive}
	if len(o.paths) > 0 {
		err := o.readPaths(ctx, found, func(paths []string) (err error) {
			all, err = reader.Check(ctx, paths, stdin)
			return err
		}, func(texts []policyfile.Text) (err error) {
			all, err = reader.CheckTexts(ctx, texts)
			return err
		})
		if err != nil {
			return nil, nil, err
		}
		found.otherObjects = all.Others
		return all, found, nil
	}
	all = &policyfile.Checked{}
	err = o.visitCluster(ctx, found, func(objects []unstructured.Unstructured, lists listReader) error {
		checked, err := reader.CheckObjects(ctx, objects, lists)
		if err != nil {
			return err
		}
		all.Policies, all.Mistakes = append(all.Policies, checked.Policies...), append(all.Mistakes, checked.Mistakes...)
		return nil
	})
	return all, found, err
}
