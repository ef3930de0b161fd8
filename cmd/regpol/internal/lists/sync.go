package lists

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/input"
	"registrationpolicy.dev/operator/cmd/regpol/internal/progress"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/listsource"
	"registrationpolicy.dev/operator/internal/listsync"
)

const (
	// defaultMaxEntries is the default of --max-entries: as many entries as the operator is sized for, in all lists
	// together.
	defaultMaxEntries = 1_000_000
	// defaultMaxSize is the default of --max-size: enough for defaultMaxEntries of twice the usual length.
	defaultMaxSize = "32Mi"
	// defaultTimeout is the default of --timeout: enough for a list of defaultMaxSize from a slow server.
	defaultTimeout = time.Minute
	// defaultMaxChange is the default of --max-change. A list that is maintained by hand changes far less in a month.
	defaultMaxChange = "20%"
)

var (
	uses                 = []string{string(listguard.Deny), string(listguard.Allow)}
	configMapNamePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$`)
	digestPattern        = regexp.MustCompile(`^(sha256:)?[0-9a-f]{64}$`)
)

// listsSyncOptions holds the arguments and flags of regpol lists sync.
type listsSyncOptions struct {
	targetOptions
	source     string
	use        string
	pinned     string
	accept     string
	maxChange  string
	maxSize    string
	maxEntries int
	timeout    time.Duration
	caFile     string
	redirects  []string
	adopt      bool
}

// newListsSync returns the command regpol lists sync.
func newListsSync(s console.Streams) *cobra.Command {
	o := &listsSyncOptions{}
	command := &cobra.Command{
		Use:   "sync NAME (FILE|-|URL)",
		Short: "Write a list from a file, standard input or an HTTPS URL into ConfigMaps",
		Long: `Write a list from a file, standard input or an HTTPS URL into the ConfigMap NAME, and a large one into shards beside it.
Nothing is written if nothing changed. Policies see the old list or the new one, never a part.

A guard checks the new content first, and names the entries that it refuses. It refuses
  - content that is not a list,
  - with --for deny: entries that newly deny a name that a policy of the namespace allows, a mailbox provider or privacy relay,
    or a public suffix such as com.ar,
  - with --for allow: new entries that are public suffixes or mailbox providers,
  - a change of more than --max-change,
  - a list beyond the memory limit of the namespace, which the status of its policies has.
After a look at the entries, write the content in spite of a refusal: give --accept with the digest that the refusal names.

Exit codes: 0 done, or nothing to do; 1 refused by the guard; 2 wrong usage or an invalid source; 3 the source or the API server
failed.`,
		Example: `  # From a URL, and only the reviewed content
  regpol lists sync disposable-domains https://lists.example.com/disposable.txt --sha256 DIGEST -n registration-policy

  # Show what would change; without a cluster, only check the file
  regpol lists sync disposable-domains disposable.txt --dry-run -n registration-policy

  # The domains of our customers, from the CRM, for spec.allow.lists
  ./crm-domains | regpol lists sync customers - --for allow -n registration-policy

  # After a refusal, and a look at the entries
  regpol lists sync disposable-domains disposable.txt --accept sha256:DIGEST -n registration-policy`,
		Args: func(command *cobra.Command, args []string) error {
			if len(args) != 2 {
				return fmt.Errorf("give the NAME of a list, and then a FILE, a URL, or - for standard input; see %s --help", command.CommandPath())
			}
			return nil
		},
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) == 1 {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return nil, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(command *cobra.Command, args []string) error {
			o.name, o.source = args[0], args[1]
			return o.run(command.Context(), s)
		},
	}
	flags := command.Flags()
	flags.SortFlags = false
	flags.StringVar(&o.use, "for", uses[0], "deny or allow: whether policies deny or allow by the list")
	flags.StringVar(&o.pinned, "sha256", "", "digest that the content must have")
	flags.StringVar(&o.accept, "accept", "", "digest of content to write in spite of the guard's refusals")
	flags.StringVar(&o.maxChange, "max-change", defaultMaxChange, "limit of added and removed entries together, in percent of the old list")
	flags.StringVar(&o.maxSize, "max-size", defaultMaxSize, "maximum size of the source, such as 500k or 32Mi")
	flags.IntVar(&o.maxEntries, "max-entries", defaultMaxEntries, "maximum number of entries")
	flags.DurationVar(&o.timeout, "timeout", defaultTimeout, "time limit for reading the source")
	flags.StringVar(&o.caFile, "ca-file", "", "PEM file with more CAs to trust for the URL")
	flags.StringSliceVar(&o.redirects, "redirect-host", nil, "another host that the URL may redirect to; repeatable")
	flags.BoolVar(&o.adopt, "adopt", false, "take over a ConfigMap that this command did not make")
	o.flags(flags)
	console.CompleteChoices(command, map[string][]string{"for": uses, "output": console.Outputs})
	return command
}

// parseDigest parses a digest with or without its prefix sha256:, and returns it with the prefix.
func parseDigest(text string) (string, error) {
	if !digestPattern.MatchString(text) {
		return "", errors.New("not a digest: write sha256: and 64 hexadecimal digits, as sha256sum prints them")
	}
	return "sha256:" + strings.TrimPrefix(text, "sha256:"), nil
}

// parsePercent parses a percentage with or without its sign: 20% or 20.
func parsePercent(text string) (float64, error) {
	percent, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	if err != nil || !(percent >= 0) {
		return 0, fmt.Errorf("%q is not a percentage: write it as 20%%", text)
	}
	return percent, nil
}

// request returns the request that the flags describe, without its Text, and the fetcher that gets the text.
func (o *listsSyncOptions) request(s console.Streams) (*listsource.Fetcher, listsync.Request, error) {
	r := listsync.Request{
		Name: o.name, Source: listsource.Display(o.source), Use: listguard.Use(o.use), MaxEntries: o.maxEntries, Keep: o.keep,
		Adopt: o.adopt, DryRun: o.dryRun,
	}
	fetcher := &listsource.Fetcher{Stdin: s.In, Timeout: o.timeout, RedirectHosts: o.redirects}
	if err := o.validate(); err != nil {
		return nil, r, err
	}
	if err := listsource.Check(o.source); err != nil {
		return nil, r, err
	}
	switch {
	case !slices.Contains(uses, o.use):
		return nil, r, fmt.Errorf("--for: %q: write one of %s", o.use, strings.Join(uses, ", "))
	case o.timeout <= 0:
		return nil, r, errors.New("--timeout: write a duration above 0s, such as 1m")
	case o.maxEntries <= 0:
		return nil, r, errors.New("--max-entries: write a number above 0")
	}
	for flag, digest := range map[string]struct {
		text string
		to   *string
	}{"--sha256": {o.pinned, &r.Pinned}, "--accept": {o.accept, &r.Accept}} {
		if digest.text == "" {
			continue
		}
		var err error
		if *digest.to, err = parseDigest(digest.text); err != nil {
			return nil, r, fmt.Errorf("%s: %w", flag, err)
		}
	}
	var err error
	if r.MaxChange, err = parsePercent(o.maxChange); err != nil {
		return nil, r, fmt.Errorf("--max-change: %w", err)
	}
	size, err := resource.ParseQuantity(o.maxSize)
	if err != nil || size.Value() <= 0 {
		return nil, r, fmt.Errorf("--max-size: %q is not a size: write it as 500k or 32Mi", o.maxSize)
	}
	fetcher.MaxBytes = size.Value()
	fetcher.Authorities, err = input.Authorities(o.caFile)
	return fetcher, r, err
}

func (o *listsSyncOptions) run(ctx context.Context, s console.Streams) error {
	fetcher, request, err := o.request(s)
	if err != nil {
		return err
	}
	syncer, namespace, err := o.syncer()
	switch {
	case o.dryRun && errors.Is(err, errNoCluster):
		syncer, namespace = &listsync.Syncer{Now: time.Now}, cmp.Or(o.cluster.Namespace, metav1.NamespaceDefault)
	case err != nil:
		return err
	}
	request.Namespace = namespace
	progress := progress.Start(s.Err)
	defer progress.Stop()
	syncer.Step = progress.Step
	progress.Step("reading " + request.Source)
	text, err := fetcher.Fetch(ctx, o.source)
	if err != nil {
		syncer.RecordFetchError(ctx, request, err)
		return &console.ExitError{Code: listsExitCode(err), Err: err}
	}
	request.Text = text
	report, err := syncer.Sync(ctx, request)
	progress.Stop()
	return o.finish(s, report, err)
}
