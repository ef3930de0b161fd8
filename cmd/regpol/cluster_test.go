//go:build unix

package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/assets"
)

// testCluster is an API server of its own, for one test.
type testCluster struct {
	env        *envtest.Environment
	kubeconfig string // of an administrator
}

// startCluster starts an API server that does not know policies yet.
func startCluster(t *testing.T) *testCluster {
	t.Helper()
	if err := assets.Provide(); err != nil {
		t.Fatal(err)
	}
	c := &testCluster{env: &envtest.Environment{}}
	if _, err := c.env.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.env.Stop(); err != nil {
			t.Error(err)
		}
	})
	c.kubeconfig = verbtest.WriteKubeconfig(t, c.env.KubeConfig)
	return c
}

// kubectl runs the real one.
func (c *testCluster) kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := c.tryKubectl(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (c *testCluster) tryKubectl(t *testing.T, args ...string) (string, error) {
	command := exec.CommandContext(t.Context(), filepath.Join(os.Getenv(assets.Variable), "kubectl"), args...)
	command.Dir = verbtest.WorkTree
	command.Env = append(os.Environ(), "KUBECONFIG="+c.kubeconfig)
	out, err := command.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("kubectl %v: %w\n%s", args, err, out)
	}
	return string(out), nil
}

// altered returns a kubeconfig with a change.
func (c *testCluster) altered(t *testing.T, change func(*clientcmdapi.Config)) string {
	t.Helper()
	config, err := clientcmd.LoadFromFile(c.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	change(config)
	text, err := clientcmd.Write(*config)
	if err != nil {
		t.Fatal(err)
	}
	return verbtest.WriteKubeconfig(t, text)
}

func TestExplainByThePoliciesOfACluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	c := startCluster(t)
	explain := func(args ...string) verbtest.Result {
		return runRegpol(t, "", append([]string{"explain", "jo@acme.com"}, args...)...)
	}

	t.Run("without the CustomResourceDefinition, it says how to install it", func(t *testing.T) {
		got := explain("--kubeconfig", c.kubeconfig)
		if got.Code != console.ExitUsage || !strings.Contains(got.Err, "does not know RegistrationPolicies: install the CustomResourceDefinition") {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	c.kubectl(t, "apply", "-k", "config/crd")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev")

	t.Run("without a policy, it decides nothing", func(t *testing.T) {
		got := explain("--kubeconfig", c.kubeconfig)
		if got.Code != console.ExitUsage || got.Out != "" ||
			!strings.Contains(got.Err, "regpol: no policy in namespace default: apply one, or choose another --namespace or --context") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	for _, namespace := range []string{"registration-policy", "team-a"} {
		c.kubectl(t, "create", "namespace", namespace)
	}
	c.kubectl(t, "apply", "-n", "registration-policy", "-f", "config/samples/quickstart")
	c.kubectl(t, "apply", "-n", "team-a", "-f", "config/samples/everyone-but.yaml")

	t.Run("of the namespace that is named", func(t *testing.T) {
		got := explain("--kubeconfig", c.kubeconfig, "-n", "registration-policy")
		if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "reason   Allowed: registration-policy/acme allows by spec.allow.domains[0]") ||
			strings.Contains(got.Out, "team-a") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("of the namespace of the context, found through KUBECONFIG", func(t *testing.T) {
		t.Setenv("KUBECONFIG", c.altered(t, func(config *clientcmdapi.Config) {
			for _, context := range config.Contexts {
				context.Namespace = "team-a"
			}
		}))
		if got := explain(); got.Code != console.ExitAllowed || !strings.Contains(got.Out, "Allowed: team-a/everyone-but allows") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("of all namespaces that the operator watches", func(t *testing.T) {
		got := explain("--kubeconfig", c.kubeconfig, "--watch-namespaces", "team-a,registration-policy")
		if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "so does registration-policy/acme, which is first by name") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("of namespaces of which one has no policy", func(t *testing.T) {
		got := explain("--kubeconfig", c.kubeconfig, "--watch-namespaces", "team-a,default")
		if got.Code != console.ExitAllowed || !strings.Contains(got.Err, "regpol: warning: no policy in namespace default\n") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("what the operator would not understand is denied, and named", func(t *testing.T) {
		c.kubectl(t, "create", "namespace", "later")
		c.kubectl(t, "patch", "crd", "registrationpolicies.registrationpolicy.dev", "--type=json", "-p",
			`[{"op":"add","path":"/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/quota","value":{"type":"integer"}}]`)
		path := verbtest.WritePolicies(t, verbtest.Header+"new}\nspec: {quota: 3, allow: {domains: [acme.com]}}\n")
		for { // an API server takes up a changed schema in its own time
			_, err := c.tryKubectl(t, "apply", "-n", "later", "-f", path)
			if err == nil {
				break
			}
			if !strings.Contains(err.Error(), "quota") {
				t.Fatal(err)
			}
		}
		got := explain("--kubeconfig", c.kubeconfig, "-n", "later")
		if got.Code != console.ExitDenied || !strings.Contains(got.Out, "PolicyNotEnforceable: later/new applies and cannot be enforced") ||
			!strings.Contains(got.Out, "not in force: spec.quota: unknown field") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})

	t.Run("a user who may not list policies is told whom to ask", func(t *testing.T) {
		user, err := c.env.AddUser(envtest.User{Name: "stranger"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		text, err := user.KubeConfig()
		if err != nil {
			t.Fatal(err)
		}
		got := explain("--kubeconfig", verbtest.WriteKubeconfig(t, text), "-n", "registration-policy")
		const want = "you may not list registrationpolicies.registrationpolicy.dev in namespace registration-policy: ask for"
		if got.Code != console.ExitUsage || !strings.Contains(got.Err, want) {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	for sentence, test := range map[string]struct {
		change func(*clientcmdapi.Config)
		want   string
	}{
		"a user whom the API server does not know": {
			func(config *clientcmdapi.Config) {
				for name := range config.AuthInfos {
					config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: "stale"}
				}
			},
			"rejects your credentials: log in again",
		},
		"an API server that is away": {
			func(config *clientcmdapi.Config) {
				for _, cluster := range config.Clusters {
					cluster.Server = "https://127.0.0.1:1"
				}
			},
			"the API server at https://127.0.0.1:1 cannot be reached",
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := explain("--kubeconfig", c.altered(t, test.change))
			if got.Code != console.ExitUsage || !strings.Contains(got.Err, test.want) || strings.Count(got.Err, "\n") != 1 {
				t.Errorf("exit code %d\n%s", got.Code, got.Err)
			}
		})
	}
	t.Run("a context that is not there", func(t *testing.T) {
		if got := explain("--kubeconfig", c.kubeconfig, "--context", "moon"); got.Code != console.ExitUsage || !strings.Contains(got.Err, `"moon" does not exist`) {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})
	t.Run("no cluster at all", func(t *testing.T) {
		t.Setenv("KUBECONFIG", "")
		if got := explain(); got.Code != console.ExitUsage || !strings.Contains(got.Err, "no policies: give files with --policies, or a cluster") {
			t.Errorf("exit code %d\n%s", got.Code, got.Err)
		}
	})

	t.Run("by the flags of a Deployment of the operator", func(t *testing.T) { c.runAsDeployed(t) })
	t.Run("policies that the sample for kubectl applies", func(t *testing.T) { c.runApply(t) })
	t.Run("every example of the help runs", func(t *testing.T) { c.runExamples(t) })
	t.Run("as a plugin of kubectl, completion included", func(t *testing.T) { c.runAsPlugin(t) })
}

// runExamples runs every example of explain, diff and replay, in the help of the verbs and of the program.
func (c *testCluster) runExamples(t *testing.T) {
	t.Setenv("KUBECONFIG", c.kubeconfig)
	c.kubectl(t, "apply", "-n", "default", "-f", "config/samples/quickstart")
	count := 0
	help := newRoot("regpol", console.Streams{})
	examples := help.Example
	for _, verb := range help.Commands() {
		examples += "\n" + verb.Example
	}
	for line := range strings.Lines(examples) {
		line = strings.TrimSpace(line)
		before, after, piped := strings.Cut(line, " | ")
		stdin := ""
		if piped {
			stdin = c.kubectl(t, strings.Fields(before)[1:]...)
			line = after
		}
		if !strings.HasPrefix(line, "regpol explain") && !strings.HasPrefix(line, "regpol diff") && !strings.HasPrefix(line, "regpol replay") {
			continue
		}
		count++
		got := runRegpol(t, stdin, strings.Fields(line)[1:]...)
		if got.Code != console.ExitAllowed && got.Code != console.ExitDenied || got.Out == "" {
			t.Errorf("%s: exit code %d\n%s%s", line, got.Code, got.Out, got.Err)
		}
		t.Logf("%d: %s", got.Code, line)
	}
	if count < 10 {
		t.Errorf("only %d examples", count)
	}
}

// runAsPlugin lets the real kubectl call the program: a link on the PATH is all that it takes.
func (c *testCluster) runAsPlugin(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	for _, name := range []string{"kubectl-regpol", completerName} {
		if err := os.Symlink(self, filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin+string(os.PathListSeparator)+os.Getenv("PATH"))
	for want, args := range map[string][]string{
		"allowed  jo@acme.com\n": {"regpol", "explain", "jo@acme.com", "-n", "registration-policy"},
		"yaml\n":                 {cobraComplete, "regpol", "explain", "-o", "y"},
	} {
		if out := c.kubectl(t, args...); !strings.Contains(out, want) {
			t.Errorf("kubectl %v:\n%s", args, out)
		}
	}
}

// cobraComplete is the command by which a shell asks for completions.
const cobraComplete = "__complete"
