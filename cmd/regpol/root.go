package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/internal/version"
)

const (
	// pluginPrefix is the prefix of the names of kubectl plugins.
	pluginPrefix = "kubectl-"
	// completerName is the program that kubectl runs to complete arguments of this plugin.
	completerName = "kubectl_complete-regpol"
)

// run runs the program and returns its exit code.
func run(args []string, s streams) int {
	program := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	args = args[1:]
	if program == completerName {
		program, args = pluginPrefix+"regpol", append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	root := newRoot(program, s)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitAllowed
	}
	code := exitUsage
	if exit, ok := errors.AsType[*exitError](err); ok {
		code = exit.code
	}
	if text := err.Error(); text != "" {
		for line := range strings.SplitSeq(text, "\n") { // several flags or files can be wrong
			fmt.Fprintln(s.err, "regpol: "+line)
		}
	}
	return code
}

// newRoot returns the root command. If the program is kubectl-regpol, the help says `kubectl regpol`.
func newRoot(program string, s streams) *cobra.Command {
	root := &cobra.Command{
		Use:   "regpol",
		Short: "Check, test, compare and explain policies about who may sign up to an Okta org",
		Long: `Check, test, compare and explain policies that say who may sign up to an Okta org, and try a running hook.

Exit codes: 0 yes, or done; 1 no: denied, a finding, a failed test, a change that --fail-on names, or content of a list that is
refused; 2 wrong usage, unreadable input or no policy; 3 a fault of the policies, the hook, a source or the API server, which is
printed. "go run" makes 1 of all but 0: build the program (make build) for a script.`,
		Example: `  # Explain a decision with the policies in a directory
  regpol explain jo@acme.com --policies config/samples/quickstart

  # The same with the policies of a cluster, in the namespace of the current context
  regpol explain jo@acme.com

  # What is wrong with the policies in a directory
  regpol lint config/samples/quickstart

  # Who may newly sign up after a change of the policies
  regpol diff config/samples/quickstart config/samples/one-company.yaml

  # Which past calls would be decided otherwise
  regpol replay cmd/regpol/testdata/replay/operator.log --policies config/samples/quickstart

  # Call a running hook as Okta would
  regpol call https://hooks.example.com/okta/registration jo@acme.com --credential-file credential

  # Write a list of domains into a cluster
  regpol lists sync disposable-domains disposable.txt -n okta-registration`,
		Version:       version.String(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("regpol {{.Version}}\n")
	root.SetIn(s.in)
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", usage.Flag(err), command.CommandPath())
	})
	root.Args = requireVerb
	root.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	root.AddCommand(newExplain(s), newLint(s), newPolicyTest(s), newDiff(s), newReplay(s), newCall(s), newLists(s))
	if strings.HasPrefix(program, pluginPrefix) {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl regpol"}
		for _, command := range append(root.Commands(), root) {
			for _, command := range append(command.Commands(), command) {
				command.Example = strings.ReplaceAll(command.Example, "  regpol ", "  kubectl regpol ")
			}
		}
	}
	return root
}

// requireVerb is the cobra Args function of a command that only has subcommands (verbs). For any other argument it
// returns an error that suggests a verb.
func requireVerb(command *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, verb := range command.Commands() {
		if verb.IsAvailableCommand() && verb.GroupID == "" && verb.Name() != "completion" && verb.Name() != "help" {
			names = append(names, verb.Name())
		}
	}
	write := strings.Join(names, ", ")
	command.SuggestionsMinimumDistance = 2
	if suggested := command.SuggestionsFor(args[0]); len(suggested) > 0 {
		write = suggested[0]
	}
	return fmt.Errorf("%q is not a command of %s: write %s; see %s --help", args[0], command.CommandPath(), write, command.CommandPath())
}
