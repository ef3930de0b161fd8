package controllers

import (
	"fmt"
	"testing"
	"time"
)

// If it closed when the API server is back, until it has joined the others, a fleet that started without one would close as
// a whole.
func TestAReplicaThatServesWithoutTheOthersGoesOnWhenItJoinsThem(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cut, config := startProxy(t, cluster.Config)
	cut.Cut()
	r := startReplica(t, config, namespace, "first")
	if r.report.Serving(false, false) {
		t.Error("it serves without rules")
	}
	const loaded, stored = true, true
	eventually(t, within, func() string {
		if !r.report.Serving(loaded, stored) {
			return "it does not serve with stored rules, although nobody answers"
		}
		return ""
	})
	cut.Restore()
	eventually(t, withinABackoff, func() string {
		if !r.report.Serving(loaded, !stored) {
			t.Fatal("it closed when the API server was back")
		}
		got, _ := readyOf(t, cluster, namespace, "acme")
		if got != "True InForce 1/1" {
			return got
		}
		return ""
	})
}

// A frozen process answers, when it thaws, what reached it before. It must see at once that its time is over.
func TestAReplicaWithoutAReportForTooLongIsFenced(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cut, config := startProxy(t, cluster.Config)
	r := startReplicaAs(t, config, namespace, "first", setup{fence: 12 * time.Second})
	if !r.report.Fenced() {
		t.Error("not fenced before the first report")
	}
	fenced := func(want bool) func() string {
		return func() string {
			if got := r.report.Fenced(); got != want {
				return fmt.Sprintf("fenced: %v, want %v", got, want)
			}
			return ""
		}
	}
	eventually(t, within, fenced(false))
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")
	cut.Cut()
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	eventually(t, within, func() string {
		if r.report.Fenced() && !r.report.FencedSoon() {
			t.Fatal("fenced before it is said that it will be")
		}
		return fenced(true)()
	})
	cut.Restore()
	eventually(t, withinABackoff, fenced(false))
	// It writes a report before it receives the changes that it missed, so the report alone must not confirm it.
	wantAnswer(t, r.store, localPart+"@acme.com", "DENY NotAllowed")
}
