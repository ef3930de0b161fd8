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
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/usage"
	"registrationpolicy.dev/operator/rules"
)

// envPrefix is the prefix of the environment variable for a flag: REGISTRATION_POLICY_POLICY_DIR sets --policy-dir.
const envPrefix = "REGISTRATION_POLICY_"

// serviceAccountNamespace is the file with the namespace of the pod.
const serviceAccountNamespace = "/var/run/secrets/kubernetes.io/serviceaccount/namespace"

// options are the values of flags and environment variables.
type options struct {
	kubeconfig      string
	namespace       string
	watchNamespaces []string
	scopeEntries    []string
	scopes          policyobject.Scopes // parsed from scopeEntries
	limitEntries    []string
	limits          budget.Limits // parsed from limitEntries; shareMemory adds limits for the other watched namespaces
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
	hookHealthPath string
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

	// version means that the operator only prints its version.
	version bool

	// unknownVariables are variables with envPrefix that belong to no flag. They are not an error: for a Service named
	// registration-policy, Kubernetes sets REGISTRATION_POLICY_SERVICE_HOST in every pod of the namespace.
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
		"namespaces whose policies decide; anyone who can write a policy in one of them decides for the whole org; default: --namespace")
	flags.StringArrayVar(&o.scopeEntries, "namespace-sources", nil,
		"namespace=source,source: the policies of this namespace decide only calls of these Okta sources; repeatable "+
			"(in the environment: separated by ;)")
	flags.StringSliceVar(&o.limitEntries, "namespace-limits", nil,
		"namespace=64Mi: memory that the policies and lists of this namespace may take; default: a part of the process's limit")
	flags.StringVar(&o.leaseName, "lease-name", "registration-policy-operator", "name of the leader's Lease")
	flags.StringVar(&o.snapshotDir, "snapshot-dir", "",
		"directory in which this replica alone stores its rules, for a start without the API server; default: none are stored")

	flags.StringVar(&o.replicaName, "replica-name", "", "unique name of this replica: the name of its pod; default: the host name")
	flags.StringVar(&o.replicaUID, "replica-uid", "", "UID of this replica's pod, which becomes the owner of its report; default: no owner")
	flags.StringVar(&o.serviceName, "service-name", "",
		"Service whose EndpointSlices list the replicas that get calls; default: all replicas that report")
	flags.DurationVar(&o.fenceAfter, "fence-after", 0,
		"answer 503 when this replica has not been able to report to the others for this long; at least 30s; 0: never")
	flags.DurationVar(&o.maxStaleness, "max-staleness", 0,
		"become unready when the API server has not been heard from for this long; at least 2m0s; 0: never")

	flags.StringVar(&o.hookAddress, "hook-bind-address", ":8080", "address of the hook that Okta calls")
	flags.StringVar(&o.hookPath, "hook-path", hookserver.DefaultPath, "path of the hook")
	flags.StringVar(&o.hookHealthPath, "hook-health-path", "",
		"path on the hook's port that answers GET without authentication: 200 while this replica is ready; for load balancers; default: none")
	flags.StringVar(&o.hookTLSDir, "hook-tls-dir", "", "serve the hook over TLS with tls.crt and tls.key in this directory; re-read on change")
	flags.StringVar(&o.authHeader, "hook-auth-header", hookserver.DefaultAuthHeader, "header that holds Okta's credential")
	flags.StringVar(&o.authDir, "hook-auth-dir", "", "directory of accepted credentials, one per file; re-read on change")
	o.oauthFlags(flags)
	flags.BoolVar(&o.insecureNoAuth, "insecure-no-authentication", false, "answer every client that can reach the hook")
	flags.StringSliceVar(&o.attributes, "address-attributes", hookserver.DefaultAddressAttributes(),
		"attributes of Okta's user profile that hold addresses; the first is required in a sign-up")
	flags.StringVar(&o.texts.NotAllowed, "text-not-allowed", defaults.NotAllowed,
		"text for a person whose address is not allowed; {id} becomes the decision id")
	flags.StringVar(&o.texts.Invalid, "text-invalid", defaults.Invalid, "text for a person whose address is not valid")
	flags.StringVar(&o.texts.Blank, "text-blank", defaults.Blank,
		"text for a person whose address would be valid without its spaces and invisible characters")
	flags.StringVar(&o.texts.Unavailable, "text-unavailable", defaults.Unavailable,
		"text for a person while the operator cannot let anyone register")
	flags.BoolVar(&o.observe, "observe", false, "allow every call, and record what would have been decided")
	flags.IntVar(&o.maxInFlight, "max-in-flight", 0, "calls decided at once; further calls are answered 503; 0: 256")

	flags.StringVar(&o.probeAddress, "probe-bind-address", ":8081", "address of /healthz and /readyz")
	flags.StringVar(&o.metricsAddress, "metrics-bind-address", ":9090", "address of /metrics, and of /readyz with details")

	flags.StringVar(&o.logFormat, "log-format", "json", "json or text")
	flags.StringVar(&o.logLevel, "log-level", "info", "debug, info, warn or error")
	flags.StringVar(&o.logDomain, "log-domain", string(hookserver.LogDomainDenied),
		"always: log the domain of every call; denied: only of denied calls; never: of none")

	flags.DurationVar(&o.drainDelay, "drain-delay", 10*time.Second,
		"how long to stay unready but keep answering after a signal to stop, until proxies stop sending calls")
	flags.DurationVar(&o.shutdownTimeout, "shutdown-timeout", 5*time.Second, "time for calls in flight to end after --drain-delay")

	flags.BoolVar(&o.version, "version", false, "print the version, the commit and its time, and exit")
	return flags
}

