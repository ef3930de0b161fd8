package policysource

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/cmd/regpol/internal/cluster"
	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/internal/usage"
)

const (
	// operatorVariables is the prefix of the environment variables that set flags of the operator.
	operatorVariables = "REGISTRATION_POLICY_"
	// namespaceField is the fieldPath of an environment variable that has the namespace of the pod as its value.
	namespaceField = "metadata.namespace"
)

// authenticationFlags are flags of which the operator requires one.
var authenticationFlags = []string{"hook-auth-dir", "hook-oauth-issuer", "insecure-no-authentication"}

// ReadDeployed reads the operator's flags in the Deployment of --as-deployed. It sets each flag of a verb that has the
// name of one of these flags, unless the user gave it. It also sets the namespaces of the policies, if neither a path
// nor a flag says where the policies are. Without --as-deployed it does nothing.
func (o *Location) ReadDeployed(ctx context.Context, flags *pflag.FlagSet, s console.Streams) error {
	if !flags.Changed("as-deployed") {
		return nil
	}
	deployment, err := o.deployment(ctx)
	if err != nil {
		return fmt.Errorf("--as-deployed: %w", err)
	}
	name := deployment.Namespace + "/" + deployment.Name
	found, err := flagsOf(deployment)
	if err == nil {
		err = found.apply(flags)
	}
	otherNamespace := strings.Contains(o.AsDeployed, "/") && flags.Changed("namespace") // then -n is the namespace of the policies
	if err == nil && len(o.Paths) == 0 && !flags.Changed("watch-namespaces") && !otherNamespace {
		o.watchNamespaces, err = found.namespaces()
	}
	if err != nil {
		return fmt.Errorf("--as-deployed: Deployment %s: %w", name, err)
	}
	if found.hasOtherVariables {
		console.PrintWarnings(s, []string{"Deployment " + name + " has envFrom: flags that are set by its variables are not read"})
	}
	return nil
}

// deployment reads the Deployment of --as-deployed.
func (o *Location) deployment(ctx context.Context) (*appsv1.Deployment, error) {
	config, namespace, err := o.Cluster.Load(errors.New("no cluster: give one with --kubeconfig or KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	name := o.AsDeployed
	if before, after, found := strings.Cut(name, "/"); found {
		namespace, name = before, after
	}
	if namespace == "" || name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("%q: write NAMESPACE/NAME, or NAME with -n", o.AsDeployed)
	}
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(appsv1.SchemeGroupVersion.WithKind("Deployment"), meta.RESTScopeNamespace)
	kube, err := client.New(config, client.Options{Mapper: mapper})
	if err != nil {
		return nil, fmt.Errorf("kubeconfig: %w", err)
	}
	deployment := &appsv1.Deployment{}
	switch err := kube.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, deployment); {
	case apierrors.IsNotFound(err):
		return nil, fmt.Errorf("there is no Deployment %s in namespace %s: `kubectl get deployments -A` lists those of the cluster", name, namespace)
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not get deployments in namespace %s: ask for the right to get them, "+
			"or give the operator's flags yourself", namespace)
	case err != nil:
		return nil, cluster.ListError(err, "deployments", namespace, config.Host)
	}
	return deployment, nil
}

// deployedFlags are those flags of the operator in a Deployment on which decisions depend.
type deployedFlags struct {
	flags             *pflag.FlagSet
	namespace         string // of the pods
	ownNamespace      string // the value of --namespace
	watchNamespaces   []string
	policyDir         string
	unknown           map[string]bool // flags whose values are not in the Deployment
	hasOtherVariables bool            // envFrom sets variables whose names are not in the Deployment
}

// flagsOf reads the flags of the operator in a Deployment: from its arguments and, if they are not among them, from the
// environment, as the operator does.
func flagsOf(deployment *appsv1.Deployment) (*deployedFlags, error) {
	container, err := containerOf(deployment.Spec.Template.Spec.Containers)
	if err != nil {
		return nil, err
	}
	d := &deployedFlags{
		namespace: deployment.Namespace, unknown: map[string]bool{}, hasOtherVariables: len(container.EnvFrom) > 0,
	}
	d.define()
	variables := d.variablesOf(container.Env)
	var args []string
	for _, arg := range slices.Concat(container.Command, container.Args) {
		args = append(args, variables.expand(arg))
	}
	if err := d.flags.Parse(args); err != nil {
		return nil, usage.Flag(err)
	}
	isOperator := d.hasOtherVariables
	d.flags.VisitAll(func(flag *pflag.Flag) {
		value, isSet := variables[variableOf(flag.Name)]
		switch {
		case flag.Changed:
			d.unknown[flag.Name] = strings.Contains(flag.Value.String(), unknownValue)
		case isSet && strings.Contains(value, unknownValue):
			d.unknown[flag.Name] = true
		case isSet:
			err = cmp.Or(err, setVariable(flag, value))
		}
		isOperator = isOperator || slices.Contains(authenticationFlags, flag.Name) && (flag.Changed || isSet)
	})
	switch {
	case err != nil:
		return nil, err
	case !isOperator:
		return nil, fmt.Errorf("its container %s does not run the operator: none of --%s is set", container.Name,
			strings.Join(authenticationFlags, ", --"))
	}
	return d, nil
}

