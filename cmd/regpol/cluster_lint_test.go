//go:build unix

package main

import (
	"path/filepath"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestLintOfACluster(t *testing.T) {
	t.Setenv("HOME", t.TempDir())
	c := startCluster(t)
	c.kubectl(t, "apply", "-k", "config/crd")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev")
	lint := func(args ...string) verbtest.Result {
		return runRegpol(t, "", append([]string{"lint", "--kubeconfig", c.kubeconfig}, args...)...)
	}
	if got := lint(); got.Code != console.ExitUsage || !strings.Contains(got.Err, "no policy in namespace default") {
		t.Errorf("without a policy: exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	dir := verbtest.WriteFiles(t, map[string]string{
		"p.yaml": strings.Replace(policyWith("p", "{allow: {domains: [gmail.com, com]}}"), "{name: p}",
			"{name: p, annotations: {lint.registrationpolicy.dev/mailbox-provider: founders}}", 1),
		"q.yaml": policyWith("q", "{allow: {domains: [acme.org]}, deny: {lists: [{configMap: {name: l}}]}}"),
	})
	c.kubectl(t, "apply", "-f", dir)
	got := lint()
	want := "default/p: error: spec.allow.domains[1]: \"com\": anyone can register names under the public suffix com; "
	if got.Code != console.ExitDenied || !strings.HasPrefix(got.Out, want) ||
		!strings.Contains(got.Out, "\ndefault/q: error: spec.deny.lists[0]: list l: ") ||
		!strings.HasSuffix(got.Out, "\n2 errors, 0 warnings in 2 policies; 1 warning silenced\n") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
	if header, _, _ := strings.Cut(c.kubectl(t, "get", "regpol"), "\n"); !strings.Contains(header, "READY     ACCEPTED   REPLICAS") {
		t.Errorf("kubectl get regpol prints %s", header)
	}
	t.Run("the API server refuses what lint calls refused", func(t *testing.T) {
		for spec, refused := range map[string]bool{
			"{allow: {domain: [delta.example]}}": true, "{mode: audit, deny: {domains: [ru]}}": true, "{deny: {domains: [ru, ru]}}": true,
			"{deny: {domains: [acme.com.]}}": true, "{deny: {domains: ru}}": true, "{deny: {domains: [ru]}, profile: [{attribute: a, value: {b: c}}]}": true,
			"{allow: {domains: [acme.org]}}": false, "{allow: {domains: [acme]}}": false, // the operator's condition says so
		} {
			file := filepath.Join(verbtest.WriteFiles(t, map[string]string{"x.yaml": policyWith("x", spec)}), "x.yaml")
			_, err := c.tryKubectl(t, "apply", "--dry-run=server", "-f", file)
			out := runRegpol(t, "", "lint", file).Out
			if (err != nil) != refused || refused != (strings.Contains(out, ": error: ") && !strings.Contains(out, "[not-in-force]")) {
				t.Errorf("%s: the API server says %v, lint\n%s", spec, err, out)
			}
		}
	})
}

// policyWith returns a file with a policy in the default namespace.
func policyWith(name, spec string) string { return verbtest.Header + name + "}\nspec: " + spec + "\n" }
