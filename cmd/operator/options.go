package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/util/validation"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// envPrefix begins the name of the environment variable that stands for a flag: --policy-dir is REGISTRATION_POLICY_POLICY_DIR.
const envPrefix = "REGISTRATION_POLICY_"

// serviceAccountNamespace is where a pod finds its own namespace.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// options are what the operator is told by flags and environment.
type options struct {
	kubeconfig      string
	namespace       string
	watchNamespaces []string
	scopeEntries    []string
	scopes          policyobject.Scopes // what scopeEntries say
	limitEntries    []string
	limits          budget.Limits // of every watched namespace, once the memory limit is known
	leaseName       string
	replicaName     string
	replicaUID      string
	serviceName     string
	fenceAfter      time.Duration
	maxStaleness    time.Duration
	policyDir       string
	snapshotDir     string

	hookAddress    string
	hookPath       string
	hookTLSDir     string
	authHeader     string
	authDir        string
	insecureNoAuth bool
	oauth          oauth.Options
	attributes     []string
	texts          rules.Texts
	observe        bool
	maxInFlight    int

	probeAddress   string
	metricsAddress string

	logFormat string
	logLevel  string
	logDomain string

	drainDelay      time.Duration
	shutdownTimeout time.Duration

	// version asks for the version instead of anything else.
	version bool

	// unknownVariables look as if they were meant for the operator. They are no error: Kubernetes makes some such names for
	// Services.
	unknownVariables []string
}

func (o *options) flags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("operator", pflag.ContinueOnError)
	flags.SortFlags = false
	defaults := rules.DefaultTexts()

	flags.StringVar(&o.policyDir, "policy-dir", "", "read policies from the YAML files in this directory instead of a cluster")
	flags.StringVar(&o.kubeconfig, "kubeconfig", "", "kubeconfig of the cluster; default: $KUBECONFIG, or the pod's service account")
	flags.StringVar(&o.namespace, "namespace", "", "the operator's own namespace, which holds its lease; default: the pod's")
	flags.StringSliceVar(&o.watchNamespaces, "watch-namespaces", nil,
		"namespaces whose policies decide; whoever can write a policy in one of them decides for the whole org; default: --namespace")
	flags.StringArrayVar(&o.scopeEntries, "namespace-sources", nil,
		"namespace=source,source: the policies of this namespace decide calls of these Okta sources only; repeatable "+
			"(in the environment: with ; between)")
	flags.StringSliceVar(&o.limitEntries, "namespace-limits", nil,
		"namespace=64Mi: how much memory the policies and lists of this namespace may take; default: the process's limit, shared out")
	flags.StringVar(&o.leaseName, "lease-name", "registration-policy-operator", "lease of the replica that writes status")
	flags.StringVar(&o.snapshotDir, "snapshot-dir", "",
		"directory of this replica alone, to keep its rules in for a start without the API server; default: keep none")

	flags.StringVar(&o.replicaName, "replica-name", "", "what tells this replica from all others: its pod's name; default: the host name")
	flags.StringVar(&o.replicaUID, "replica-uid", "", "UID of this replica's pod, with which its report is deleted; default: it has no owner")
	flags.StringVar(&o.serviceName, "service-name", "",
		"Service whose EndpointSlices say which replicas can be asked; default: all that report")
	flags.DurationVar(&o.fenceAfter, "fence-after", 0,
		"answer 503 while this replica could not report to the others for so long; at least 30s; 0: never")
	flags.DurationVar(&o.maxStaleness, "max-staleness", 0,
		"be unready while nothing was heard of the API server for so long; at least 2m0s; 0: go on answering")

	flags.StringVar(&o.hookAddress, "hook-bind-address", ":8080", "address of the hook that Okta calls")
	flags.StringVar(&o.hookPath, "hook-path", hookserver.DefaultPath, "path of the hook")
	flags.StringVar(&o.hookTLSDir, "hook-tls-dir", "", "serve the hook over TLS with tls.crt and tls.key in this directory, re-read on change")
	flags.StringVar(&o.authHeader, "hook-auth-header", hookserver.DefaultAuthHeader, "header that holds Okta's credential")
	flags.StringVar(&o.authDir, "hook-auth-dir", "", "directory of accepted credentials, one a file, re-read on change")
	o.oauthFlags(flags)
	flags.BoolVar(&o.insecureNoAuth, "insecure-no-authentication", false, "answer anybody who can reach the hook")
	flags.StringSliceVar(&o.attributes, "address-attributes", hookserver.DefaultAddressAttributes(),
		"attributes of Okta's user profile that hold addresses; the first is required in a sign-up")
	flags.StringVar(&o.texts.NotAllowed, "text-not-allowed", defaults.NotAllowed,
		"what a person reads whose address is not allowed; {id} stands for the decision id")
	flags.StringVar(&o.texts.Invalid, "text-invalid", defaults.Invalid, "what a person reads whose address is none")
	flags.StringVar(&o.texts.Blank, "text-blank", defaults.Blank,
		"what a person reads whose address would be one without its spaces and invisible characters")
	flags.StringVar(&o.texts.Unavailable, "text-unavailable", defaults.Unavailable,
		"what a person reads while nobody could register this way")
	flags.BoolVar(&o.observe, "observe", false, "allow every call, and record what would have been decided")
	flags.IntVar(&o.maxInFlight, "max-in-flight", 0, "calls decided at once; further ones are answered 503; 0: 256")

	flags.StringVar(&o.probeAddress, "probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":9090", "address of /metrics, and of /readyz with details")

	flags.StringVar(&o.logFormat, "log-format", "json", "json or text")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.logDomain, "log-domain", string(hookserver.LogDomainDenied), "log the domains of always, denied or never any calls")

	flags.DurationVar(&o.drainDelay, "drain-delay", 10*time.Second,
		"how long to go on as before, unready, when told to stop: until no proxy sends calls here any more")
	flags.DurationVar(&o.shutdownTimeout, "shutdown-timeout", 5*time.Second, "how long calls in flight have to end after that")

	flags.BoolVar(&o.version, "version", false, "print the version and end")
	return flags
}

