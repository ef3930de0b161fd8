package e2e

import (
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

// reasonFrom makes a registration from a source, an enrolment policy or rule, and returns the reason of the decision.
func (op *operator) reasonFrom(t *testing.T, source, address string) rules.Reason {
	t.Helper()
	result, err := op.okta(t, nil).Register(t.Context(), oktasim.Registration{Email: address, Source: source})
	if err != nil {
		t.Fatal(err)
	}
	return rules.Reason(answerOf(t, result).Reason)
}

func (op *operator) awaitReasonFrom(t *testing.T, source, address string, want rules.Reason) {
	t.Helper()
	fixture.Await(t, address+" from "+source+" answered "+string(want), func() bool {
		return op.reasonFrom(t, source, address) == want
	})
}

func TestABoundedNamespaceDecidesCallsOfItsSourcesOnly(t *testing.T) {
	t.Parallel()
	c := startCluster(t)
	op := startReady(t, append(c.inCluster(t), "--namespace-sources", namespace+"=rul1,rul2")...)

	c.apply(t, "acme", `{allow: {domains: [acme.com]}}`)
	op.awaitReasonFrom(t, "rul1", "jo@acme.com", rules.ReasonAllowed)
	op.awaitReasonFrom(t, "rul2", "jo@acme.com", rules.ReasonAllowed)
	op.awaitReasonFrom(t, "rul3", "jo@acme.com", rules.ReasonNoPolicyApplies)
	outside := c.condition(t, "acme")
	for _, want := range []string{"spec.appliesTo.sources: missing", "rul1, rul2 only", "write one or more of these"} {
		if outside.Status != metav1.ConditionFalse || outside.Reason != "OutsideScope" || !strings.Contains(outside.Message, want) {
			t.Errorf("status: %s/%s %s; it does not say %q", outside.Status, outside.Reason, outside.Message, want)
		}
	}

	c.apply(t, "acme", `{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com]}}`)
	op.awaitReasonFrom(t, "rul2", "jo@acme.com", rules.ReasonNoPolicyApplies)
	op.awaitReasonFrom(t, "rul1", "jo@acme.com", rules.ReasonAllowed)
	if accepted := c.condition(t, "acme"); accepted.Status != metav1.ConditionTrue {
		t.Errorf("status of a policy within scope: %s/%s %s", accepted.Status, accepted.Reason, accepted.Message)
	}

	var line struct {
		Namespace string
		Sources   []string
	}
	const message = "Namespace is bounded: its policies decide calls of these sources only"
	if !op.find(message, &line) || line.Namespace != namespace || strings.Join(line.Sources, " ") != "rul1 rul2" {
		t.Errorf("the log says %+v of the bound", line)
	}
}

func TestABoundHoldsForFilesToo(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "acme.yaml"), acmePolicy) // its namespace is default
	t.Setenv("REGISTRATION_POLICY_NAMESPACE_SOURCES", "default=rul1;other=rul3")
	op := startReady(t, withDirectory(t, dir)...)
	op.awaitReasonFrom(t, "rul1", "jo@acme.com", rules.ReasonAllowed)
	op.awaitReasonFrom(t, "rul3", "jo@acme.com", rules.ReasonNoPolicyApplies)
	var line struct{ Path, At string }
	if !op.find("Part of a policy is not in force", &line) || line.Path != "spec.appliesTo.sources" {
		t.Errorf("the log says %+v of what is outside", line)
	}
}
