package controllers

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
)

// One policy, applied to an API server and read from a file, is one policy.
func TestAFileAndAnAPIServerMakeTheSameRules(t *testing.T) {
	specs := map[string]string{
		"every part": `{mode: Enforce, appliesTo: {requestTypes: [SelfServiceRegistration], sources: [rul1]},
			allow: {domains: [acme.com], publicSuffixes: ["*.ac.uk"], addresses: ["{local}@beta.example"]},
			deny: {domains: [gamma.acme.com], addresses: ["{local}@acme.com"]},
			profile: [{attribute: userType, value: Partner}], message: No.}`,
		"defaults":    `{allow: {domains: [acme.com]}}`,
		"Audit":       `{mode: Audit, deny: {domains: ["*"]}}`,
		"spellings":   `{allow: {domains: [ACME.com, "müller.example", "*.xn--mller-kva.example"]}}`,
		"bad entries": `{allow: {domains: [co.uk, acme.com]}}`,
		"numbers": `{allow: {domains: [acme.com]},
			profile: [{attribute: a, value: 1}, {attribute: b, value: 1.0},
				{attribute: c, value: 1.50}, {attribute: d, value: 1e3}]}`,
		"large number": `{allow: {domains: [acme.com]},
			profile: [{attribute: a, value: 12345678901234567890}, {attribute: b, value: -9007199254740993}]}`,
		"yes and no": `{allow: {domains: [acme.com]},
			profile: [{attribute: a, value: yes}, {attribute: b, value: "yes"}, {attribute: c, value: off}]}`,
		"texts": `{allow: {domains: [acme.com]},
			profile: [{attribute: a, value: "Ä\"\\& <"}, {attribute: b, value: []}], message: "Grüße & Co, {id}"}`,
	}
	for sentence, spec := range specs {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.Namespace(t)
			cluster.Apply(t, namespace, "policy", spec)
			fromServer := newRulesFixture(t, cluster.Config, namespace)
			fromServer.reconcile(t)

			reader, err := policyfile.NewOffline()
			if err != nil {
				t.Fatal(err)
			}
			read, err := reader.ReadFiles(t.Context(), []string{"-"}, strings.NewReader(strings.ReplaceAll(fmt.Sprintf(
				"apiVersion: registrationpolicy.dev/v1alpha1\nkind: RegistrationPolicy\n"+
					"metadata: {name: policy, namespace: %s}\nspec: %s\n",
				namespace, spec), "{local}", localPart)))
			if err != nil {
				t.Fatal(err)
			}
			fromFile, _ := rules.Compile([]rules.Policy{read[0].Policy})
			if got, want := fromFile.Digest(), fromServer.digest(t); got != want {
				server := cluster.Stored(t, namespace, "policy").Object["spec"]
				text, _ := json.Marshal(server)
				t.Errorf("from a file %s, from an API server %s, which has %s", got, want, text)
			}
		})
	}
}
