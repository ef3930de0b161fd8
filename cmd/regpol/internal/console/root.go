package console

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"registrationpolicy.dev/operator/internal/usage"
)

// NewRoot returns the command regpol with verbs. The caller may add help texts to it.
func NewRoot(s Streams, verbs ...*cobra.Command) *cobra.Command {
	root := &cobra.Command{Use: "regpol", SilenceUsage: true, SilenceErrors: true}
	root.SetIn(s.In)
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(command *cobra.Command, err error) error {
		return fmt.Errorf("%w; see %s --help", usage.Flag(err), command.CommandPath())
	})
	root.Args = RequireVerb
	root.RunE = func(command *cobra.Command, _ []string) error { return command.Help() }
	root.AddCommand(verbs...)
	return root
}

// Run runs a root command with arguments, prints its error and returns the exit code.
func Run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	PrintError(root.ErrOrStderr(), err)
	return ExitCode(err)
}

// RequireVerb is the cobra Args function of a command that only has subcommands (verbs). For any other argument it
// returns an error that suggests a verb.
func RequireVerb(command *cobra.Command, args []string) error {
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