// hookFlags are the flags that set the options of the hook server.
var hookFlags = map[string]string{
	"Texts.NotAllowed": "--text-not-allowed", "Texts.Invalid": "--text-invalid", "Texts.Unavailable": "--text-unavailable",
	"Texts.Blank": "--text-blank", "Path": "--hook-path", "AuthHeader": "--hook-auth-header",
	"AddressAttributes": "--address-attributes", "LogDomain": "--log-domain", "MaxInFlight": "--max-in-flight",
}

// parseOptions reads arguments, then the environment for flags that are not among them, and checks what can be checked without
// touching anything. Every error names its flag.
func parseOptions(args, environ []string) (*options, error) {
	o := &options{}
	flags := o.flags()
	switch err := flags.Parse(args); {
	case errors.Is(err, pflag.ErrHelp):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; see --help", usage.Flag(err))
	}
	if o.version {
		return o, nil
	}
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q; everything is a flag, see --help", flags.Arg(0))
	}
	variables := map[string]string{}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	if err := o.fromEnvironment(flags, variables); err != nil {
		return nil, err
	}
	if o.kubeconfig == "" {
		o.kubeconfig = variables["KUBECONFIG"]
	}
	if o.policyDir == "" {
		o.setNamespaces()
		if err := o.setReplicaName(); err != nil {
			return nil, err
		}
	}
	return o, o.validate()
}

func (o *options) fromEnvironment(flags *pflag.FlagSet, variables map[string]string) error {
	known := map[string]bool{}
	var errs []error
	flags.VisitAll(func(flag *pflag.Flag) {
		if flag.Name == "version" { // a variable of that name would say which is deployed, not ask
			return
		}
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		known[name] = true
		value, found := variables[name]
		if !found || flag.Changed {
			return
		}
		values := []string{value}
		if flag.Value.Type() == "stringArray" { // repeatable, and its values hold commas
			values = strings.Split(value, ";")
		}
		for _, value := range values {
			if err := flags.Set(flag.Name, value); err != nil {
				errs = append(errs, fmt.Errorf("environment variable %s: %w", name, usage.Flag(err)))
			}
		}
	})
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		if strings.HasPrefix(name, envPrefix) && !known[name] {
			o.unknownVariables = append(o.unknownVariables, name)
		}
	}
	return errors.Join(errs...)
}

