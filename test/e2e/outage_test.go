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

// outage is longer than a leader may go without renewing its lease (10 s), which must not end the process.
const outage = 15 * time.Second

func TestWithoutTheAPIServerTheAnswersStayAndARestartWaits(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	op := startReady(t, c.inCluster(t)...)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	c.condition(t, "acme") // it leads
	digest := op.digest(t)

	const proven = `registration_policy_watch_proven_timestamp_seconds{watched_namespace="` + namespace + `"}`
	c.line.Cut()
	restarted := start(t, c.inCluster(t)...)
	silent := op.metric(t, proven) // what was on its way when the line was cut has come
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
	// Not loaded is not "no policies": it is asked nothing, and a proxy takes the next replica.
	restarted.wantRefused(t)

	c.line.Restore()
	c.apply(t, "acme", `{allow: {domains: [acme.example]}}`)
	for _, replica := range []*operator{op, restarted} {
		fixture.Await(t, "the rules come back", func() bool { return replica.status(t, replica.probeURL+"/readyz") == http.StatusOK })
		replica.awaitAnswer(t, "jo@acme.example", allowed)
		replica.awaitAnswer(t, "jo@acme.com", notAllowed)
	}
	// It speaks of the watch that has been silent for longest, of policies or of lists. Bookmarks come once a minute, events at
	// once.
	c.create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "list", Labels: map[string]string{"registrationpolicy.dev/list": "true"},
	}})
	fixture.Await(t, proven+" goes on", func() bool { return op.metric(t, proven) != silent })
	if got := c.condition(t, "acme"); got.Reason != "Accepted" {
		t.Errorf("status after the outage: %s", got.Reason)
	}
}

// What a replica does that is cut off is a choice: with --max-staleness it leaves the calls to others, and goes on answering those that
// come all the same.
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
