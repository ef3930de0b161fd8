package controllers

import (
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// A policy is overruled if another one denies all of its calls: it is in force, and must not look healthy.
func TestAPolicyThatAnotherOneOverrulesSaysByWhich(t *testing.T) {
	const acme = `{allow: {domains: [acme.com]}}`
	for sentence, c := range map[string]struct {
		policy, other string
		reason        string // "": not overruled
		why           string
	}{
		"by one that is not understood": {acme, `{allow: {domains: [beta.example]}, newer: true}`, "PolicyNotEnforceable", "it is not understood"},
		"by one that lacks a list": {
			acme, `{deny: {lists: [{configMap: {name: missing}}]}}`, "PolicyNotEnforceable", "a list by which it denies is missing",
		},
		"by one that denies everything": {acme, `{deny: {domains: ["*"]}}`, "PolicyDeniesAll", `it denies "*"`},
		"by one for the same calls": {
			`{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com]}}`, `{appliesTo: {sources: [rul1, rul2]}, deny: {domains: ["*"]}}`,
			"PolicyDeniesAll", `it denies "*"`,
		},
		"not by one for other calls": {
			`{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com]}}`, `{appliesTo: {sources: [rul2]}, deny: {domains: ["*"]}}`, "", "",
		},
		"not by one for some of its calls": {acme, `{appliesTo: {sources: [rul2]}, deny: {domains: ["*"]}}`, "", ""},
		"not by one that only audits":      {acme, `{mode: Audit, deny: {domains: ["*"]}}`, "", ""},
		"not where it decides nothing":     {`{mode: Audit, allow: {domains: [acme.com]}}`, `{deny: {domains: ["*"]}}`, "", ""},
		"not where it allows nothing":      {`{deny: {domains: [acme.com]}}`, `{deny: {domains: ["*"]}}`, "", ""},
		"not by an optional list":          {acme, `{deny: {lists: [{configMap: {name: missing}, optional: true}]}}`, "", ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			c, cluster := c, relaxedCluster(t)
			namespace := cluster.Namespace(t)
			f := newStatusFixture(t, cluster, false)
			cluster.Apply(t, namespace, "other", c.other)
			cluster.Apply(t, namespace, "policy", c.policy)
			f.reconcile(t, namespace, "policy")
			status, _ := statusOf(t, cluster, namespace, "policy")
			overruled := meta.FindStatusCondition(status.Conditions, string(v1alpha1.ConditionOverruled))
			switch {
			case c.reason == "" && overruled != nil:
				t.Errorf("it is %+v", overruled)
			case c.reason == "":
				return
			case overruled == nil:
				t.Fatal("it does not say so")
			}
			if want := "Policy " + namespace + "/other denies all calls that this policy applies to: " + c.why; overruled.Reason != c.reason ||
				overruled.Status != "True" || !strings.HasPrefix(overruled.Message, want) {
				t.Errorf("it is %+v, want %s: %s", overruled, c.reason, want)
			}

			cluster.Remove(t, namespace, "other")
			if _, err := f.reconciler.Reconcile(t.Context(), computeWarningsRequest); err != nil {
				t.Fatal(err)
			}
			f.reconcile(t, namespace, "policy")
			status, _ = statusOf(t, cluster, namespace, "policy")
			if overruled := meta.FindStatusCondition(status.Conditions, string(v1alpha1.ConditionOverruled)); overruled != nil {
				t.Errorf("after the other is gone: %+v", overruled)
			}
		})
	}
}