func (o *options) setNamespaces() {
	if o.namespace == "" {
		if own, err := os.ReadFile(serviceAccountNamespace); err == nil {
			o.namespace = strings.TrimSpace(string(own))
		}
	}
	if len(o.watchNamespaces) == 0 && o.namespace != "" {
		o.watchNamespaces = []string{o.namespace}
	}
	slices.Sort(o.watchNamespaces)
	o.watchNamespaces = slices.Compact(o.watchNamespaces)
}

func (o *options) validate() error {
	var faults []string // in one line
	bad := func(flag, format string, args ...any) {
		faults = append(faults, fmt.Sprintf("--%s: %s", flag, fmt.Sprintf(format, args...)))
	}
	switch {
	case o.policyDir == "" && o.namespace == "":
		bad("namespace", "required outside of a pod (or give --policy-dir to run without a cluster)")
	case o.policyDir != "" && (o.kubeconfig != "" && o.namespace != "" || len(o.watchNamespaces) > 0):
		bad("policy-dir", "policies come from a directory or from a cluster, not from both")
	}
	if o.policyDir != "" && o.snapshotDir != "" {
		bad("snapshot-dir", "policies from --policy-dir are there at every start; leave it out")
	}
	for _, namespace := range o.watchNamespaces {
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			bad("watch-namespaces", "%q is not the name of a namespace: write small letters, digits and -, at most %d, "+
				"with a letter or digit at both ends", namespace, validation.DNS1123LabelMaxLength)
		}
	}
	scopes, err := policyobject.ParseScopes(o.scopeEntries)
	if err != nil {
		bad("namespace-sources", "%v", err)
	}
	o.scopes = scopes
	for _, namespace := range scopes.Namespaces() {
		if o.policyDir == "" && !slices.Contains(o.watchNamespaces, namespace) {
			bad("namespace-sources", "%q is not watched; write a namespace of --watch-namespaces", namespace)
		}
	}
	if o.limits, err = budget.Parse(o.limitEntries); err != nil {
		bad("namespace-limits", "%v", err)
	}
	for _, namespace := range slices.Sorted(maps.Keys(o.limits)) {
		if !slices.Contains(o.watchNamespaces, namespace) {
			bad("namespace-limits", "%q is not watched; write a namespace of --watch-namespaces", namespace)
		}
	}
	o.validateReplica(bad)
	switch {
	case o.authDir == "" && !o.usesOAuth() && !o.insecureNoAuth:
		bad("hook-auth-dir", "required: a directory with a file for each credential that Okta may send "+
			"(or --hook-oauth-issuer, or --insecure-no-authentication, to answer anybody)")
	case (o.authDir != "" || o.usesOAuth()) && o.insecureNoAuth:
		bad("insecure-no-authentication", "excludes --hook-auth-dir and --hook-oauth-issuer")
	}
	for _, address := range []struct{ flag, value string }{
		{"hook-bind-address", o.hookAddress}, {"probe-bind-address", o.probeAddress}, {"metrics-bind-address", o.metricsAddress},
	} {
		if _, _, err := net.SplitHostPort(address.value); err != nil {
			bad(address.flag, "%q: write host:port or :port", address.value)
		}
	}
	if !slices.Contains([]string{"json", "text"}, o.logFormat) {
		bad("log-format", "%q: write json or text", o.logFormat)
	}
	if _, known := levels[o.logLevel]; !known {
		bad("log-level", "%q: write debug, info, warn or error", o.logLevel)
	}
	if o.maxInFlight < 0 {
		bad("max-in-flight", "%d is negative: write 0 for the default, or a number above", o.maxInFlight)
	}
	if o.drainDelay < 0 {
		bad("drain-delay", "%s is negative: write 0s, or a duration above", o.drainDelay)
	}
	if o.shutdownTimeout <= 0 {
		bad("shutdown-timeout", "%s is not above 0s: write a duration such as 5s", o.shutdownTimeout)
	}
	if len(faults) > 0 {
		return errors.New(strings.Join(faults, "; "))
	}
	return nil
}
