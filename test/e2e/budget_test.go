package e2e

import (
	"fmt"
	"sort"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/listguard"
	"registrationpolicy.dev/operator/internal/listsync"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

// `regpol lists sync` rejects a list that would exceed the budget exactly if the operator would: the limit is the same
// to the line.
func TestTheSyncOfAListAndTheOperatorAgreeOnWhatFits(t *testing.T) {
	const limit = 600 << 10
	c := startCluster(t)
	op := startReady(t, append(c.inCluster(t), "--namespace-limits", fmt.Sprintf("%s=%d", namespace, limit))...)
	kube, err := listsync.NewClient(c.plane.Config)
	if err != nil {
		t.Fatal(err)
	}
	syncer := &listsync.Syncer{Kube: kube, Now: time.Now}
	sync := func(name string, lines int, dryRun bool, accept string) *listsync.Report {
		t.Helper()
		var text strings.Builder
		for i := range lines {
			fmt.Fprintf(&text, "%s%d.example\n", name, i)
		}
		report, err := syncer.Sync(t.Context(), listsync.Request{
			Namespace: namespace, Name: name, Text: []byte(text.String()), Use: listguard.Deny, MaxChange: 1e9, MaxEntries: 1e6,
			Keep: time.Hour, DryRun: dryRun, Accept: accept,
		})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	sync("another", 2000, false, "")
	c.apply(t, "everyone", `{allow: {domains: ["*"]}, deny: {lists: [{name: a, configMap: {name: another}}, {name: b, configMap: {name: grown}}]}}`)
	c.apply(t, "acme", `{allow: {domains: [acme.com, beta.example], addresses: [jo@partner.example]}}`)
	fixture.Await(t, "the status tells the limit", func() bool {
		stored := policy(t, "everyone", "{}")
		if err := c.client.Get(t.Context(), client.ObjectKeyFromObject(stored), stored); err != nil {
			t.Fatal(err)
		}
		return stored.Status.NamespaceMemoryLimitBytes == limit
	})
	// The smallest number of lines that is rejected.
	refused := sort.Search(20_000, func(lines int) bool { return sync("grown", lines+1, true, "").Outcome == listsync.Refused }) + 1
	report := sync("grown", refused-1, false, "")
	if report.Outcome != listsync.Done || refused < 1000 {
		t.Fatalf("%d lines: %+v", refused-1, report)
	}
	op.awaitReasonFrom(t, "reg1", fmt.Sprintf("jo@grown%d.example", refused-2), rules.ReasonDenied)
	fixture.Await(t, "a list that just fits is in force", func() bool {
		return c.condition(t, "everyone").Reason == string(v1alpha1.ReasonAccepted)
	})

	report = sync("grown", refused, false, "")
	if report.Outcome != listsync.Refused || report.Refusals[0].Kind != listguard.OverBudget {
		t.Fatalf("%+v", report)
	}
	sync("grown", refused, false, report.Accept)
	op.awaitReasonFrom(t, "reg1", "jo@acme.com", rules.ReasonPolicyNotEnforceable)
	fixture.Await(t, "the list is refused", func() bool {
		condition := c.condition(t, "everyone")
		return condition.Reason == string(v1alpha1.ReasonOverBudget) && strings.Contains(condition.Message, "spec.deny.lists[1]")
	})
}
