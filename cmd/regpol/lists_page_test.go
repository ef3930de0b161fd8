//go:build unix

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
	"registrationpolicy.dev/operator/test/assets"
)

// Writes the file of a list as docs/policies/lists.md says, without a cluster.
func TestThePageWritesAListForGit(t *testing.T) {
	if err := assets.Provide(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", os.Getenv(assets.Variable)+string(os.PathListSeparator)+os.Getenv("PATH"))
	t.Setenv("KUBECONFIG", filepath.Join(t.TempDir(), "none"))
	script := commandsOf(t, "lists.md")
	for metadata, script := range map[string]string{
		"customers": script,
		"customers, namespace: registration-policy": strings.Replace(script, "kubectl create ", "kubectl create -n registration-policy ", 1),
	} {
		t.Run(metadata, func(t *testing.T) {
			t.Chdir(t.TempDir())
			verbtest.WriteTo(t, "customers.txt", "beta.example\ngamma.example\n")
			verbtest.WriteTo(t, "policies/policy.yaml", verbtest.Header+metadata+"}\nspec: {allow: {lists: [{configMap: {name: customers}}]}}\n")
			if out, failed := shell(t, script, nil); failed {
				t.Fatalf("%s\n%s", script, out)
			}
			if lint := runAs(t, "regpol", "lint", "policies"); lint.Out != "0 errors, 0 warnings in 1 policy\n" {
				t.Errorf("lint prints\n%s%s", lint.Out, lint.Err)
			}
			got := runAs(t, "regpol", "explain", "jo@gamma.example", "--policies", "policies")
			if got.Code != console.ExitAllowed || !strings.Contains(got.Out, `"customers", which lists gamma.example`) {
				t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
			}
		})
	}
}

// commandsOf returns the commands of the first block with commands of a page for authors, as a script.
func commandsOf(t *testing.T, page string) string {
	t.Helper()
	block := fenced(verbtest.ReadText(t, filepath.Join(verbtest.WorkTree, "docs", "policies", page)), "console")
	if !strings.HasPrefix(block, "$ ") {
		t.Fatalf("%s has no command", page)
	}
	return strings.ReplaceAll("\n"+block, "\n$ ", "\n")
}

// fetchLists fetches the lists of a cluster, and compares policies with it, as docs/policies/git.md says.
func (c *testCluster) fetchLists(t *testing.T) {
	const namespace = "fetched"
	r := newListsReader(t, c, namespace)
	verbtest.WriteTo(t, filepath.Join(r.dir, "policies", "throw-away.yaml"),
		verbtest.Header+"throw-away, namespace: "+namespace+"}\nspec: {deny: {lists: [{configMap: {name: disposable-domains}}]}}\n")
	r.run(t, "kubectl apply -f policies && kubectl get regpol acme -o yaml > policies/acme.yaml")
	r.run(t, "regpol lists sync disposable-domains disposable.txt")

	diff := "regpol diff policies -R -n " + namespace
	if out := r.run(t, diff); !strings.Contains(out, "list disposable-domains: there is no such ConfigMap") {
		t.Errorf("without the list in a file, diff prints\n%s", out)
	}
	script := strings.ReplaceAll(commandsOf(t, "git.md"), "registration-policy", namespace)
	if out := r.run(t, script); out != "No change: both sets of policies decide every call with one or two addresses alike.\n" {
		t.Errorf("%s\nprints\n%s", script, out)
	}
	out := r.run(t, "sed -i.bak '/mailinator.example/d' policies/lists.yaml && "+diff)
	if !strings.Contains(out, "before   denied by "+namespace+"/throw-away") {
		t.Errorf("without a line of the list, diff prints\n%s", out)
	}
}
