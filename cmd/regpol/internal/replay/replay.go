package replay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/cmd/regpol/internal/pastdecision"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/cmd/regpol/internal/progress"
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/gitrevision"
	"registrationpolicy.dev/operator/internal/pastcalls"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// failOnUnknown is a value of --fail-on that only replay has.
const failOnUnknown = "unknown"

var replayFailOns = []string{outcome.FailOnWiden, outcome.FailOnNarrow, outcome.FailOnAny, failOnUnknown}

// replayOptions holds the flags of replay.
type replayOptions struct {
	logs     []string
	pods     bool
	selector string // of the pods

	policysource.Location
	before []string // files and directories of the earlier policies
	at     string   // the Git revision of the earlier policies

	policysource.OperatorFlags
	source        string
	requestType   string
	failOn        []string
	showAddresses bool
	verbose       bool
	output        string
}

// Command returns the command regpol replay.
func Command(s console.Streams) *cobra.Command {
	o := &replayOptions{}
	command := &cobra.Command{
		Use:   "replay (LOG... | --pods)",
		Short: "Decide past calls anew, and say which would be decided otherwise",
		Long: `Decide past calls anew by other policies, or by those of a cluster, and say which would newly be denied or allowed.

LOG is a file with the operator's log, bodies of calls as Okta posts them, an export of Okta's System Log (JSON or CSV), a table (CSV)
or a list of addresses; - is standard input. What it is, is recognised by its content. With --pods, the logs of the operator's pods are
read. Nothing is sent, and nothing is changed.

The operator's log has no local part of an address, and by default the domain only of denied calls (--log-domain). Unless all addresses
that a call can have are decided alike, it counts as unknown.

Exit codes: 0 decided; 1 there is a call that --fail-on names; 2 wrong usage, unreadable input, no call or no policy; 3 the log says that
these same policies decided a call otherwise, or an internal fault.`,
		Example: `  # What a change of the policies would have meant for the calls of the past
  regpol replay cmd/regpol/testdata/replay/operator.log --policies config/samples/quickstart

  # Fail if anybody would newly be turned away
  regpol replay cmd/regpol/testdata/replay/operator.log --policies config/samples/quickstart --fail-on narrow

  # A table of addresses: who may no longer sign up after a change
  regpol replay cmd/regpol/testdata/replay/people.csv --before cmd/regpol/testdata/diff/old --policies cmd/regpol/testdata/diff/new

  # What a change of the policies since a branch, tag or commit would have meant for a list of addresses
  regpol replay cmd/regpol/testdata/replay/people.csv --policies config/samples/quickstart --at HEAD

  # Whether a log agrees with the policies in a cluster
  regpol replay cmd/regpol/testdata/replay/operator.log -n registration-policy`,
		Args: cobra.ArbitraryArgs,
		RunE: func(command *cobra.Command, args []string) error {
			exclusive := [][]string{{"policies", "watch-namespaces"}}
			// With --as-deployed or --pods, the flags for a cluster select the Deployment or the pods, so the command
			// also accepts them with --policies.
			if o.AsDeployed == "" && !o.pods {
				exclusive = append(exclusive, policysource.ExclusiveClusterFlags...)
			}
			for _, flags := range exclusive {
				if err := usage.OneOf(command.Flags(), flags...); err != nil {
					return err
				}
			}
			o.logs = args
			return o.run(command.Context(), command.Flags(), s)
		},
	}
	o.flags(command)
	return command
}

func (o *replayOptions) flags(command *cobra.Command) {
	flags := command.Flags()
	flags.SortFlags = false
	flags.BoolVar(&o.pods, "pods", false, "read the logs of the operator's pods in the namespace")
	flags.StringVarP(&o.selector, "selector", "l", defaultSelector, "labels of the pods of --pods")
	flags.StringArrayVar(&o.Paths, "policies", nil, "file or directory with policies, instead of a cluster; repeatable; - is standard input")
	flags.BoolVarP(&o.Recursive, "recursive", "R", false, "also read the directories below those of --policies and --before")
	o.AddClusterFlags(flags)
	o.AddAsDeployedFlag(flags)
	flags.StringArrayVar(&o.before, "before", nil, "file or directory with the policies before, for calls of which the log does not say enough; repeatable")
	flags.StringVar(&o.at, "at", "", "the policies before are --before, or without it --policies, in this Git revision: a branch, tag or commit")
	o.AddAddressAttributesFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	flags.StringVar(&o.source, "source", "", "source of the calls of a list or table that has none; default: none, which no policy can name")
	flags.StringVar(&o.requestType, "request-type", string(rules.SelfServiceRegistration),
		"request type of the calls of a list or table that has none: SelfServiceRegistration, ProgressiveProfile")
	flags.StringSliceVar(&o.failOn, "fail-on", nil, "exit with 1 on such calls: widen (newly allowed), narrow (newly denied), any (either), unknown")
	flags.BoolVar(&o.showAddresses, "show-addresses", false, "print whole addresses where the input has them")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print all groups of calls, and not only the largest")
	flags.StringVarP(&o.output, "output", "o", console.OutputText, strings.Join(console.Outputs, ", "))
	console.CompleteChoices(command, map[string][]string{
		"output": console.Outputs, "fail-on": replayFailOns, "request-type": requestTypeChoices,
	})
}

