//go:build unix

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/yaml"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// deploy applies the Deployment of the kustomization with further arguments of the operator.
func (c *testCluster) deploy(t *testing.T, namespace string, args ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(verbtest.WorkTree, "config", "manager", "deployment.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	more := ""
	for _, arg := range args {
		more += fmt.Sprintf("        - %q\n", arg)
	}
	path := filepath.Join(t.TempDir(), "deployment.yaml")
	if err := os.WriteFile(path, []byte(strings.Replace(string(text), "        args:\n", "        args:\n"+more, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "apply", "-n", namespace, "-f", path)
}

// runAsDeployed runs explain, diff and replay with the flags of a Deployment. The namespace registration-policy has the
// policies of the quickstart. The namespace team-a has a policy that allows "*", with a few denied domains.
func (c *testCluster) runAsDeployed(t *testing.T) {
	const deployment = "registration-policy/registration-policy-operator"
	regpol := func(args ...string) verbtest.Result {
		return runRegpol(t, "", append(args, "--kubeconfig", c.kubeconfig)...)
	}
	c.deploy(t, "registration-policy", "--watch-namespaces=registration-policy,team-a", "--namespace-sources=team-a=rul1,rul2",
		"--address-attributes=login", "--text-not-allowed=Ask your sponsor.", "--observe")

	t.Run("explain decides by the flags of the Deployment", func(t *testing.T) {
		got := regpol("explain", "jo@elsewhere.example", "--as-deployed", deployment, "-o", "json")
		for _, want := range []string{`"observed": true`, `"policiesThatTookPart": 2`, `"attribute": "login"`} {
			if !strings.Contains(got.Out, want) {
				t.Errorf("exit code %d, without %s\n%s%s", got.Code, want, got.Out, got.Err)
			}
		}
	})
	t.Run("by its name in a namespace", func(t *testing.T) {
		got := regpol("explain", "jo@acme.com", "--as-deployed", "registration-policy-operator", "-n", "registration-policy", "-v")
		if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "team-a/everyone-but") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("a flag that is given wins", func(t *testing.T) {
		got := regpol("explain", "jo@elsewhere.example", "--as-deployed", deployment, "--observe=false", "--watch-namespaces", "registration-policy",
			"--address-attributes", "email", "-o", "json")
		if got.Code != console.ExitDenied || !strings.Contains(got.Out, `"attribute": "email"`) || strings.Contains(got.Out, "team-a") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("policies in files", func(t *testing.T) {
		path := verbtest.WritePolicies(t, verbtest.Header+"p, namespace: registration-policy}\nspec: {appliesTo: {sources: [rul9]}, allow: {domains: [acme.com]}}\n")
		got := regpol("explain", "jo@elsewhere.example", "--source", "rul9", "--policies", path, "--as-deployed", deployment, "--observe=false")
		if got.Code != console.ExitDenied || !strings.Contains(got.Out, "Ask your sponsor.") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("diff compares with the policies of the namespaces that are watched", func(t *testing.T) {
		got := regpol("diff", "config/samples/quickstart", "--as-deployed", deployment)
		if got.Code != console.ExitAllowed || !strings.Contains(got.Out, "team-a/everyone-but") || !strings.Contains(got.Out, "from rul1, rul2") {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
	t.Run("replay decides by the flags and the policies of the Deployment", func(t *testing.T) {
		got := regpol("replay", "cmd/regpol/testdata/replay/people.csv", "--as-deployed", deployment, "--source", "rul1", "-o", "json")
		for _, want := range []string{`"calls": 5`, `"reason": "MissingAddress"`, `"allowed": `} { // a row of the table has no login
			if got.Code != console.ExitAllowed || !strings.Contains(got.Out, want) || strings.Contains(got.Out, `"allowed": 0`) {
				t.Errorf("exit code %d, without %s\n%s%s", got.Code, want, got.Out, got.Err)
			}
		}
	})
	t.Run("what is not there is named", func(t *testing.T) {
		user, err := c.env.AddUser(envtest.User{Name: "stranger"}, nil)
		if err != nil {
			t.Fatal(err)
		}
		kubeconfig, err := user.KubeConfig()
		if err != nil {
			t.Fatal(err)
		}
		for want, args := range map[string][]string{
			"there is no Deployment moon in namespace default: `kubectl get deployments -A` lists": {"--as-deployed", "moon"},
			`"a/b/c": write NAMESPACE/NAME, or NAME with -n`:                                       {"--as-deployed", "a/b/c"},
			`"": write NAMESPACE/NAME, or NAME with -n`:                                            {"--as-deployed", ""},
			"you may not get deployments in namespace registration-policy: ask for the right to get them": {
				"--as-deployed", deployment, "--kubeconfig", verbtest.WriteKubeconfig(t, kubeconfig),
			},
		} {
			got := runRegpol(t, "", append([]string{"explain", "jo@acme.com", "--kubeconfig", c.kubeconfig}, args...)...)
			if got.Code != console.ExitUsage || !strings.HasPrefix(got.Err, "regpol: --as-deployed: "+want) {
				t.Errorf("exit code %d\n%s\nwant %s", got.Code, got.Err, want)
			}
		}
	})
	t.Run("the Deployment of the kustomization alone: its own namespace, and the defaults", func(t *testing.T) {
		c.deploy(t, "registration-policy")
		got := regpol("explain", "jo@acme.com", "--as-deployed", deployment, "-o", "yaml")
		var report struct {
			Decision struct {
				Policy   string
				Observed bool
			}
		}
		if err := yaml.Unmarshal([]byte(got.Out), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, got.Out, got.Err)
		}
		if got.Code != console.ExitAllowed || report.Decision.Policy != "registration-policy/acme" || report.Decision.Observed {
			t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
		}
	})
}
