package rules_test

import (
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

func TestTexts(t *testing.T) {
	texts := rules.Texts{NotAllowed: "not allowed", Invalid: "invalid {id}", Unavailable: "unavailable {id}, {id}", Blank: "blank {id}"}
	for sentence, test := range map[string]struct {
		decision rules.Decision
		want     string
	}{
		"a policy's message":       {rules.Decision{Reason: rules.ReasonDenied, Message: "no: {id}"}, "no: d1"},
		"denied without a message": {rules.Decision{Reason: rules.ReasonDenied}, "not allowed"},
		"not allowed":              {rules.Decision{Reason: rules.ReasonNotAllowed}, "not allowed"},
		"an invalid address":       {rules.Decision{Reason: rules.ReasonInvalidAddress}, "invalid d1"},
		"an address with a blank": {
			rules.Decision{Reason: rules.ReasonInvalidAddress, Invalid: rules.Blank}, "blank d1"},
		"an address with another fault": {
			rules.Decision{Reason: rules.ReasonInvalidAddress, Invalid: rules.BadLocalPart}, "invalid d1"},
		"a missing address":                 {rules.Decision{Reason: rules.ReasonMissingAddress}, "invalid d1"},
		"no policy applies":                 {rules.Decision{Reason: rules.ReasonNoPolicyApplies}, "unavailable d1, d1"},
		"a call that was not recognised":    {rules.Decision{Reason: rules.ReasonUnrecognisedCall}, "unavailable d1, d1"},
		"a policy that cannot be enforced":  {rules.Decision{Reason: rules.ReasonPolicyNotEnforceable}, "unavailable d1, d1"},
		"an allow":                          {rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed}, ""},
		"an allow of no change":             {rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonNoAddressChanged}, ""},
		"a placeholder is replaced exactly": {rules.Decision{Reason: rules.ReasonDenied, Message: "{ID} { id} {{id}}"}, "{ID} { id} {d1}"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if got := texts.For(&test.decision, "d1"); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func TestEveryReasonThatDeniesHasACodeAndADefaultText(t *testing.T) {
	reasons := rules.Reasons()
	if len(reasons) != 9 || len(slices.Compact(slices.Sorted(slices.Values(reasons)))) != 9 {
		t.Fatalf("reasons %v", reasons)
	}
	for _, reason := range reasons {
		d := rules.Decision{Reason: reason}
		allows := reason == rules.ReasonAllowed || reason == rules.ReasonNoAddressChanged
		if (reason.Code() == "") != allows {
			t.Errorf("%s: code %q", reason, reason.Code())
		}
		if (rules.DefaultTexts().For(&d, "d1") == "") != allows {
			t.Errorf("%s: text %q", reason, rules.DefaultTexts().For(&d, "d1"))
		}
	}
}

// Whom a policy turns away may ask why: support finds the decision by its id.
func TestTheDefaultTextsOfPoliciesCarryTheReference(t *testing.T) {
	for _, reason := range []rules.Reason{rules.ReasonDenied, rules.ReasonNotAllowed, rules.ReasonNoPolicyApplies} {
		if text := rules.DefaultTexts().For(&rules.Decision{Reason: reason}, "d1"); !strings.Contains(text, "reference d1") {
			t.Errorf("%s: %q", reason, text)
		}
	}
}

func TestCodesTellAStrangerNothingAboutTheRules(t *testing.T) {
	for reason, want := range map[rules.Reason]rules.Code{
		rules.ReasonDenied: "EMAIL_NOT_ALLOWED", rules.ReasonNotAllowed: "EMAIL_NOT_ALLOWED",
		rules.ReasonInvalidAddress: "EMAIL_INVALID", rules.ReasonMissingAddress: "EMAIL_INVALID",
		rules.ReasonNoPolicyApplies: "REGISTRATION_UNAVAILABLE", rules.ReasonPolicyNotEnforceable: "REGISTRATION_UNAVAILABLE",
		rules.ReasonUnrecognisedCall: "REGISTRATION_UNAVAILABLE", "unknown": "REGISTRATION_UNAVAILABLE",
	} {
		if got := reason.Code(); got != want {
			t.Errorf("%s: %s, want %s", reason, got, want)
		}
	}
}

func TestWords(t *testing.T) {
	for got, want := range map[string]string{
		rules.Allow.String():                                             "ALLOW",
		rules.Deny.String():                                              "DENY",
		rules.Outcome(9).String():                                        "DENY",
		rules.SignUp.String():                                            "SelfServiceRegistration",
		rules.ProfileUpdate.String():                                     "ProgressiveProfile",
		rules.Both.String():                                              "Both",
		rules.UnrecognisedShape.String():                                 "Unrecognised",
		rules.PolicyName{}.String():                                      "",
		named("a").String():                                              "ns/a",
		rules.Entry{}.String() + " none":                                 " none",
		rules.Entry{Field: 99}.Field.String() + ".":                      ".",
		rules.Entry{Field: rules.DenyAddresses, Index: 3}.String():       "spec.deny.addresses[3]",
		rules.Entry{Field: rules.AllowAddresses}.String():                "spec.allow.addresses[0]",
		rules.Entry{Field: rules.DenyDomains, Index: 10}.String():        "spec.deny.domains[10]",
		rules.Entry{Field: rules.AllowDomains, Index: 1}.String():        "spec.allow.domains[1]",
		rules.Entry{Field: rules.AllowPublicSuffixes, Index: 2}.String(): "spec.allow.publicSuffixes[2]",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
