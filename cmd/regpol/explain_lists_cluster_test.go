//go:build unix

package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func TestExplainByTheListsOfACluster(t *testing.T) {
	c := startCluster(t)
	c.kubectl(t, "apply", "-k", "config/crd")
	c.kubectl(t, "wait", "--for=condition=Established", "crd/registrationpolicies.registrationpolicy.dev")
	c.kubectl(t, "create", "namespace", "lists")
	c.kubectl(t, "-n", "lists", "apply", "-f", writePolicies(t, throwAway+throwAwayList))
	explain := func(kubeconfig string) ran {
		t.Helper()
		return runRegpol(t, "", "explain", "jo@mailinator.com", "--kubeconfig", kubeconfig, "-n", "lists")
	}
	got := explain(c.kubeconfig)
	if got.code != exitDenied || !strings.Contains(got.out, `denies by spec.deny.lists[0] "bad", which lists mailinator.com`) {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
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
	got = explain(writeKubeconfig(t, text))
	if got.code != exitUsage || got.out != "" || !strings.Contains(got.err, "you may not list configmaps in namespace lists") {
		t.Errorf("exit code %d\n%s%s", got.code, got.out, got.err)
	}
}
