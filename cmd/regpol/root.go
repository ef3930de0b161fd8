package main

import (
	"context"
	"os"
	"os/signal"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/cmd/regpol/internal/call"
	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/diff"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explain"
	"registrationpolicy.dev/operator/cmd/regpol/internal/lint"
	"registrationpolicy.dev/operator/cmd/regpol/internal/lists"
	"registrationpolicy.dev/operator/cmd/regpol/internal/replay"
	"registrationpolicy.dev/operator/cmd/regpol/internal/testrun"
	"registrationpolicy.dev/operator/internal/version"
)

const (
	// pluginPrefix is the prefix of the names of kubectl plugins.
	pluginPrefix = "kubectl-"
	// completerName is the program that kubectl runs to complete arguments of this plugin.
	completerName = "kubectl_complete-regpol"
)

// run runs the program and returns its exit code.
func run(args []string, s console.Streams) int {
	program := strings.TrimSuffix(filepath.Base(args[0]), ".exe")
	args = args[1:]
	if program == completerName {
		program, args = pluginPrefix+"regpol", append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return console.Run(ctx, newRoot(program, s), args)
}

// newRoot returns the root command. If the program is kubectl-regpol, the help says `kubectl regpol`.
func newRoot(program string, s console.Streams) *cobra.Command {
	root := console.NewRoot(s, explain.Command(s), lint.Command(s), testrun.Command(s), diff.Command(s), replay.Command(s),
		call.Command(s), lists.Command(s))
	root.Short = "Check, test, compare and explain policies about who may sign up to an Okta org"
	root.Long = `Check, test, compare and explain policies that say who may sign up to an Okta org, and try a running hook.

Exit codes: 0 yes, or done; 1 no: denied, a finding, a failed test, a change that --fail-on names, or content of a list that is
refused; 2 wrong usage, unreadable input or no policy; 3 a fault of the policies, the hook, a source or the API server, which is
printed. "go run" makes 1 of all but 0: build the program (make build) for a script.`
	root.Example = `  # Explain a decision with the policies in a directory
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
  regpol call https://hook.example.com/okta/registration jo@acme.com --credential-file credential

  # Write a list of domains into a cluster
  regpol lists sync disposable-domains disposable.txt -n registration-policy`
	root.Version = version.Long()
	root.SetVersionTemplate("regpol {{.Version}}\n")
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
