package hookserver

import (
	"encoding/json"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

func TestARehearsalIsTheAnswerOfTheServer(t *testing.T) {
	policies := []rules.Policy{
		allowing("example.com", "example.org"),
		{
			PolicyName: rules.PolicyName{Namespace: "okta", Name: "trial"}, Mode: rules.Audit,
			Deny: rules.DenyRules{Domains: []string{"example.com"}}, Message: "Ask {id}.",
		},
	}
	for name, observe := range map[string]bool{"enforcing": false, "observing": true} {
		t.Run(name, func(t *testing.T) {
			server := run(t, func(o *Options) { o.Observe = observe })
			server.publish(policies...)
			snapshot, _ := rules.Compile(policies)
			bodies := map[string]string{"nobody's": signUp("jo@nobody.test", "jo"), "not an address": signUp("jo", "jo"), "nonsense": "{}"}
			for _, file := range vectors.OktaRequests() {
				bodies[file.Name] = string(file.Body)
			}
			for name, body := range bodies {
				t.Run(name, func(t *testing.T) {
					want := server.post(body)
					var debug struct{ DebugContext struct{ DecisionID string } }
					if err := json.Unmarshal([]byte(want.body), &debug); err != nil {
						t.Fatal(err)
					}
					request, err := okta.Decode([]byte(body), DefaultAddressAttributes())
					if err != nil {
						t.Fatal(err)
					}
					got, err := DryRun(&request, snapshot, debug.DebugContext.DecisionID, Options{Observe: observe})
					if err != nil {
						t.Fatal(err)
					}
					if string(got.Body) != want.body {
						t.Errorf("rehearsed:\n%s\nanswered:\n%s", got.Body, want.body)
					}
					if reason := want.reason(t); reason != string(got.Decision.Reason) {
						t.Errorf("rehearsed %s, answered %s", got.Decision.Reason, reason)
					}
				})
			}
		})
	}
}

func TestARehearsalRefusesOptionsThatTheServerRefuses(t *testing.T) {
	snapshot, _ := rules.Compile(nil)
	_, err := DryRun(&okta.Request{}, snapshot, "id", Options{AddressAttributes: []string{"e mail"}, Texts: rules.Texts{Invalid: "<b>"}})
	if err == nil || !strings.Contains(err.Error(), "AddressAttributes") || !strings.Contains(err.Error(), "Texts.Invalid") {
		t.Errorf("error %v", err)
	}
}