var requestTypeChoices = []string{string(rules.SelfServiceRegistration), string(rules.ProgressiveProfile)}

// oktaRequestTypes are Okta's names of the request types.
var oktaRequestTypes = map[string]string{
	string(rules.SelfServiceRegistration): okta.SelfServiceRegistration, string(rules.ProgressiveProfile): okta.ProgressiveProfile,
}

func (o *replayOptions) validate() error {
	inputs := 0
	for _, name := range slices.Concat(o.logs, o.Paths, o.before) {
		if name == "-" {
			inputs++
		}
	}
	switch {
	case len(o.logs) == 0 && !o.pods:
		return errors.New("give a LOG, - for standard input, or --pods; see regpol replay --help")
	case inputs > 1:
		return errors.New("only one of LOG, --policies and --before can be standard input")
	case len(o.Paths) == 0 && o.Recursive, len(o.Paths)+len(o.before) == 0 && o.at != "":
		return errors.New("--at and -R belong to files: give --policies with them")
	case len(o.Attributes) == 0:
		return errors.New("--address-attributes: name at least one attribute")
	}
	for _, kind := range o.failOn {
		if err := console.ValidChoice("--fail-on", kind, replayFailOns); err != nil {
			return err
		}
	}
	if err := console.ValidChoice("--request-type", o.requestType, requestTypeChoices); err != nil {
		return err
	}
	return console.ValidChoice("-o", o.output, console.Outputs)
}

func (o *replayOptions) run(ctx context.Context, flags *pflag.FlagSet, s console.Streams) error {
	if err := o.validate(); err != nil {
		return err
	}
	if err := o.ReadDeployed(ctx, flags, s); err != nil {
		return err
	}
	scopes, err := o.Scopes()
	if err != nil {
		return err
	}
	policies, err := o.Read(ctx, s.In)
	if err != nil {
		return err
	}
	if len(policies.Policies) == 0 {
		return policies.NoPolicy()
	}
	bounded, rejections := scopes.BoundAll(policies.Rules())
	warnings := slices.Concat(policies.Warnings(), policysource.NotInForceOf(policies, bounded, rejections))
	r := &replay{options: o, policies: policies, decider: pastdecision.New(bounded, o.Attributes), groups: map[group]int{}}
	if source := o.beforeSource(); len(source.Paths) > 0 {
		before, err := source.Read(ctx, s.In)
		if err != nil {
			return err
		}
		bounded, rejections := scopes.BoundAll(before.Rules())
		warnings = append(warnings, before.Warnings()...)
		for _, warning := range policysource.NotInForceOf(before, bounded, rejections) {
			warnings = append(warnings, "before: "+warning)
		}
		r.before = pastdecision.New(bounded, o.Attributes)
		r.compared = pastdecision.Compare(r.before, r.decider)
	}
	if err := r.readAll(ctx, s); err != nil {
		return err
	}
	report := r.report()
	if err := console.WriteReport(s, o.output, report, func() []byte { return report.text(s.Coloured()) }); err != nil {
		return err
	}
	console.PrintWarnings(s, slices.Concat(warnings, r.warnings))
	return o.exit(report)
}

// beforeSource returns where the earlier policies are, by --before and --at. Without these flags it has no path.
func (o *replayOptions) beforeSource() policysource.Location {
	source := policysource.Location{Paths: o.before, Recursive: o.Recursive}
	if o.at != "" {
		source.Revision = gitrevision.New(o.at)
		if len(o.before) == 0 {
			source.Paths = o.Paths
		}
	}
	return source
}

