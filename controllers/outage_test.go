package controllers

import (
	"fmt"
	"testing"
	"time"
)

const (
	// cutFor is long enough for every lease, deadline and backoff of client-go and controller-runtime to run out.
	cutFor = 60 * time.Second
	// awayFor is longer than controller-runtime waits for a cache by default, after which it ends the process.
	awayFor = 2*time.Minute + 5*time.Second
	// withinABackoff is a deadline for clients that have been refused for long: they wait up to 30 s (and half of that more)
	// before they ask again.
	withinABackoff = 2 * time.Minute
)

func TestAnAPIServerThatIsCutOffEndsNothing(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cut, config := startProxy(t, cluster.Config)
	replicas := []*testReplica{startReplica(t, config, namespace, "first"), startReplica(t, config, namespace, "second")}
	for _, r := range replicas {
		eventuallyAnswers(t, within, r.store, localPart+"@acme.com", "ALLOW Allowed")
	}
	eventually(t, within, func() string { return lacksCondition(t, cluster, namespace, "acme", "True", "Accepted") })
	digest := snapshotOf(t, replicas[0]).Digest()

	cut.Cut()
	// Meanwhile, policies change: to those who cannot see it, nothing does.
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [beta.example]}}`)
	for end := time.Now().Add(cutFor); time.Now().Before(end); time.Sleep(time.Second) {
		for _, r := range replicas {
			r.wantRunning(t)
			if got := snapshotOf(t, r).Digest(); got != digest {
				t.Fatalf("%s: the snapshot changed to %s while the API server was away", r.identity, got)
			}
			wantAnswer(t, r.store, localPart+"@acme.com", "ALLOW Allowed")
		}
	}
	if leaders := leadersAmong(t, replicas); leaders != 0 {
		t.Errorf("%d leaders after %s without an API server, want none: nobody can hold the lease", leaders, cutFor)
	}

	cut.Restore()
	for _, r := range replicas {
		eventuallyAnswers(t, withinABackoff, r.store, localPart+"@beta.example", "ALLOW Allowed")
		wantAnswer(t, r.store, localPart+"@acme.com", "DENY NotAllowed")
	}
	if first, second := snapshotOf(t, replicas[0]).Digest(), snapshotOf(t, replicas[1]).Digest(); first != second {
		t.Errorf("the replicas have %s and %s", first, second)
	}
	eventually(t, withinABackoff, func() string {
		if leaders := leadersAmong(t, replicas); leaders != 1 {
			return fmt.Sprintf("%d leaders, want 1", leaders)
		}
		status, _ := statusOf(t, cluster, namespace, "acme")
		if status.ObservedGeneration != 2 {
			return fmt.Sprintf("observedGeneration is %d, want 2: the new leader writes status", status.ObservedGeneration)
		}
		return ""
	})
	// And changes go on to come through.
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [gamma.example]}}`)
	for _, r := range replicas {
		eventuallyAnswers(t, within, r.store, localPart+"@gamma.example", "ALLOW Allowed")
	}
}

func TestAStartWithoutAnAPIServerWaits(t *testing.T) {
	t.Parallel()
	namespace := cluster.Namespace(t)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	cut, config := startProxy(t, cluster.Config)
	cut.Cut()
	r := startReplica(t, config, namespace, "alone")
	for end := time.Now().Add(awayFor); time.Now().Before(end); time.Sleep(time.Second) {
		r.wantRunning(t)
		if snapshot, err := r.store.Load(); err == nil {
			t.Fatalf("a snapshot of %d policies without an API server", len(snapshot.Policies()))
		}
	}
	cut.Restore()
	eventuallyAnswers(t, withinABackoff, r.store, localPart+"@acme.com", "ALLOW Allowed")
	eventually(t, withinABackoff, func() string { return lacksCondition(t, cluster, namespace, "acme", "True", "Accepted") })
	r.wantRunning(t)
}

func leadersAmong(t *testing.T, replicas []*testReplica) int {
	t.Helper()
	leaders := 0
	for _, r := range replicas {
		leaders += int(metric(t, r.registry, "registration_policy_leader"))
	}
	return leaders
}