// define defines the flags of the operator that are read.
func (d *deployedFlags) define() {
	d.flags = pflag.NewFlagSet("", pflag.ContinueOnError)
	d.flags.SetOutput(io.Discard)
	d.flags.ParseErrorsAllowlist.UnknownFlags = true
	d.flags.StringVar(&d.ownNamespace, "namespace", "", "")
	d.flags.StringVar(&d.policyDir, "policy-dir", "", "")
	d.flags.StringSliceVar(&d.watchNamespaces, "watch-namespaces", nil, "")
	d.flags.StringArray("namespace-sources", nil, "")
	d.flags.StringSlice("address-attributes", nil, "")
	for _, name := range []string{
		"text-not-allowed", "text-invalid", "text-blank", "text-unavailable", "hook-auth-dir", "hook-oauth-issuer",
	} {
		d.flags.String(name, "", "")
	}
	d.flags.Bool("observe", false, "")
	d.flags.Bool("insecure-no-authentication", false, "")
}

// containerOf returns the container of the operator.
func containerOf(containers []corev1.Container) (*corev1.Container, error) {
	i := slices.IndexFunc(containers, func(c corev1.Container) bool { return c.Name == cluster.OperatorContainer })
	switch {
	case i >= 0:
		return &containers[i], nil
	case len(containers) == 1:
		return &containers[0], nil
	default:
		return nil, fmt.Errorf("none of its %d containers is named %s: name a Deployment of the operator", len(containers), cluster.OperatorContainer)
	}
}

// variableOf returns the name of the environment variable of a flag.
func variableOf(flag string) string {
	return operatorVariables + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// setVariable sets a flag as the operator does by its environment variable.
func setVariable(flag *pflag.Flag, value string) error {
	values := []string{value}
	if flag.Value.Type() == "stringArray" { // separated by semicolons, because its values contain commas
		values = strings.Split(value, ";")
	}
	for _, value := range values {
		if err := flag.Value.Set(value); err != nil {
			return fmt.Errorf("environment variable %s: %q is not a value of --%s", variableOf(flag.Name), value, flag.Name)
		}
	}
	flag.Changed = true
	return nil
}

// unknownValue stands for a part of a value that the container gets from a ConfigMap, a Secret or the pod, and that the
// Deployment therefore does not have. No other value can contain it, because the API server accepts no NUL.
const unknownValue = "\x00"

// variables are environment variables of a container, by name.
type variables map[string]string

// variablesOf returns the variables of a container. The value is [unknownValue] if the Deployment does not have it.
func (d *deployedFlags) variablesOf(env []corev1.EnvVar) variables {
	v := variables{}
	for _, variable := range env {
		switch from := variable.ValueFrom; {
		case from == nil:
			v[variable.Name] = v.expand(variable.Value)
		case from.FieldRef != nil && from.FieldRef.FieldPath == namespaceField:
			v[variable.Name] = d.namespace
		default:
			v[variable.Name] = unknownValue
		}
	}
	return v
}

// reference matches what Kubernetes expands in arguments and variables: $(NAME), and $$ for one $.
var reference = regexp.MustCompile(`\$\$|\$\([^()]+\)`)

// expand replaces each reference in a text: $(NAME) by the value of the variable, and $$ by $. Like Kubernetes, it keeps
// a reference to an undefined variable.
func (v variables) expand(text string) string {
	return reference.ReplaceAllStringFunc(text, func(found string) string {
		if found == "$$" {
			return "$"
		}
		if value, known := v[found[len("$("):len(found)-len(")")]]; known {
			return value
		}
		return found
	})
}

// apply sets each flag of a verb that the user did not give to its value in the Deployment.
func (d *deployedFlags) apply(flags *pflag.FlagSet) (err error) {
	d.flags.VisitAll(func(deployed *pflag.Flag) {
		flag := flags.Lookup(deployed.Name)
		switch {
		case flag == nil || flag.Changed || slices.Contains([]string{"namespace", "watch-namespaces"}, flag.Name):
			return
		case d.unknown[flag.Name]:
			err = cmp.Or(err, fmt.Errorf("the value of --%s is not in it, but in a ConfigMap, a Secret or the pod: give --%s", flag.Name, flag.Name))
		case !deployed.Changed:
			return
		}
		if from, isList := deployed.Value.(pflag.SliceValue); isList {
			err = cmp.Or(err, flag.Value.(pflag.SliceValue).Replace(from.GetSlice()))
			return
		}
		err = cmp.Or(err, flag.Value.Set(deployed.Value.String()))
	})
	return err
}

// namespaces returns the namespaces whose policies decide.
func (d *deployedFlags) namespaces() ([]string, error) {
	switch {
	case d.policyDir != "":
		return nil, errors.New("it has --policy-dir and reads no policies of the cluster: give them as files")
	case d.unknown["watch-namespaces"] || len(d.watchNamespaces) == 0 && d.unknown["namespace"]:
		return nil, errors.New("which namespaces it watches is not in it, but in a ConfigMap, a Secret or the pod: give --watch-namespaces")
	case len(d.watchNamespaces) > 0:
		return d.watchNamespaces, nil
	default:
		return []string{cmp.Or(d.ownNamespace, d.namespace)}, nil
	}
}
