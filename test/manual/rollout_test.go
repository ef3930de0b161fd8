package manual

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/test/fixture"
)

// Follows the page from Audit to Enforce and back. Between the steps it restarts the operator, as an upgrade of the
// release does.
func TestThePageOfTheRolloutIsTrue(t *testing.T) {
	t.Parallel()
	p := readPage(t, "okta/rollout.md")
	c := startCluster(t)
	reader := newShell(t, "KUBECONFIG="+c.adminKubeconfig)
	signUps := func(op *operator, addresses ...string) {
		for _, address := range addresses {
			if got := op.register(t, signUp(address)); len(got.Faults) > 0 {
				t.Fatalf("%s: %q", address, got.Faults)
			}
		}
	}

	observer := startReady(t, append(c.inCluster(), "--observe")...)
	const observing = "Observing: every call is allowed, nothing is enforced"
	observer.awaitLog(t, observing)
	if !p.names(t, observing) {
		t.Errorf("docs/%s does not say %q", p.file, observing)
	}
	reader.write(t, "acme.yaml", p.text(t, "acme"))
	reader.run(t, p, "apply")
	observer.awaitMetric(t, `registration_policy_snapshot_policies{enforceable="true",mode="Enforce"} 1`)
	signUps(observer, "jo@acme.com", "ann@partner.example", "mia@sub.acme.com", "eve@free-mail.example")
	if got := observer.register(t, signUp("bob@partner.example")); got.Outcome != oktasim.Registered || reason(t, got) != "NotAllowed" {
		t.Errorf("an observer: %v %s", got.Outcome, reason(t, got))
	}
	preview := observer.post(t, `{"eventType":"com.okta.user.pre-registration","data":{"userProfile":{"email":"bob@partner.example"}}}`)
	p.says(t, "observed-preview", indented(t, preview.body))
	signUps(observer, "jo@acme") // a call without a domain
	observer.awaitLines(t, 7)
	reader.write(t, "operator.log", observer.log.String())
	reader.run(t, p, "would-deny")
	reader.run(t, p, "domains")
	p.quotes(t, "observed-metrics", observer.get(t, "/metrics").body)
	observer.stop()

	reader.write(t, "contractors.yaml", p.text(t, "contractors"))
	reader.command(t, "kubectl apply -f contractors.yaml")
	op := startReady(t, c.inCluster()...)
	op.awaitMetric(t, `registration_policy_snapshot_policies{enforceable="true",mode="Audit"} 1`)
	p.quotes(t, "enforced-metrics", op.get(t, "/metrics").body)
	signUps(op, "ann@partner.example", "kim@contractors.acme.com")
	p.logs(t, "enforced-log", op)
	op.awaitLines(t, 2)
	reader.write(t, "operator.log", op.log.String())
	reader.run(t, p, "reasons")
	reader.run(t, p, "audit-log")

	reader.run(t, p, "enforce-policy")
	op.await(t, "kim@contractors.acme.com", "Denied")
	enforce := p.block(t, "enforce-policy").commands()[0].text
	reader.command(t, strings.Replace(enforce, "Enforce", "Audit", 1)) // as the page says
	op.await(t, "kim@contractors.acme.com", "Allowed")
	reader.command(t, "kubectl -n "+namespace+" delete regpol --all")
	op.await(t, "jo@acme.com", "NoPolicyApplies")
	p.complete(t)
}

// awaitMetric waits for a series to have a value.
func (op *operator) awaitMetric(t *testing.T, line string) {
	t.Helper()
	fixture.Await(t, line, func() bool { return strings.Contains(op.get(t, "/metrics").body, line+"\n") })
}

// awaitLines waits until a number of calls are in the log. A line is written after the answer.
func (op *operator) awaitLines(t *testing.T, calls int) {
	t.Helper()
	fixture.Await(t, "the log has every call", func() bool { return strings.Count(op.log.String(), `"msg":"Decided"`) >= calls })
}
