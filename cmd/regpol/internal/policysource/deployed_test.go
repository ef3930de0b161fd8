package policysource

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/pflag"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// deploymentOf returns a Deployment in the namespace okta with these containers.
func deploymentOf(containers ...corev1.Container) *appsv1.Deployment {
	d := &appsv1.Deployment{}
	d.Namespace, d.Name = "okta", "operator"
	d.Spec.Template.Spec.Containers = containers
	return d
}

// container returns a container of the operator with further arguments.
func container(args ...string) corev1.Container {
	return corev1.Container{Name: "operator", Args: append([]string{"--lease-name", "x", "--insecure-no-authentication", "--log-format=json"}, args...)}
}

// fromSecret returns a variable with a value that is not in the Deployment.
func fromSecret(name string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{Key: "k"}}}
}

// verbFlags returns the flags of a verb that a Deployment sets.
func verbFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	var o OperatorFlags
	o.AddAddressAttributesFlag(flags)
	o.AddNamespaceSourcesFlag(flags)
	for _, name := range []string{"text-not-allowed", "text-invalid", "text-blank", "text-unavailable"} {
		flags.String(name, "", "")
	}
	flags.Bool("observe", false, "")
	return flags
}

func TestTheFlagsOfADeploymentAreReadAsByTheOperator(t *testing.T) {
	env := func(name, value string) corev1.EnvVar { return corev1.EnvVar{Name: name, Value: value} }
	own := corev1.EnvVar{Name: "POD_NAMESPACE", ValueFrom: &corev1.EnvVarSource{FieldRef: &corev1.ObjectFieldSelector{FieldPath: "metadata.namespace"}}}
	with := func(c corev1.Container, env ...corev1.EnvVar) corev1.Container {
		c.Env = env
		return c
	}
	type values struct {
		Attributes, Sources, Namespaces []string
		Text                            string
		Observe                         bool
	}
	for sentence, test := range map[string]struct {
		container corev1.Container
		want      values
	}{
		"no flag": {container(), values{Namespaces: []string{"okta"}}},
		"flags in both forms": {
			container("--address-attributes", "email,backup", "--namespace-sources=a=rul1,rul2", "--namespace-sources=b=rul3", "--observe",
				"--watch-namespaces=a,b", "--text-not-allowed", "No, {id}."),
			values{[]string{"email", "backup"}, []string{"a=rul1,rul2", "b=rul3"}, []string{"a", "b"}, "No, {id}.", true},
		},
		"in the command": {
			corev1.Container{Command: []string{"/operator", "--hook-auth-dir=/x", "--text-not-allowed=No."}},
			values{Namespaces: []string{"okta"}, Text: "No."},
		},
		"variables, but arguments win": {
			with(container("--text-not-allowed=No."), env("REGISTRATION_POLICY_TEXT_NOT_ALLOWED", "Never."), env("REGISTRATION_POLICY_OBSERVE", "true"),
				env("REGISTRATION_POLICY_NAMESPACE_SOURCES", "a=rul1,rul2;b=rul3"), env("REGISTRATION_POLICY_ADDRESS_ATTRIBUTES", "email,backup")),
			values{[]string{"email", "backup"}, []string{"a=rul1,rul2", "b=rul3"}, []string{"okta"}, "No.", true},
		},
		"references to variables": {
			with(container("--namespace=$(POD_NAMESPACE)", "--text-not-allowed=$(TEXT) $$(TEXT) $(NONE)"), own, env("WHO", "jo"), env("TEXT", "Ask $(WHO).")),
			values{Namespaces: []string{"okta"}, Text: "Ask jo. $(TEXT) $(NONE)"},
		},
		"another namespace of its own": {container("--namespace=elsewhere"), values{Namespaces: []string{"elsewhere"}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			found, err := flagsOf(deploymentOf(test.container))
			if err != nil {
				t.Fatal(err)
			}
			flags := verbFlags()
			if err := found.apply(flags); err != nil {
				t.Fatal(err)
			}
			got := values{}
			got.Namespaces, err = found.namespaces()
			got.Text = flags.Lookup("text-not-allowed").Value.String()
			if flags.Lookup("text-not-allowed").DefValue == got.Text {
				got.Text = ""
			}
			got.Observe = flags.Lookup("observe").Value.String() == "true"
			if got.Attributes, _ = flags.GetStringSlice("address-attributes"); cmp.Equal(got.Attributes, []string{"email", "login"}) {
				got.Attributes = nil
			}
			if got.Sources, _ = flags.GetStringArray("namespace-sources"); len(got.Sources) == 0 {
				got.Sources = nil
			}
			if diff := cmp.Diff(test.want, got); diff != "" || err != nil {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

// A value that is not in the Deployment is never guessed.
func TestADeploymentThatDoesNotHaveAValueIsRefused(t *testing.T) {
	with := func(c corev1.Container, env ...corev1.EnvVar) corev1.Container {
		c.Env = env
		return c
	}
	for sentence, test := range map[string]struct {
		deployment *appsv1.Deployment
		given      string // a flag of the verb
		want       string // "" for none
	}{
		"a text in a Secret": {
			deploymentOf(with(container(), fromSecret("REGISTRATION_POLICY_TEXT_INVALID"))), "",
			"the value of --text-invalid is not in it, but in a ConfigMap, a Secret or the pod: give --text-invalid",
		},
		"a text in a Secret, and the flag": {deploymentOf(with(container(), fromSecret("REGISTRATION_POLICY_TEXT_INVALID"))), "text-invalid", ""},
		"a part of a text": {
			deploymentOf(with(container("--text-blank=Ask $(WHO)."), fromSecret("WHO"))), "", "the value of --text-blank is not in it",
		},
		"attributes":             {deploymentOf(with(container("--address-attributes=$(A)"), fromSecret("A"))), "", "the value of --address-attributes is not in it"},
		"a flag that is not one": {deploymentOf(container("--observe=perhaps")), "", `--observe: "perhaps" is not true or false`},
		"a variable that is not one": {
			deploymentOf(with(container(), corev1.EnvVar{Name: "REGISTRATION_POLICY_OBSERVE", Value: "perhaps"})), "",
			`environment variable REGISTRATION_POLICY_OBSERVE: "perhaps" is not a value of --observe`,
		},
		"namespaces": {
			deploymentOf(with(container(), fromSecret("REGISTRATION_POLICY_WATCH_NAMESPACES"))), "",
			"which namespaces it watches is not in it, but in a ConfigMap, a Secret or the pod: give --watch-namespaces",
		},
		"policies in files":      {deploymentOf(container("--policy-dir=/policies")), "", "it has --policy-dir and reads no policies of the cluster"},
		"another program":        {deploymentOf(corev1.Container{Name: "web", Args: []string{"--port=80"}}), "", "its container web does not run the operator: none of --hook-auth-dir"},
		"several other programs": {deploymentOf(corev1.Container{Name: "a"}, corev1.Container{Name: "b"}), "", "none of its 2 containers is named operator"},
		"a sidecar":              {deploymentOf(corev1.Container{Name: "proxy"}, container()), "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			flags := verbFlags()
			if test.given != "" {
				if err := flags.Set(test.given, "x"); err != nil {
					t.Fatal(err)
				}
			}
			found, err := flagsOf(test.deployment)
			if err == nil {
				err = found.apply(flags)
			}
			if err == nil {
				_, err = found.namespaces()
			}
			switch {
			case test.want == "" && err != nil, test.want != "" && (err == nil || !strings.HasPrefix(err.Error(), test.want)):
				t.Errorf("%v, want %s", err, test.want)
			}
		})
	}
}
