package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/test/fixture"
)

// outage is longer than the time in which a leader must renew its Lease (10 s). A leader that cannot renew it must not
// end.
const outage = 15 * time.Second

func TestWithoutTheAPIServerTheAnswersStayAndARestartWaits(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	op := startReady(t, c.inCluster(t)...)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	c.condition(t, "acme") // written by this replica, which therefore leads
	digest := op.digest(t)

	const proven = `registration_policy_watch_proven_timestamp_seconds{watched_namespace="` + namespace + `"}`
	c.line.Cut()
	restarted := start(t, c.inCluster(t)...)
	silent := op.metric(t, proven) // data that was in transit when the line was cut has arrived
	for end := time.Now().Add(outage); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if got := op.register(t, "jo@acme.com"); got != allowed {
			t.Fatalf("answer without the API server: %+v", got)
		}
		if got := op.register(t, "jo@other.example"); got != notAllowed {
			t.Fatalf("answer without the API server: %+v", got)
		}
		if restarted.ended() {
			t.Fatalf("a replica that starts without the API server ended: %v", restarted.err)
		}
		restarted.wantRefused(t)
		if status := restarted.status(t, restarted.probeURL+"/readyz"); status != http.StatusServiceUnavailable {
			t.Fatalf("a replica without rules is ready: %d", status)
		}
	}
	if got := op.metric(t, proven); got != silent || silent == "0" {
		t.Errorf("%s went on from %s to %s without the API server", proven, silent, got)
	}
	if got := restarted.metric(t, proven); got != "0" {
		t.Errorf("%s of a replica that has seen no API server: %s", proven, got)
	}
	if op.digest(t) != digest || op.status(t, op.probeURL+"/readyz") != http.StatusOK {
		t.Error("the replica did not go on as before")
	}
	if status := restarted.status(t, restarted.probeURL+"/healthz"); status != http.StatusOK {
		t.Errorf("a waiting replica is not to be restarted: healthz says %d", status)
	}
	// A replica that has not read the policies must not answer as if there were none. It refuses connections, so that a
	// proxy takes another replica.
	restarted.wantRefused(t)

	c.line.Restore()
	c.apply(t, "acme", `{allow: {domains: [acme.example]}}`)
	for _, replica := range []*operator{op, restarted} {
		fixture.Await(t, "the rules come back", func() bool { return replica.status(t, replica.probeURL+"/readyz") == http.StatusOK })
		replica.awaitAnswer(t, "jo@acme.example", allowed)
		replica.awaitAnswer(t, "jo@acme.com", notAllowed)
	}
	// The metric is about the watch, of policies or of lists, that has been silent for longest. A change makes both
	// current at once. Otherwise they wait for a bookmark, which comes once a minute.
	c.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "list", Labels: map[string]string{"registrationpolicy.dev/list": "true"},
	}})
	fixture.Await(t, proven+" goes on", func() bool { return op.metric(t, proven) != silent })
	if got := c.condition(t, "acme"); got.Reason != "Accepted" {
		t.Errorf("status after the outage: %s", got.Reason)
	}
}

// With --max-staleness, a replica that is cut off from the API server becomes unready, so that proxies send calls to
// others. It still answers the calls that it gets.
func TestAReplicaThatHasHeardNothingForTooLongIsUnreadyAndAnswers(t *testing.T) {
	t.Parallel()
	const most = 2 * time.Minute
	c := startCluster(t)
	op := startReady(t, append(c.inCluster(t), "--max-staleness", most.String())...)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	c.line.Cut()
	cut := time.Now()
	for op.status(t, op.probeURL+"/readyz") == http.StatusOK {
		if got := op.register(t, "jo@acme.com"); got != allowed {
			t.Fatalf("answer without the API server: %+v", got)
		}
		if time.Since(cut) > 2*most {
			t.Fatal("ready although nothing was heard of the API server for so long")
		}
		time.Sleep(time.Second)
	}
	if _, details, err := op.get(op.metricsURL + "/readyz"); err != nil || !strings.Contains(details, `"stale": true`) {
		t.Errorf("the details do not say why: %v %s", err, details)
	}
	if got := op.register(t, "jo@acme.com"); got != allowed {
		t.Errorf("unready, it answers %+v", got)
	}
	c.line.Restore()
	fixture.Await(t, "it is ready again", func() bool { return op.status(t, op.probeURL+"/readyz") == http.StatusOK })
}