// exit returns the error with the exit code of a report.
func (o *replayOptions) exit(report *replayReport) error {
	if report.Counts.Contradictory > 0 {
		return &console.ExitError{Code: console.ExitFault, Err: errors.New("the log says that these same policies decided some calls otherwise: " +
			"unless another version of the operator wrote it, please report it as a bug")}
	}
	for _, failOn := range o.failOn {
		widened, narrowed, unknown := report.Counts.NewlyAllowed > 0, report.Counts.NewlyDenied > 0, report.Counts.Unknown > 0
		if failOn == outcome.FailOnWiden && widened || failOn == outcome.FailOnNarrow && narrowed ||
			failOn == outcome.FailOnAny && (widened || narrowed) || failOn == failOnUnknown && unknown {
			return &console.ExitError{Code: console.ExitDenied}
		}
	}
	return nil
}

// readAll reads and decides all calls.
func (r *replay) readAll(ctx context.Context, s console.Streams) error {
	bar := progress.StartBar(s)
	defer bar.Stop()
	for _, name := range r.options.logs {
		if err := r.readFile(ctx, s.In, name, bar); err != nil {
			return err
		}
	}
	sources := slices.Clone(r.options.logs)
	if r.options.pods {
		names, err := r.readPods(ctx, bar)
		if err != nil {
			return err
		}
		sources = append(sources, names...)
	}
	if r.fault != nil {
		return &console.ExitError{Code: console.ExitFault, Err: r.fault}
	}
	if r.counts.Calls == 0 {
		return fmt.Errorf("no call in %s: it has %s without one, and %s", strings.Join(sources, ", "),
			console.Counted(r.read.Other, "line or event", "lines or events"),
			console.Counted(r.read.Unreadable, "that is damaged", "that are damaged"))
	}
	return nil
}

// readFile reads and decides the calls of one file, or of standard input.
func (r *replay) readFile(ctx context.Context, stdin io.Reader, name string, bar *progress.Bar) error {
	if name == "-" {
		return r.readFrom(ctx, stdin, "standard input", bar)
	}
	file, err := os.Open(name)
	if err != nil {
		return fmt.Errorf("read the calls: %w", err)
	}
	defer func() { _ = file.Close() }() // it was only read
	return r.readFrom(ctx, file, name, bar)
}

// readPods reads and decides the calls in the logs of the operator's pods. It returns the names of the pods.
func (r *replay) readPods(ctx context.Context, bar *progress.Bar) ([]string, error) {
	logs, err := newPodLogs(r.options.Cluster)
	if err != nil {
		return nil, err
	}
	pods, err := logs.list(ctx, r.options.selector)
	if err != nil {
		return nil, err
	}
	for i, pod := range pods {
		pods[i] = "pod " + pod
		stream, err := logs.open(ctx, pod)
		if apierrors.IsBadRequest(err) { // the pod's container has not started
			r.warnings = append(r.warnings, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
		err = r.readFrom(ctx, stream, pods[i], bar)
		_ = stream.Close() // it was only read
		if errors.Is(err, pastcalls.ErrEmpty) {
			r.warnings = append(r.warnings, err.Error())
			continue
		}
		if err != nil {
			return nil, err
		}
	}
	return pods, nil
}

// readFrom reads and decides the calls of one input.
func (r *replay) readFrom(ctx context.Context, input io.Reader, name string, bar *progress.Bar) error {
	bar.Begin(name)
	counts, err := pastcalls.Read(&interruptible{ctx, input, bar}, pastcalls.Options{
		Attributes: r.options.Attributes, Source: r.options.source, RequestType: oktaRequestTypes[r.options.requestType],
	}, r.add)
	r.read.Other += counts.Other
	r.read.Unreadable += counts.Unreadable
	r.read.LeftOut += counts.LeftOut
	switch {
	case counts.Unreadable == 1:
		r.warnings = append(r.warnings, fmt.Sprintf("%s: %s is damaged, and was not read", name, counts.FirstUnreadable))
	case counts.Unreadable > 1:
		r.warnings = append(r.warnings, fmt.Sprintf("%s: %d lines or values are damaged, and were not read; the first is %s",
			name, counts.Unreadable, counts.FirstUnreadable))
	}
	if counts.LeftOut > 0 {
		r.warnings = append(r.warnings, fmt.Sprintf("%s: the operator left out %s of its log, because it was read too slowly",
			name, console.Counted(counts.LeftOut, "line", "lines")))
	}
	if ctx.Err() != nil {
		return fmt.Errorf("%s was not read to its end: %w", name, ctx.Err())
	}
	if err != nil {
		return fmt.Errorf("%s %w", name, err)
	}
	return nil
}

// interruptible is a reader that fails once its context has ended, and that adds to a bar what it has read.
type interruptible struct {
	ctx    context.Context
	reader io.Reader
	bar    *progress.Bar
}

func (i *interruptible) Read(p []byte) (int, error) {
	if err := i.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := i.reader.Read(p)
	i.bar.Add(n)
	return n, err
}
