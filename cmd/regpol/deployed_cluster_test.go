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
)

// deploy applies the Deployment of the kustomization with further arguments of the operator.
func (c *testCluster) deploy(t *testing.T, namespace string, args ...string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "config", "manager", "deployment.yaml"))
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

// runAsDeployed runs explain, diff and replay with the flags of a Deployment. The namespace okta-registration has the
// policies of the quickstart. The namespace team-a has a policy that allows "*", with a few denied domains.
func (c *testCluster) runAsDeployed(t *testing.T) {
	const deployment = "okta-registration/registration-policy-operator"
	regpol := func(args ...string) ran {
		return runRegpol(t, "", append(args, "--kubeconfig", c.kubeconfig)...)
	}
	c.deploy(t, "okta-registration", "--watch-namespaces=okta-registration,team-a", "--namespace-sources=team-a=rul1,rul2",
		"--address-attributes=login", "--text-not-allowed=Ask your sponsor.", "--observe")

	t.Run("explain decides by the flags of the Deployment", func(t *testing.T) {
		got := regpol("explain", "jo@elsewhere.example", "--as-deployed", deployment, "-o", "json")
		for _, want := range []string{`"observed": true`, `"policiesThatTookPart": 2`, `"attribute": "login"`} {
			if !strings.Contains(got.out, want) {
				t.Errorf("exit code %d, without %s\n%s%s", got.code, want, got.out, got.err)
			}
		}
	})
	t.Run("by its name in a namespace", func(t *testing.T) {
		got := regpol("explain", "jo@acme.com", "--as-deployed", "registration-policy-operator", "-n", "okta-registration", "-v")
		if got.code != exitAllowed || !strings.Contains(got.out, "team-a/everyone-but") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("a flag that is given wins", func(t *testing.T) {
		got := regpol("explain", "jo@elsewhere.example", "--as-deployed", deployment, "--observe=false", "--watch-namespaces", "okta-registration",
			"--address-attributes", "email", "-o", "json")
		if got.code != exitDenied || !strings.Contains(got.out, `"attribute": "email"`) || strings.Contains(got.out, "team-a") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("policies in files", func(t *testing.T) {
		path := writePolicies(t, header+"p, namespace: okta-registration}\nspec: {appliesTo: {sources: [rul9]}, allow: {domains: [acme.com]}}\n")
		got := regpol("explain", "jo@elsewhere.example", "--source", "rul9", "--policies", path, "--as-deployed", deployment, "--observe=false")
		if got.code != exitDenied || !strings.Contains(got.out, "Ask your sponsor.") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("diff compares with the policies of the namespaces that are watched", func(t *testing.T) {
		got := regpol("diff", "config/samples/quickstart", "--as-deployed", deployment)
		if got.code != exitAllowed || !strings.Contains(got.out, "team-a/everyone-but") || !strings.Contains(got.out, "from rul1, rul2") {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
	t.Run("replay decides by the flags and the policies of the Deployment", func(t *testing.T) {
		got := regpol("replay", replayTable, "--as-deployed", deployment, "--source", "rul1", "-o", "json")
		for _, want := range []string{`"calls": 5`, `"reason": "MissingAddress"`, `"allowed": `} { // a row of the table has no login
			if got.code != exitAllowed || !strings.Contains(got.out, want) || strings.Contains(got.out, `"allowed": 0`) {
				t.Errorf("exit code %d, without %s\n%s%s", got.code, want, got.out, got.err)
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
			"you may not get deployments in namespace okta-registration: ask for the right to get them": {
				"--as-deployed", deployment, "--kubeconfig", writeKubeconfig(t, kubeconfig),
			},
		} {
			got := runRegpol(t, "", append([]string{"explain", "jo@acme.com", "--kubeconfig", c.kubeconfig}, args...)...)
			if got.code != exitUsage || !strings.HasPrefix(got.err, "regpol: --as-deployed: "+want) {
				t.Errorf("exit code %d\n%s\nwant %s", got.code, got.err, want)
			}
		}
	})
	t.Run("the Deployment of the kustomization alone: its own namespace, and the defaults", func(t *testing.T) {
		c.deploy(t, "okta-registration")
		got := regpol("explain", "jo@acme.com", "--as-deployed", deployment, "-o", "yaml")
		var report report
		if err := yaml.Unmarshal([]byte(got.out), &report); err != nil {
			t.Fatalf("%v\n%s%s", err, got.out, got.err)
		}
		if got.code != exitAllowed || report.Decision.Policy != "okta-registration/acme" || report.Decision.Observed {
			t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
		}
	})
}