// hookFlags maps the fields of [hookserver.Options], which errors name, to their flags.
var hookFlags = map[string]string{
	"Texts.NotAllowed": "--text-not-allowed", "Texts.Invalid": "--text-invalid", "Texts.Unavailable": "--text-unavailable",
	"Texts.Blank": "--text-blank", "Path": "--hook-path", "HealthPath": "--hook-health-path", "AuthHeader": "--hook-auth-header",
	"AddressAttributes": "--address-attributes", "LogDomain": "--log-domain", "MaxInFlight": "--max-in-flight",
}

// parseOptions reads the arguments, and the environment for flags that are not among them, and checks the values.
// Every error names its flag or environment variable.
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
		if flag.Name == "version" { // no variable: a deployment may set REGISTRATION_POLICY_VERSION to its version
			return
		}
		name := envPrefix + strings.ToUpper(strings.ReplaceAll(flag.Name, "-", "_"))
		known[name] = true
		value, found := variables[name]
		if !found || flag.Changed {
			return
		}
		values := []string{value}
		if flag.Value.Type() == "stringArray" { // separated by semicolons, because its values contain commas
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
	var invalid optionerror.Errors
	bad := func(flag, format string, args ...any) { invalid.Add("--"+flag, format, args...) }
	switch {
	case o.policyDir == "" && o.namespace == "":
		bad("namespace", "required outside of a pod (or give --policy-dir to run without a cluster)")
	case o.policyDir != "" && (o.kubeconfig != "" && o.namespace != "" || len(o.watchNamespaces) > 0):
		bad("policy-dir", "cannot be combined with the flags of a cluster; leave out one or the other")
	}
	if o.policyDir != "" && o.snapshotDir != "" {
		bad("snapshot-dir", "has no effect with --policy-dir, which needs no stored rules; leave it out")
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
			"(or --hook-oauth-issuer, or --insecure-no-authentication to answer every client)")
	case (o.authDir != "" || o.usesOAuth()) && o.insecureNoAuth:
		bad("insecure-no-authentication", "cannot be combined with --hook-auth-dir or --hook-oauth-issuer; leave it out")
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
		bad("max-in-flight", "%d is negative: write 0 for the default, or a larger number", o.maxInFlight)
	}
	if o.drainDelay < 0 {
		bad("drain-delay", "%s is negative: write 0s or longer", o.drainDelay)
	}
	if o.shutdownTimeout <= 0 {
		bad("shutdown-timeout", "%s is not above 0s: write a duration such as 5s", o.shutdownTimeout)
	}
	return optionerror.ByFlag(invalid.Err(), nil)
}
