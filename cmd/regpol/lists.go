package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"registrationpolicy.dev/operator/internal/listsync"
)

// newLists is the parent of the verbs about lists.
func newLists(s streams) *cobra.Command {
	command := &cobra.Command{
		Use:   "lists",
		Short: "Bring lists of domains into a cluster, and back",
		Long: `Bring lists of domains into a cluster, for policies that name them in spec.allow.lists and spec.deny.lists.

Exit codes: 0 done, or nothing to do; 1 refused by the guard; 2 wrong usage or a source that is none; 3 a fault on the way.`,
		Args: verbs,
		RunE: func(command *cobra.Command, _ []string) error {
			_ = command.Help()
			return &exitError{code: exitUsage}
		},
	}
	command.AddCommand(newListsSync(s), newListsRollback(s))
	return command
}

// targetOptions are the flags that say which cluster and how: of every verb about lists.
type targetOptions struct {
	name    string
	cluster clusterOptions
	keep    time.Duration
	dryRun  bool
	output  string
}

func (o *targetOptions) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: as kubectl, or the pod's own account")
	flags.StringVar(&o.cluster.context, "context", "", "context of the kubeconfig; default: the current one")
	flags.StringVarP(&o.cluster.namespace, "namespace", "n", "", "namespace of the list, and of the policies that name it; default: that of the context")
	flags.DurationVar(&o.keep, "keep", defaultKeep,
		"how long what is replaced stays, for a roll-back; at least "+listsync.MinKeep.String())
	flags.BoolVar(&o.dryRun, "dry-run", false, "say what would be done, and write nothing")
	flags.StringVarP(&o.output, "output", "o", outputText, strings.Join(outputs, ", "))
}

// defaultKeep is long enough for somebody to notice, and for one run of a daily CronJob to come after.
const defaultKeep = 24 * time.Hour

// maxListName leaves room for the digest that the names of shards and revisions end in.
const maxListName = 200

func (o *targetOptions) validate() error {
	switch {
	case len(o.name) > maxListName || !configMapName.MatchString(o.name):
		return fmt.Errorf("%q is no name for a ConfigMap: write small letters, digits, - and ., at most %d, with a letter or digit at both ends", o.name, maxListName)
	case o.keep < listsync.MinKeep:
		return fmt.Errorf("--keep: %s is too short: write at least %s", o.keep, listsync.MinKeep)
	}
	return validWord("-o", o.output, outputs)
}

// syncer returns one for the cluster, and the namespace.
func (o *targetOptions) syncer() (*listsync.Syncer, string, error) {
	config, namespace, err := o.cluster.load(errNoCluster)
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

// finish prints a report and returns what the program ends with.
func (o *targetOptions) finish(s streams, r *listsync.Report, err error) error {
	if err != nil {
		return &exitError{listsFault(err), err}
	}
	if err := writeListReport(s, r, o.output); err != nil {
		return &exitError{exitFault, err}
	}
	for _, warning := range r.Warnings {
		fmt.Fprintln(s.err, "regpol: warning: "+warning)
	}
	if r.Outcome == listsync.Refused {
		return &exitError{code: exitDenied}
	}
	return nil
}

// listsFault tells errors that another command line fixes from those that may be gone the next time.
func listsFault(err error) int {
	if errors.Is(err, listsync.ErrSource) || errors.Is(err, listsync.ErrNotOurs) || errors.Is(err, listsync.ErrNoRevision) {
		return exitUsage
	}
	return exitFault
}

// newListsRollback makes the verb that brings back what was in force before.
func newListsRollback(s streams) *cobra.Command {
	o := &targetOptions{}
	command := &cobra.Command{
		Use:   "rollback NAME [DIGEST]",
		Short: "Bring back what a list held before",
		Long: `Bring back what a list held before: the content that was replaced last, or that of a digest. It must still be kept (--keep of
regpol lists sync). The guard is not asked: this content was in force. The next synchronisation writes its own source again;
suspend the CronJob first.

Exit codes: 0 done, 2 wrong usage or no such content is kept, 3 a fault on the way.`,
		Example: `  # What the last synchronisation replaced
  regpol lists rollback disposable-domains -n okta-registration`,
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

func (o *targetOptions) rollback(ctx context.Context, s streams, digest string) error {
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
	progress := startProgress(s.err)
	syncer.Step = progress.step
	defer progress.stop()
	report, err := syncer.Rollback(ctx, listsync.Request{
		Namespace: namespace, Name: o.name, Keep: o.keep, DryRun: o.dryRun,
	}, digest)
	progress.stop()
	return o.finish(s, report, err)
}
