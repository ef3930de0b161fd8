package controllers

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

func TestStatusSaysWhatIsOutsideOfTheScopeOfANamespace(t *testing.T) {
	const rest = " The rest of the policy is in force for calls of "
	for sentence, c := range map[string]struct {
		spec   string
		reason string
		want   []string // in the message
	}{
		"a source within is accepted": {
			`{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}}`, "Accepted", []string{"All of the spec is in force."}},
		"no source is not every source": {
			`{allow: {domains: [acme.com]}}`, "OutsideScope",
			[]string{
				"spec.appliesTo.sources: missing", "decide calls of rul1, rul2 only", "write one or more of these",
				rest + "rul1, rul2.",
			}},
		"one source of two is outside": {
			`{appliesTo: {sources: [rul3, rul1]}, deny: {domains: [acme.com]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[0]: ", "rul1, rul2 only (--namespace-sources)", "or remove it", rest + "rul1."}},
		"every source is outside": {
			`{appliesTo: {sources: [rul3]}, deny: {domains: [acme.com]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[0]: ", "takes part in no call"}},
		"an entry is wrong too": {
			`{appliesTo: {sources: [rul1, rul3]}, allow: {domains: [acme.com, co.uk]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[1]: ", "; spec.allow.domains[1]: ", "publicSuffixes", rest + "rul1."}},
		"an entry is wrong, and no source": {
			`{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com, co.uk]}}`, "InvalidEntry",
			[]string{"Not in force: spec.allow.domains[1]: ", "The rest of the policy is in force."}},
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			f := newStatusFixture(t, cluster, false)
			f.reconciler.scopes = policyobject.Scopes{namespace: {"rul1", "rul2"}}
			cluster.Apply(t, namespace, "policy", c.spec)
			f.reconcile(t, namespace, "policy")
			_, got := statusOf(t, cluster, namespace, "policy")
			if got.reason != c.reason || (got.status == "True") != (c.reason == "Accepted") {
				t.Errorf("condition %+v, want the reason %s", got, c.reason)
			}
			for _, want := range c.want {
				if !strings.Contains(got.message, want) {
					t.Errorf("the message %q does not say %q", got.message, want)
				}
			}
		})
	}
}

func TestABrokenPolicyOfABoundedNamespaceDeniesItsScopeOnly(t *testing.T) {
	c := relaxedCluster(t)
	namespace := c.Namespace(t)
	scopes := policyobject.Scopes{namespace: {"rul1", "rul2"}}
	f := newBoundFixture(t, c.Config, namespace, scopes)
	status := newStatusFixture(t, c, false)
	status.reconciler.scopes = scopes
	open := rules.Policy{PolicyName: rules.PolicyName{Namespace: "other", Name: "open"}, Allow: rules.AllowRules{Domains: []string{"*"}}}

	for spec, effect := range map[string]struct{ rul1, rul3, says string }{
		`{allow: {domains: [acme.com]}, newer: 1}`:                                  {notEnforceable, allowed, effectSome},
		`{appliesTo: {sources: rul3}, allow: {domains: [acme.com]}}`:                {notEnforceable, allowed, effectSome},
		`{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}, newer: 1}`:     {allowed, allowed, effectSome},
		`{appliesTo: {sources: [rul3]}, deny: {domains: [acme.com]}, newer: 1}`:     {allowed, allowed, "takes part in no call"},
		`{mode: Audit, appliesTo: {apps: [a]}, deny: {domains: [acme.com]}}`:        {allowed, allowed, effectNone},
		`{appliesTo: {sources: [rul3, rul1]}, deny: {domains: ["*"]}, message: 17}`: {notEnforceable, allowed, effectSome},
	} {
		c.Apply(t, namespace, "broken", spec)
		f.publisher.Publish("other", publish.Build{Policies: []*publish.Policy{f.publisher.Compile(open)}})
		f.reconcile(t)
		for source, want := range map[string]string{"rul1": effect.rul1, "rul3": effect.rul3} {
			if got := answerTo(f.store, signUp("jo@acme.com", source)); got != want {
				t.Errorf("%s: a call of %s: %s, want %s", spec, source, got, want)
			}
		}
		status.reconcile(t, namespace, "broken")
		_, got := statusOf(t, c, namespace, "broken")
		if got.reason != "NotUnderstood" || !strings.Contains(got.message, effect.says) {
			t.Errorf("%s: condition %+v, want NotUnderstood and %q", spec, got, effect.says)
		}
	}
}

func TestTheDeletionOfAPolicyThatTookPartInNothingOpensNothing(t *testing.T) {
	f := newStatusFixture(t, cluster, false)
	f.reconciler.scopes = policyobject.Scopes{"team-a": {"rul1"}}
	f.reconciler.recordDeletion(policyObject(t, "team-a", "outside", `{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}}`))
	if announced := f.announced(); len(announced) != 0 {
		t.Errorf("Events %q, want none", announced)
	}
	f.reconciler.recordDeletion(policyObject(t, "team-a", "inside", `{deny: {domains: [acme.com]}}`))
	if announced := f.announced(); len(announced) != 1 || !strings.Contains(announced[0], eventDenyRemoved) {
		t.Errorf("Events %q, want one with reason %s", announced, eventDenyRemoved)
	}
}

func TestScopesBoundTheRulesOfACluster(t *testing.T) {
	namespace := cluster.Namespace(t)
	f := newRulesFixture(t, cluster.Config, namespace)
	cluster.Apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	f.reconcile(t)
	unbounded := f.digest(t)

	f = newBoundFixture(t, cluster.Config, namespace, policyobject.Scopes{namespace: {"rul1"}})
	f.reconcile(t)
	bounded := f.digest(t)
	if bounded == unbounded {
		t.Error("the digest does not tell bounded rules from others")
	}
	for source, want := range map[string]string{"rul1": allowed, "rul2": "DENY NoPolicyApplies"} {
		if got := answerTo(f.store, signUp("jo@acme.com", source)); got != want {
			t.Errorf("a call of %s: %s, want %s", source, got, want)
		}
	}
	if got := metric(t, f.registry, "registration_policy_rejected_parts"); got != 1 {
		t.Errorf("%v rejected parts, want the missing sources", got)
	}
	f.reconcile(t)
	if again := f.digest(t); again != bounded {
		t.Error("the same objects and scopes gave another digest")
	}
}
