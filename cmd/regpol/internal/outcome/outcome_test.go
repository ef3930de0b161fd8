package outcome

import (
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

func TestALocalPartOfAnEntryIsHiddenUnlessAsked(t *testing.T) {
	witness := analysis.Witness{Address: "eve@beta.example", Personal: true}
	if got := ExampleOf(witness, false); got != "(someone)@beta.example" {
		t.Error(got)
	}
	if got := ExampleOf(witness, true); got != "eve@beta.example" {
		t.Errorf("asked: %s", got)
	}
	if got := ExampleOf(analysis.Witness{Address: "user@beta.example"}, false); got != "user@beta.example" {
		t.Errorf("an invented address: %s", got)
	}
	set := &policysource.Set{Policies: []policyfile.ReadPolicy{{Policy: rules.Policy{Deny: rules.DenyRules{Addresses: []string{"eve@beta.example"}}}}}}
	result := &analysis.Result{Entry: rules.Entry{Field: rules.DenyAddresses}}
	if got := ResultOf(set, result, false); got.Text != "" || got.Entry != "spec.deny.addresses[0]" {
		t.Errorf("%+v", got)
	}
	if got := ResultOf(set, result, true); got.Text != "eve@beta.example" {
		t.Errorf("asked: %+v", got)
	}
}

func TestCallsWithTheSameSourcesAreNamedTogether(t *testing.T) {
	signUps := Calls{RequestType: rules.SelfServiceRegistration, Sources: []string{"rul1"}, OtherSources: true}
	changes := signUps
	changes.RequestType = rules.ProgressiveProfile
	const from = " from rul1, any source that no policy names"
	if got := DescribeCalls([]Calls{signUps, changes}); got != "sign-ups and changes of a profile"+from {
		t.Error(got)
	}
	changes.Sources, changes.OtherSources, changes.AnySource = nil, false, true
	if got := DescribeCalls([]Calls{signUps, changes}); got != "sign-ups"+from+"; changes of a profile from any source" {
		t.Error(got)
	}
}
