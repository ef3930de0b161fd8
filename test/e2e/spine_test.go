package e2e

import (
	"strings"
	"syscall"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

var (
	allowed = answer{Outcome: oktasim.Registered, Reason: string(rules.ReasonAllowed)}

	noPolicy   = answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonNoPolicyApplies), Text: rules.DefaultTexts().Unavailable}
	notAllowed = answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonNotAllowed), Text: rules.DefaultTexts().NotAllowed}
)

// awaitReason waits for an answer with the outcome and the reason of want.
func (op *operator) awaitReason(t *testing.T, address string, want answer) {
	t.Helper()
	var got answer
	fixture.Await(t, address+" answered "+want.Reason, func() bool {
		got = op.register(t, address)
		return got.Outcome == want.Outcome && got.Reason == want.Reason
	})
}

// A policy that is applied to the API server decides the answer to Okta.
func TestApplyingAPolicyChangesWhatOktaIsTold(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	op := startReady(t, c.inCluster(t)...)

	op.awaitReason(t, "jo@acme.com", noPolicy)

	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	op.awaitAnswer(t, "jo@other.example", notAllowed)
	if got := c.condition(t, "acme"); got.Status != metav1.ConditionTrue || got.Reason != "Accepted" {
		t.Errorf("status of an accepted policy: %s/%s", got.Status, got.Reason)
	}

	const text = "Please ask your manager for an account."
	c.apply(t, "acme", `{allow: {domains: [acme.com]}, deny: {addresses: [jo@acme.com]}, message: `+text+`}`)
	op.awaitAnswer(t, "jo@acme.com", answer{oktasim.Denied, text, string(rules.ReasonDenied)})
	op.awaitAnswer(t, "mia@acme.com", allowed)

	c.apply(t, "acme", `{allow: {domains: [acme.com, "*.co.uk"]}}`)
	op.awaitAnswer(t, "jo@acme.com", allowed)
	op.awaitAnswer(t, "jo@other.co.uk", notAllowed)
	rejected := c.condition(t, "acme")
	if rejected.Status != metav1.ConditionFalse || rejected.Reason != "InvalidEntry" ||
		!strings.Contains(rejected.Message, "spec.allow.domains[1]") || !strings.Contains(rejected.Message, "publicSuffixes") {
		t.Errorf("status of a rejected entry must name it and its fix: %s/%s %s", rejected.Status, rejected.Reason, rejected.Message)
	}

	c.apply(t, "everybody", `{allow: {domains: ["*"]}, deny: {domains: [other.example]}}`)
	op.awaitAnswer(t, "jo@anything.example", allowed)
	digest := op.digest(t)
	if err := op.stop(t, syscall.SIGTERM); err != nil {
		t.Errorf("stopped by SIGTERM: %v", err)
	}
	again := startReady(t, c.inCluster(t)...)
	again.awaitAnswer(t, "jo@acme.com", allowed)
	again.awaitReason(t, "jo@other.example", answer{Outcome: oktasim.Denied, Reason: string(rules.ReasonDenied)})
	if got := again.digest(t); got != digest {
		t.Errorf("digest after a restart: %s, before: %s", got, digest)
	}

	// The status of this policy shows that the new leader watches policies. Otherwise it might not see the deletion
	// below.
	c.apply(t, "everybody", `{allow: {domains: ["*"]}, deny: {domains: [other.example, third.example]}}`)
	c.condition(t, "everybody")
	c.delete(t, "everybody")
	again.awaitAnswer(t, "jo@anything.example", notAllowed)
	c.awaitEvent(t, "DenyRemoved")
	c.delete(t, "acme")
	again.awaitReason(t, "jo@acme.com", noPolicy)
}

func (op *operator) digest(t *testing.T) string {
	t.Helper()
	_, body, err := op.get(op.metricsURL + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(body, `"digest": "`)
	if !found {
		t.Fatalf("readyz without a digest: %s", body)
	}
	digest, _, _ := strings.Cut(after, `"`)
	return digest
}

func TestTwoReplicasDecideAlikeAndOneLeads(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	replicas := []*operator{startReady(t, c.inCluster(t)...), startReady(t, c.inCluster(t)...)}
	c.apply(t, "acme", `{allow: {domains: [acme.com]}, message: Please use your address at acme.com.}`)
	for _, op := range replicas {
		op.awaitAnswer(t, "jo@acme.com", allowed)
		op.awaitAnswer(t, "jo@other.example", answer{oktasim.Denied, "Please use your address at acme.com.", string(rules.ReasonNotAllowed)})
	}
	if a, b := replicas[0].digest(t), replicas[1].digest(t); a != b {
		t.Errorf("two replicas decide by %s and %s", a, b)
	}
	if got := c.condition(t, "acme"); got.Reason != "Accepted" {
		t.Errorf("status: %s", got.Reason)
	}
	leads := func(op *operator) bool { return op.metric(t, "registration_policy_leader") == "1" }
	leader, follower := replicas[0], replicas[1]
	if leads(follower) {
		leader, follower = follower, leader
	}
	if !leads(leader) || leads(follower) {
		t.Fatalf("leaders: %t and %t, want one", leads(leader), leads(follower))
	}
	if err := leader.stop(t, syscall.SIGKILL); err == nil {
		t.Error("a killed process ended without an error")
	}
	follower.awaitAnswer(t, "jo@acme.com", allowed)
	fixture.Await(t, "the other replica leads", func() bool { return leads(follower) })
	c.apply(t, "acme", `{allow: {domains: [acme.com, acme.example]}}`)
	follower.awaitAnswer(t, "jo@acme.example", allowed)
	if got := c.condition(t, "acme"); got.Reason != "Accepted" {
		t.Errorf("status by the new leader: %s", got.Reason)
	}
}

func TestAnObserverAllowsEverybodyAndSaysWhatItWouldHaveDecided(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	op := startReady(t, append(c.inCluster(t), "--observe")...)
	c.apply(t, "acme", `{allow: {domains: [acme.com]}, profile: [{attribute: userType, value: Employee}]}`)
	op.awaitReason(t, "jo@other.example", answer{Outcome: oktasim.Registered, Reason: string(rules.ReasonNotAllowed)})
	result, err := op.okta(t, nil).Register(t.Context(), oktasim.Registration{Email: "jo@acme.com"})
	if err != nil || result.Outcome != oktasim.Registered || len(result.ProfileUpdates) > 0 {
		t.Errorf("an observer allows without updates: %v %v %v", result.Outcome, result.ProfileUpdates, err)
	}
	if got := c.condition(t, "acme"); !strings.Contains(got.Message, "--observe") {
		t.Errorf("status does not say that the operator observes: %s", got.Message)
	}
	if got := op.metric(t, "registration_policy_observing"); got != "1" {
		t.Errorf("registration_policy_observing: %q", got)
	}
}
