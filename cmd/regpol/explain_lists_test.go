package main

import (
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"registrationpolicy.dev/operator/rules"
)

const (
	throwAway = header + `throw-away}
spec: {allow: {domains: ["*"]}, deny: {lists: [{configMap: {name: bad}}]}}
`
	throwAwayList = `---
apiVersion: v1
kind: ConfigMap
metadata: {name: bad, labels: {registrationpolicy.dev/list: "true"}}
data: {entries: "mailinator.com\n*.33mail.com\nsomeone@whole.example\n"}
`
)

func TestExplainNamesWhatAListHas(t *testing.T) {
	for sentence, test := range map[string]struct {
		text, address string
		code          int
		line          string
	}{
		"a domain below a listed one": {throwAway + throwAwayList, "jo@a.mailinator.com", exitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad", which lists mailinator.com`},
		"a wildcard": {throwAway + throwAwayList, "jo@a.33mail.com", exitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad", which lists *.33mail.com`},
		"a whole address": {throwAway + throwAwayList, "Someone@whole.example", exitDenied,
			`reason   Denied: default/throw-away denies by spec.deny.lists[0] "bad"` + "\n"},
		"not listed":      {throwAway + throwAwayList, "jo@33mail.com", exitAllowed, "allowed  jo@33mail.com"},
		"no such list":    {throwAway, "jo@acme.com", exitDenied, "PolicyNotEnforceable: default/throw-away applies, and cannot be enforced"},
		"and what is not": {throwAway, "jo@acme.com", exitDenied, "not in force: spec.deny.lists[0]: list bad: there is no such ConfigMap"},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := runRegpol(t, "", "explain", test.address, "--policies", writePolicies(t, test.text))
			if got.code != test.code || !strings.Contains(got.out, test.line) {
				t.Errorf("exit code %d, want %d and %q in\n%s%s", got.code, test.code, test.line, got.out, got.err)
			}
		})
	}
	_, report := explained(t, "jo@mailinator.com", "--policies", writePolicies(t, throwAway+throwAwayList))
	if entry := report.Decision.Entry; report.Decision.Reason != rules.ReasonDenied || entry == nil || entry.Listed != "mailinator.com" || entry.Text != "bad" {
		t.Errorf("decision %+v, entry %+v", report.Decision, entry)
	}
}

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
