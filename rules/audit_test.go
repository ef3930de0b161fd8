package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/rules"
)

// What each Audit policy would have changed, had it alone been in Enforce.
func TestAudit(t *testing.T) {
	lost := func(p *rules.Policy) { p.NotUnderstood = "x" }
	wouldDeny := rules.AuditOutcome{Policy: named("z"), Outcome: rules.Deny, Reason: rules.ReasonDenied}
	wouldAllow := rules.AuditOutcome{Policy: named("z"), Outcome: rules.Allow, Reason: rules.ReasonAllowed}
	signUps := func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.SelfServiceRegistration} }
	both := rules.Call{Shape: rules.Both, Source: "rul1", Profile: signUp("jo@acme.com").Profile}
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		want     []rules.AuditOutcome
	}{
		"a deny that would have turned an allow":            {[]rules.Policy{allow("a", "*"), auditing(deny("z", "acme.com"))}, signUp("jo@acme.com"), []rules.AuditOutcome{wouldDeny}},
		"an allow that would have turned NotAllowed":        {[]rules.Policy{allow("a", "x.test"), auditing(allow("z", "acme.com"))}, signUp("jo@acme.com"), []rules.AuditOutcome{wouldAllow}},
		"an allow that would have been the first to apply":  {[]rules.Policy{auditing(allow("z", "acme.com"))}, signUp("jo@acme.com"), []rules.AuditOutcome{wouldAllow}},
		"one without a verdict changes no outcome":          {[]rules.Policy{auditing(allow("z", "x.test"))}, signUp("jo@acme.com"), nil},
		"an allow of an allow":                              {[]rules.Policy{allow("a", "*"), auditing(allow("z", "*"))}, signUp("jo@acme.com"), nil},
		"an allow of what another denies":                   {[]rules.Policy{deny("a", "*"), auditing(allow("z", "*"))}, signUp("jo@acme.com"), nil},
		"a deny of a denied one":                            {[]rules.Policy{deny("a", "*"), auditing(deny("z", "*"))}, signUp("jo@acme.com"), nil},
		"a deny where nothing applies":                      {[]rules.Policy{auditing(deny("z", "*"))}, signUp("jo@acme.com"), nil},
		"an allow of one address of two":                    {[]rules.Policy{allow("a", "x.test"), auditing(allow("z", "acme.com"))}, signUpLogin("jo@acme.com", "jo@y.test"), nil},
		"an allow of one and a deny of the other":           {[]rules.Policy{allow("a", "*"), auditing(with(allow("z", "acme.com"), func(p *rules.Policy) { p.Deny.Domains = []string{"y.test"} }))}, signUpLogin("jo@acme.com", "jo@y.test"), []rules.AuditOutcome{wouldDeny}},
		"an allow beside one that cannot be enforced":       {[]rules.Policy{with(allow("a", "*"), lost), auditing(allow("z", "*"))}, signUp("jo@acme.com"), nil},
		"one that does not apply":                           {[]rules.Policy{allow("a", "*"), auditing(with(deny("z", "*"), func(p *rules.Policy) { p.Sources = []string{"rul2"} }))}, signUp("jo@acme.com"), nil},
		"one that cannot be enforced would have denied":     {[]rules.Policy{allow("a", "*"), auditing(with(allow("z", "*"), lost))}, signUp("jo@acme.com"), []rules.AuditOutcome{{Policy: named("z"), Outcome: rules.Deny, Reason: rules.ReasonPolicyNotEnforceable}}},
		"one that cannot be enforced, where all is denied":  {[]rules.Policy{auditing(with(allow("z", "*"), lost))}, signUp("jo@acme.com"), nil},
		"an invalid address is that whatever the policies":  {[]rules.Policy{auditing(allow("z", "*"))}, signUp("jo"), nil},
		"an update of no address, too":                      {[]rules.Policy{auditing(deny("z", "*"))}, update(absent("email")), nil},
		"each is looked at alone, in order":                 {[]rules.Policy{allow("a", "*"), auditing(deny("z", "*")), auditing(with(allow("c", "*"), lost)), auditing(deny("b", "com"))}, signUp("jo@acme.com"), []rules.AuditOutcome{{Policy: named("b"), Outcome: rules.Deny, Reason: rules.ReasonDenied}, {Policy: named("c"), Outcome: rules.Deny, Reason: rules.ReasonPolicyNotEnforceable}, wouldDeny}},
		"two that would only allow together":                {[]rules.Policy{auditing(allow("y", "acme.com")), auditing(allow("z", "y.test"))}, signUpLogin("jo@acme.com", "jo@y.test"), nil},
		"of both, one denial of a sign-up turns the call":   {[]rules.Policy{allow("a", "*"), auditing(with(deny("z", "*"), signUps))}, both, []rules.AuditOutcome{wouldDeny}},
		"of both, one allow of a sign-up does not turn it":  {[]rules.Policy{auditing(with(allow("z", "*"), signUps))}, both, nil},
		"of both, an allow of both turns it":                {[]rules.Policy{auditing(allow("z", "*"))}, both, []rules.AuditOutcome{wouldAllow}},
		"of both, an allow of the one that was missing":     {[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} }), auditing(with(allow("z", "*"), signUps))}, both, []rules.AuditOutcome{wouldAllow}},
		"of both, one that denies one and allows the other": {[]rules.Policy{with(deny("a", "x.test"), signUps), auditing(allow("z", "*"))}, both, []rules.AuditOutcome{wouldAllow}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide(test.policies, test.call)
			if diff := cmp.Diff(test.want, got.Audit, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("audit (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnObserverAnswersAllowAndKeepsWhatWasDecided(t *testing.T) {
	d := decide(nil, signUp("jo@acme.com"))
	if d.Answer() != rules.Deny {
		t.Errorf("answer %s before observing", d.Answer())
	}
	d.Observed = true
	if d.Answer() != rules.Allow || d.Outcome != rules.Deny || d.Reason != rules.ReasonNoPolicyApplies {
		t.Errorf("answer %s, outcome %s, reason %s", d.Answer(), d.Outcome, d.Reason)
	}
}
