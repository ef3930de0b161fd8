package lists

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/cmd/regpol/internal/cluster"
	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/progress"
	"registrationpolicy.dev/operator/internal/listsource"
	"registrationpolicy.dev/operator/internal/listsync"
)

// Command returns the command regpol lists, which only has subcommands.
func Command(s console.Streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "lists",
		Short: "Write lists of domains into a cluster, and roll them back",
		Long: `Write lists of domains into a cluster, for policies that name them in spec.allow.lists and spec.deny.lists.

Exit codes: 0 done, or nothing to do; 1 refused by the guard; 2 wrong usage or an invalid source; 3 the source or the API server
failed.`,
		Args: console.RequireVerb,
		RunE: func(command *cobra.Command, _ []string) error {
			_ = command.Help()
			return &console.ExitError{Code: console.ExitUsage}
		},
	}
	command.AddCommand(newListsSync(s), newListsRollback(s))
	return command
}

// targetOptions holds the name of the list, and the flags that sync and rollback have in common.
type targetOptions struct {
	name    string
	cluster cluster.Options
	keep    time.Duration
	dryRun  bool
	output  string
}

// flags adds the flags to a command.
func (o *targetOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.cluster.Kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: as kubectl, or the pod's service account")
	flags.StringVar(&o.cluster.Context, "context", "", "context of the kubeconfig; default: the current one")
	flags.StringVarP(&o.cluster.Namespace, "namespace", "n", "", "namespace of the list, and of the policies that name it; default: that of the context")
	flags.DurationVar(&o.keep, "keep", defaultKeep,
		"how long replaced content is kept for a roll-back; at least "+listsync.MinKeep.String())
	flags.BoolVar(&o.dryRun, "dry-run", false, "print what would be done, and write nothing")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, strings.Join(console.Outputs, ", "))
}

// defaultKeep is the default of --keep. A day is long enough for somebody to notice a bad list and roll it back.
const defaultKeep = 24 * time.Hour

// maxListName is the maximum length of a list's name in characters. A name in Kubernetes may have 253. The difference
// is a reserve for the digest at the end of the names of the list's shards and revisions.
const maxListName = 200

func (o *targetOptions) validate() error {
	switch {
	case len(o.name) > maxListName || !configMapNamePattern.MatchString(o.name):
		return fmt.Errorf("%q is not a valid name of a list: write at most %d lower-case letters, digits, - and ., "+
			"with a letter or digit at both ends", o.name, maxListName)
	case o.keep < listsync.MinKeep:
		return fmt.Errorf("--keep: %s is too short: write at least %s", o.keep, listsync.MinKeep)
	}
	return console.ValidChoice("-o", o.output, console.Outputs)
}

// syncer returns a Syncer for the cluster of --kubeconfig and --context, and the namespace of the list.
func (o *targetOptions) syncer() (*listsync.Syncer, string, error) {
	config, namespace, err := o.cluster.Load(errNoCluster)
	if err != nil {
		return nil, "", err
	}
	kube, err := listsync.NewClient(config)
	if err != nil {
		return nil, "", fmt.Errorf("kubeconfig: %w", err)
	}
	return &listsync.Syncer{Kube: kube, Now: time.Now}, namespace, nil
}

var errNoCluster = errors.New("no cluster: give one with --kubeconfig or KUBECONFIG")

// finish prints the report and its warnings. It returns an error with the exit code of the command, or nil for 0.
func (o *targetOptions) finish(s console.Streams, r *listsync.Report, err error) error {
	if err != nil {
		return &console.ExitError{Code: listsExitCode(err), Err: err}
	}
	if err := writeListReport(s, r, o.output); err != nil {
		return &console.ExitError{Code: console.ExitFault, Err: err}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(s.Err, "regpol: warning: "+warning)
	}
	if r.Outcome == listsync.Refused {
		return &console.ExitError{Code: console.ExitDenied}
	}
	return nil
}

// listsExitCode returns console.ExitUsage for an error that another attempt with the same command line cannot fix, and
// console.ExitFault for all other errors.
func listsExitCode(err error) int {
	if errors.Is(err, listsource.ErrInvalid) || errors.Is(err, listsync.ErrNotOurs) || errors.Is(err, listsync.ErrNoRevision) {
		return console.ExitUsage
	}
	return console.ExitFault
}

// newListsRollback returns the command regpol lists rollback.
func newListsRollback(s console.Streams) *cobra.Command {
	o := &targetOptions{}
	command := &cobra.Command{
		Use:   "rollback NAME [DIGEST]",
		Short: "Restore old content of a list",
		Long: `Restore old content of a list: the content that was replaced last, or the content with DIGEST. It must still be kept (--keep
of regpol lists sync). The guard does not check it again, because it was in force before. The next synchronisation writes its own
source again: suspend the CronJob first.

Exit codes: 0 done, 2 wrong usage or no such content is kept, 3 the API server failed.`,
		Example: `  # The content that the last synchronisation replaced
  regpol lists rollback disposable-domains -n registration-policy`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) < 1 || len(args) > 2 {
				return fmt.Errorf("give the NAME of a list, and at most one DIGEST; see %s --help", command.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(command *cobra.Command, args []string) error {
			o.name = args[0]
			digest := ""
			if len(args) == 2 {
				digest = args[1]
			}
			return o.rollback(command.Context(), s, digest)
		},
	}
	command.Flags().SortFlags = false
	o.flags(command.Flags())
	return command
}

func (o *targetOptions) rollback(ctx context.Context, s console.Streams, digest string) error {
	if err := o.validate(); err != nil {
		return err
	}
	if digest != "" {
		var err error
		if digest, err = parseDigest(digest); err != nil {
			return err
		}
	}
	syncer, namespace, err := o.syncer()
	if err != nil {
		return err
	}
	progress := progress.Start(s.Err)
	syncer.Step = progress.Step
	defer progress.Stop()
	report, err := syncer.Rollback(ctx, listsync.Request{
		Namespace: namespace, Name: o.name, Keep: o.keep, DryRun: o.dryRun,
	}, digest)
	progress.Stop()
	return o.finish(s, report, err)
}
