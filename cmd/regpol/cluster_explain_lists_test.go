//go:build unix

package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

func TestExplainByTheListsOfACluster(t *testing.T) {
	c := startCluster(t)
	c.kubectl(t, "apply", "-k", "config/crd")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev")
	c.kubectl(t, "create", "namespace", "lists")
	c.kubectl(t, "-n", "lists", "apply", "-f", verbtest.WritePolicies(t, verbtest.Header+`throw-away}
spec: {allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}}]}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad, labels: {registrationpolicy.dev/list: "true"}}
data: {entries: "mailinator.com\n"}
`))
	explain := func(kubeconfig string) verbtest.Result {
		t.Helper()
		return runRegpol(t, "", "explain", "jo@mailinator.com", "--kubeconfig", kubeconfig, "-n", "lists")
	}
	got := explain(c.kubeconfig)
	if got.Code != console.ExitDenied || !strings.Contains(got.Out, `denies by spec.deny.lists[0] "bad", which lists mailinator.com`) {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}

	// Somebody who may read policies, and no ConfigMaps: nothing is explained with lists left out.
	user, err := c.env.AddUser(envtest.User{Name: "viewer"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := user.KubeConfig()
	if err != nil {
		t.Fatal(err)
	}
	c.kubectl(t, "-n", "lists", "create", "role", "viewer", "--verb=get,list", "--resource=registrationpolicies.registrationpolicy.dev")
	c.kubectl(t, "-n", "lists", "create", "rolebinding", "viewer", "--role=viewer", "--user=viewer")
	got = explain(verbtest.WriteKubeconfig(t, text))
	if got.Code != console.ExitUsage || got.Out != "" || !strings.Contains(got.Err, "you may not list configmaps in namespace lists") {
		t.Errorf("exit code %d\n%s%s", got.Code, got.Out, got.Err)
	}
}
