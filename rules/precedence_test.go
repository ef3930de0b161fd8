package rules_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/rules"
)

// ignoreMatched compares all of a decision but what Matched yields.
var ignoreMatched = cmp.Options{
	cmpopts.IgnoreUnexported(rules.Decision{}),
	cmp.Transformer("name", rules.Domain.String),
	cmpopts.EquateEmpty(),
}

// Each kind of entry against each later one, in one policy: the earlier one gives the verdict.
func TestPrecedence(t *testing.T) {
	kinds := []struct {
		name  string
		write func(*rules.Policy)
		entry rules.Entry
		want  rules.Reason
	}{
		{"deny.addresses", func(p *rules.Policy) { p.Deny.Addresses = []string{"jo@a.acme.com"} },
			rules.Entry{Field: rules.DenyAddresses}, rules.ReasonDenied},
		{"allow.addresses", func(p *rules.Policy) { p.Allow.Addresses = []string{"jo@a.acme.com"} },
			rules.Entry{Field: rules.AllowAddresses}, rules.ReasonAllowed},
		{"deny.domains", func(p *rules.Policy) { p.Deny.Domains = []string{"*"} },
			rules.Entry{Field: rules.DenyDomains}, rules.ReasonDenied},
		{"allow.domains", func(p *rules.Policy) { p.Allow.Domains = append(p.Allow.Domains, "a.acme.com") },
			rules.Entry{Field: rules.AllowDomains}, rules.ReasonAllowed},
		{"allow.publicSuffixes", func(p *rules.Policy) { p.Allow.PublicSuffixes = []string{"*.com"} },
			rules.Entry{Field: rules.AllowPublicSuffixes}, rules.ReasonAllowed},
		{"deny.lists", func(p *rules.Policy) { p.Deny.Lists = []rules.ListUse{use("a.acme.com")} },
			rules.Entry{Field: rules.DenyLists}, rules.ReasonDenied},
		{"allow.lists", func(p *rules.Policy) { p.Allow.Lists = []rules.ListUse{use("a.acme.com")} },
			rules.Entry{Field: rules.AllowLists}, rules.ReasonAllowed},
		{"allow *", func(p *rules.Policy) { p.Allow.Domains = append([]string{"*"}, p.Allow.Domains...) },
			rules.Entry{Field: rules.AllowDomains}, rules.ReasonAllowed},
	}
	for i, first := range kinds {
		for _, second := range kinds[i:] {
			t.Run(first.name+" decides before "+second.name, func(t *testing.T) {
				policy := rules.Policy{PolicyName: named("p")}
				first.write(&policy)
				if second.name != first.name {
					second.write(&policy)
				}
				got := compile(t, policy).Decide(signUp("jo@a.acme.com"))
				want := first.entry
				if first.name == "allow.domains" && second.name == "allow *" {
					want.Index = 1 // the star was written before it
				}
				if got.Reason != first.want || got.Entry != want || got.Policy != named("p") {
					t.Errorf("%s by %s, want %s by %s", got.Reason, got.Entry, first.want, want)
				}
			})
		}
	}
}

func TestDecisions(t *testing.T) {
	userType := rules.ProfileAttribute{Name: "userType", Value: `"Partner"`}
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		want     rules.Decision
		domain   string
	}{
		"no policies: denied": {
			nil, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNoPolicyApplies, Attribute: "email"}, "acme.com"},
		"only an Audit policy: none applies": {
			[]rules.Policy{auditing(deny("a", "*"))}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNoPolicyApplies, Attribute: "email"}, "acme.com"},
		"a policy for another source does not apply": {
			[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) { p.Sources = []string{"rul2", "RUL1"} })}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNoPolicyApplies, Attribute: "email"}, "acme.com"},
		"a policy for another request type does not apply": {
			[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} })},
			signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNoPolicyApplies, Attribute: "email"}, "acme.com"},
		"both fields of appliesTo must match": {
			[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) {
				p.RequestTypes, p.Sources = []rules.RequestType{rules.ProgressiveProfile}, []string{"rul1"}
			})},
			signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNoPolicyApplies, Attribute: "email"}, "acme.com"},
		"both fields of appliesTo match": {
			[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) {
				p.RequestTypes, p.Sources = []rules.RequestType{rules.SelfServiceRegistration}, []string{"rul2", "rul1"}
			})},
			signUp("jo@acme.com"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: named("a"),
				Entry: rules.Entry{Field: rules.AllowDomains}, TookPart: 1}, "acme.com"},
		"a source that is empty is no absent appliesTo": {
			[]rules.Policy{with(allow("a", "*"), func(p *rules.Policy) { p.Sources = []string{""} }), deny("b", "evil.test")},
			signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 1}, "acme.com"},
		"nor the other way round": {
			[]rules.Policy{allow("b", "*"), with(deny("a", "evil.test"), func(p *rules.Policy) { p.Sources = []string{""} })},
			signUp("jo@acme.com"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: named("b"),
				Entry: rules.Entry{Field: rules.AllowDomains}, TookPart: 1}, "acme.com"},
		"a source with a separator is one source": {
			[]rules.Policy{
				with(deny("a", "evil.test"), func(p *rules.Policy) { p.Sources = []string{"rul1", "x"} }),
				with(allow("b", "*"), func(p *rules.Policy) { p.Sources = []string{"rul1\x00x"} }),
			},
			signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 1}, "acme.com"},
		"one policy allows": {
			[]rules.Policy{giving(saying(allow("a", "evil.test", "acme.com"), "no"), userType)}, signUp("jo@acme.com"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: named("a"),
				Entry: rules.Entry{Field: rules.AllowDomains, Index: 1}, Profile: []rules.ProfileAttribute{userType}, TookPart: 1}, "acme.com"},
		"of several that allow, the first by name is named": {
			[]rules.Policy{allow("c", "*"), allow("a", "other.test"), allow("b", "acme.com")}, signUp("jo@acme.com"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: named("b"),
				Entry: rules.Entry{Field: rules.AllowDomains}, TookPart: 3}, "acme.com"},
		"the namespace comes before the name": {
			[]rules.Policy{
				{PolicyName: rules.PolicyName{Namespace: "b", Name: "a"}, Allow: rules.AllowRules{Domains: []string{"*"}}},
				{PolicyName: rules.PolicyName{Namespace: "a", Name: "b"}, Allow: rules.AllowRules{Domains: []string{"*"}}},
			}, signUp("jo@acme.com"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: rules.PolicyName{Namespace: "a", Name: "b"},
				Entry: rules.Entry{Field: rules.AllowDomains}, TookPart: 2}, "acme.com"},
		"a denial beats another policy's allow": {
			[]rules.Policy{allow("a", "acme.com"), saying(deny("b", "x.test", "acme.com"), "go away")}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("b"), Entry: rules.Entry{Field: rules.DenyDomains, Index: 1},
				Attribute: "email", Message: "go away", TookPart: 2}, "acme.com"},
		"an exception never reaches into another policy": {
			[]rules.Policy{
				with(deny("a", "acme.com"), func(p *rules.Policy) { p.Allow.Addresses = []string{"jo@acme.com"} }),
				deny("b", "acme.com"),
			}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("b"), Entry: rules.Entry{Field: rules.DenyDomains},
				Attribute: "email", TookPart: 2}, "acme.com"},
		"of several that deny, the first's message, even where it has none": {
			[]rules.Policy{saying(deny("b", "acme.com"), "second"), deny("a", "com")}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("a"), Entry: rules.Entry{Field: rules.DenyDomains},
				Attribute: "email", TookPart: 2}, "acme.com"},
		"of several entries that deny alike, the first": {
			[]rules.Policy{deny("a", "*.com", "acme.com", "com")}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("a"), Entry: rules.Entry{Field: rules.DenyDomains},
				Attribute: "email", TookPart: 1}, "acme.com"},
		"the login alone is denied": {
			[]rules.Policy{allow("a", "*"), deny("b", "evil.test")}, signUpLogin("jo@acme.com", "jo@evil.test"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("b"), Entry: rules.Entry{Field: rules.DenyDomains},
				Attribute: "login", TookPart: 2}, "evil.test"},
		"both are denied: the first attribute": {
			[]rules.Policy{deny("b", "evil.test")}, signUpLogin("jo@a.evil.test", "jo@evil.test"),
			rules.Decision{Reason: rules.ReasonDenied, Policy: named("b"), Entry: rules.Entry{Field: rules.DenyDomains},
				Attribute: "email", TookPart: 1}, "a.evil.test"},
		"two policies that allow one address each do not allow the call": {
			[]rules.Policy{allow("a", "acme.com"), allow("b", "other.test")}, signUpLogin("jo@acme.com", "jo@other.test"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 2}, "acme.com"},
		"only the login is not allowed": {
			[]rules.Policy{saying(allow("a", "acme.com"), "acme only")}, signUpLogin("jo@acme.com", "jo@other.test"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "login", Message: "acme only", TookPart: 1}, "other.test"},
		"only the e-mail address is not allowed": {
			[]rules.Policy{allow("a", "acme.com")}, signUpLogin("jo@other.test", "jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 1}, "other.test"},
		"a user name is no address": {
			[]rules.Policy{allow("a", "acme.com")}, signUpLogin("jo@acme.com", "jo"),
			rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: named("a"),
				Entry: rules.Entry{Field: rules.AllowDomains}, TookPart: 1}, "acme.com"},
		"not allowed: the message of the only policy that allows anything": {
			[]rules.Policy{saying(deny("a", "evil.test"), "evil"), saying(allow("b", "acme.com"), "acme only")}, signUp("jo@other.test"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", Message: "acme only", TookPart: 2}, "other.test"},
		"not allowed: of two such policies, neither's": {
			[]rules.Policy{saying(allow("a", "a.test"), "a"), allow("b", "acme.com")}, signUp("jo@other.test"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 2}, "other.test"},
		"not allowed: one that does not take part does not count": {
			[]rules.Policy{
				saying(allow("a", "a.test"), "a"), saying(auditing(allow("b", "b.test")), "b"),
				saying(with(allow("c", "c.test"), func(p *rules.Policy) { p.Sources = []string{"rul2"} }), "c"),
			}, signUp("jo@other.test"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", Message: "a", TookPart: 1}, "other.test"},
		"not allowed: one whose allow entries are all refused has an allow still": {
			[]rules.Policy{saying(allow("a", "*.com"), "a")}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", Message: "a", TookPart: 1}, "acme.com"},
		"not allowed: only denying policies have no message for that": {
			[]rules.Policy{saying(deny("a", "evil.test"), "evil")}, signUp("jo@acme.com"),
			rules.Decision{Reason: rules.ReasonNotAllowed, Attribute: "email", TookPart: 1}, "acme.com"},
		"another event is not recognised": {
			[]rules.Policy{allow("a", "*")}, rules.Call{Profile: signUp("jo@acme.com").Profile},
			rules.Decision{Reason: rules.ReasonUnrecognisedCall}, ""},
		"an unknown shape is not recognised": {
			[]rules.Policy{allow("a", "*")}, rules.Call{Shape: 200, Profile: signUp("jo@acme.com").Profile},
			rules.Decision{Reason: rules.ReasonUnrecognisedCall}, ""},
		"an address that does not parse": {
			[]rules.Policy{saying(allow("a", "*"), "a")}, signUp("jo@acme"),
			rules.Decision{Reason: rules.ReasonInvalidAddress, Attribute: "email", Invalid: rules.TooFewLabels, InvalidLength: 7}, ""},
		"a login that does not parse": {
			[]rules.Policy{allow("a", "*")}, signUpLogin("jo@acme.com", "jo@@acme.com"),
			rules.Decision{Reason: rules.ReasonInvalidAddress, Attribute: "login", Invalid: rules.ManyAtSigns, InvalidLength: 12}, ""},
		"an address that is no text": {
			[]rules.Policy{allow("a", "*")}, rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{other("email")}},
			rules.Decision{Reason: rules.ReasonInvalidAddress, Attribute: "email", Invalid: rules.NotText}, ""},
		"an invalid address is that without policies, too": {
			nil, signUp("jo"),
			rules.Decision{Reason: rules.ReasonInvalidAddress, Attribute: "email", Invalid: rules.NoAtSign, InvalidLength: 2}, ""},
		"an address is missing without policies, too": {
			nil, signUp(""),
			rules.Decision{Reason: rules.ReasonMissingAddress, Attribute: "email"}, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide(test.policies, test.call)
			if diff := cmp.Diff(test.want, got, ignoreMatched, cmpopts.IgnoreFields(rules.Decision{}, "Domain", "Audit")); diff != "" {
				t.Errorf("decision (-want +got):\n%s", diff)
			}
			if got.Domain.String() != test.domain {
				t.Errorf("domain %q, want %q", got.Domain, test.domain)
			}
		})
	}
}

// Which attributes of a call count, and when the required one is missing.
func TestAttributesOfACall(t *testing.T) {
	snapshot := compile(t, allow("a", "acme.com"))
	good, bad := text("email", "jo@acme.com"), text("email", "jo@evil.test")
	for sentence, test := range map[string]struct {
		call      rules.Call
		want      rules.Reason
		attribute string
	}{
		"a sign-up without an e-mail address":          {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{absent("email"), text("login", "jo@acme.com")}}, rules.ReasonMissingAddress, "email"},
		"a sign-up with a null one":                    {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{null("email"), text("login", "jo@acme.com")}}, rules.ReasonMissingAddress, "email"},
		"a sign-up with an empty one":                  {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("email", ""), text("login", "jo@acme.com")}}, rules.ReasonMissingAddress, "email"},
		"a sign-up without attributes":                 {rules.Call{Shape: rules.SignUp}, rules.ReasonMissingAddress, ""},
		"an empty login is none":                       {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{good, text("login", "")}}, rules.ReasonAllowed, ""},
		"an empty login does not stand for the e-mail": {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{bad, text("login", "")}}, rules.ReasonNotAllowed, "email"},
		"a required login that is a user name":         {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("login", "jo"), good}}, rules.ReasonMissingAddress, "login"},
		"a required login that is an address":          {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("login", "jo@acme.com"), absent("email")}}, rules.ReasonAllowed, ""},
		"a third attribute counts":                     {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{good, absent("login"), text("secondEmail", "jo@evil.test")}}, rules.ReasonNotAllowed, "secondEmail"},
		"a third attribute that is null is skipped":    {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{good, absent("login"), null("secondEmail")}}, rules.ReasonAllowed, ""},
		"a sign-up does not look at an update":         {rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{good}, Update: []rules.Attribute{bad}}, rules.ReasonAllowed, ""},
		"an update that changes no address":            {update(absent("email"), absent("login")), rules.ReasonNoAddressChanged, ""},
		"an update that changes nothing":               {update(), rules.ReasonNoAddressChanged, ""},
		"an update that takes a login away":            {update(absent("email"), null("login")), rules.ReasonNoAddressChanged, ""},
		"an update of the login to a user name":        {update(absent("email"), text("login", "jo")), rules.ReasonNoAddressChanged, ""},
		"an update of the login to an empty one":       {update(absent("email"), text("login", "")), rules.ReasonNoAddressChanged, ""},
		"an update of another to an empty one":         {update(good, text("secondEmail", "")), rules.ReasonAllowed, ""},
		"an update that takes the e-mail address away": {update(null("email")), rules.ReasonMissingAddress, "email"},
		"an update that empties it":                    {update(text("email", "")), rules.ReasonMissingAddress, "email"},
		"an update to no text":                         {update(other("email")), rules.ReasonInvalidAddress, "email"},
		"an update to an allowed address":              {update(good, absent("login")), rules.ReasonAllowed, ""},
		"an update to another":                         {update(bad), rules.ReasonNotAllowed, "email"},
		"an update of the login only":                  {update(absent("email"), text("login", "jo@evil.test")), rules.ReasonNotAllowed, "login"},
		"an update does not look at a profile":         {rules.Call{Shape: rules.ProfileUpdate, Profile: []rules.Attribute{bad}, Update: []rules.Attribute{good}}, rules.ReasonAllowed, ""},
		"both, all allowed":                            {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{good}, Update: []rules.Attribute{good}}, rules.ReasonAllowed, ""},
		"both, the update not allowed":                 {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{good}, Update: []rules.Attribute{bad}}, rules.ReasonNotAllowed, "email"},
		"both, the profile not allowed":                {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{bad}, Update: []rules.Attribute{good}}, rules.ReasonNotAllowed, "email"},
		"both, nothing updated":                        {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{good}, Update: []rules.Attribute{absent("email")}}, rules.ReasonAllowed, ""},
		"both, the profile without an address":         {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{absent("email")}, Update: []rules.Attribute{good}}, rules.ReasonMissingAddress, "email"},
		"both, the update takes the address away":      {rules.Call{Shape: rules.Both, Profile: []rules.Attribute{good}, Update: []rules.Attribute{null("email")}}, rules.ReasonMissingAddress, "email"},
		"as many addresses as there may be":            {rules.Call{Shape: rules.SignUp, Profile: repeat(good, 32)}, rules.ReasonAllowed, ""},
		"the last of so many is not allowed":           {rules.Call{Shape: rules.SignUp, Profile: append(repeat(good, 31), bad)}, rules.ReasonNotAllowed, "email"},
		"more addresses than there may be":             {rules.Call{Shape: rules.SignUp, Profile: repeat(good, 33)}, rules.ReasonUnrecognisedCall, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := snapshot.Decide(test.call)
			if got.Reason != test.want || got.Attribute != test.attribute {
				t.Errorf("%s at %q, want %s at %q", got.Reason, got.Attribute, test.want, test.attribute)
			}
			wantOutcome := rules.Deny
			if test.want == rules.ReasonAllowed || test.want == rules.ReasonNoAddressChanged {
				wantOutcome = rules.Allow
			}
			if got.Outcome != wantOutcome {
				t.Errorf("%s with reason %s", got.Outcome, got.Reason)
			}
		})
	}
}

func repeat(a rules.Attribute, n int) []rules.Attribute {
	all := make([]rules.Attribute, n)
	for i := range all {
		all[i] = a
	}
	return all
}

// A call that is a sign-up and an update at once is decided as each of the two.
func TestBoth(t *testing.T) {
	signUps := func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.SelfServiceRegistration} }
	updates := func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} }
	call := rules.Call{
		Shape:   rules.Both,
		Profile: []rules.Attribute{text("email", "jo@acme.com")},
		Update:  []rules.Attribute{text("email", "jo@other.test")},
	}
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		reason   rules.Reason
		policy   string
		tookPart int
	}{
		"a policy for both allows both":                          {[]rules.Policy{allow("a", "*")}, rules.ReasonAllowed, "a", 1},
		"one policy for each":                                    {[]rules.Policy{with(allow("a", "*"), signUps), with(allow("b", "*"), updates)}, rules.ReasonAllowed, "a", 1},
		"none for updates":                                       {[]rules.Policy{with(allow("a", "*"), signUps)}, rules.ReasonNoPolicyApplies, "", 0},
		"none for sign-ups":                                      {[]rules.Policy{with(allow("a", "*"), updates)}, rules.ReasonNoPolicyApplies, "", 0},
		"each allows only its own address":                       {[]rules.Policy{with(allow("a", "acme.com"), signUps), with(allow("b", "other.test"), updates)}, rules.ReasonNotAllowed, "", 1},
		"the update's address is denied to sign-ups":             {[]rules.Policy{allow("a", "*"), with(deny("b", "other.test"), signUps)}, rules.ReasonDenied, "b", 2},
		"the profile's address is denied to updates":             {[]rules.Policy{allow("a", "*"), with(deny("b", "acme.com"), updates)}, rules.ReasonDenied, "b", 2},
		"where each is denied, the sign-up's reason comes first": {[]rules.Policy{with(allow("a", "x.test"), signUps), with(deny("b", "*"), updates)}, rules.ReasonNotAllowed, "", 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := compile(t, test.policies...).Decide(call)
			policy := rules.PolicyName{}
			if test.policy != "" {
				policy = named(test.policy)
			}
			if got.Reason != test.reason || got.Policy != policy || got.TookPart != test.tookPart {
				t.Errorf("%s by %s of %d, want %s by %s of %d", got.Reason, got.Policy, got.TookPart, test.reason, policy, test.tookPart)
			}
		})
	}
}

// Profile attributes are sent for a sign-up that says so itself, and only where all policies that allow it agree.
func TestProfile(t *testing.T) {
	attribute := func(name, value string) rules.ProfileAttribute {
		return rules.ProfileAttribute{Name: name, Value: value}
	}
	one, two := attribute("userType", `"Partner"`), attribute("costCenter", "7")
	both := rules.Call{Shape: rules.Both, Profile: signUp("jo@acme.com").Profile}
	contradictory := signUp("jo@acme.com")
	contradictory.Contradictory = true
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		want     []rules.ProfileAttribute
	}{
		"of one policy, by name":                    {[]rules.Policy{giving(allow("a", "*"), one, two)}, signUp("jo@acme.com"), []rules.ProfileAttribute{two, one}},
		"of two, together":                          {[]rules.Policy{giving(allow("a", "*"), one), giving(allow("b", "*"), two)}, signUp("jo@acme.com"), []rules.ProfileAttribute{two, one}},
		"of two that agree, once":                   {[]rules.Policy{giving(allow("a", "*"), one), giving(allow("b", "*"), one)}, signUp("jo@acme.com"), []rules.ProfileAttribute{one}},
		"equal values in two spellings agree":       {[]rules.Policy{giving(allow("a", "*"), attribute("x", `["a", "b"]`)), giving(allow("b", "*"), attribute("x", ` ["\u0061","b"] `))}, signUp("jo@acme.com"), []rules.ProfileAttribute{attribute("x", `["a","b"]`)}},
		"where two disagree, none":                  {[]rules.Policy{giving(allow("a", "*"), one, two), giving(allow("b", "*"), attribute("userType", `"Guest"`))}, signUp("jo@acme.com"), []rules.ProfileAttribute{two}},
		"a third does not settle it":                {[]rules.Policy{giving(allow("a", "*"), one), giving(allow("b", "*"), attribute("userType", `"Guest"`)), giving(allow("c", "*"), one)}, signUp("jo@acme.com"), nil},
		"a text is not a number":                    {[]rules.Policy{giving(allow("a", "*"), two), giving(allow("b", "*"), attribute("costCenter", `"7"`))}, signUp("jo@acme.com"), nil},
		"one that does not allow gives nothing":     {[]rules.Policy{giving(allow("a", "acme.com"), one), giving(allow("b", "b.test"), two)}, signUp("jo@acme.com"), []rules.ProfileAttribute{one}},
		"one that does not allow does not disagree": {[]rules.Policy{giving(allow("a", "acme.com"), one), giving(deny("b", "b.test"), attribute("userType", `"Guest"`))}, signUp("jo@acme.com"), []rules.ProfileAttribute{one}},
		"one that allows one address only":          {[]rules.Policy{giving(allow("a", "*"), one), giving(allow("b", "acme.com"), two)}, signUpLogin("jo@acme.com", "jo@b.test"), []rules.ProfileAttribute{one}},
		"one in mode Audit gives nothing":           {[]rules.Policy{giving(allow("a", "acme.com"), one), giving(auditing(allow("b", "*")), two)}, signUp("jo@acme.com"), []rules.ProfileAttribute{one}},
		"a denial gives nothing":                    {[]rules.Policy{giving(allow("a", "*"), one), deny("b", "acme.com")}, signUp("jo@acme.com"), nil},
		"an update gives nothing":                   {[]rules.Policy{giving(allow("a", "*"), one)}, update(text("email", "jo@acme.com")), nil},
		"a call that is both gives nothing":         {[]rules.Policy{giving(allow("a", "*"), one)}, both, nil},
		"a call that contradicts itself, too":       {[]rules.Policy{giving(allow("a", "*"), one)}, contradictory, nil},
		"every kind of value": {
			[]rules.Policy{giving(allow("a", "*"), attribute("a", "null"), attribute("b", "true"), attribute("c", "-1.50"), attribute("d", "[]"), attribute("e", `"<\u2028>"`))},
			signUp("jo@acme.com"),
			[]rules.ProfileAttribute{attribute("a", "null"), attribute("b", "true"), attribute("c", "-1.50"), attribute("d", "[]"), attribute("e", `"\u003c\u2028\u003e"`)}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := compile(t, test.policies...).Decide(test.call)
			if diff := cmp.Diff(test.want, got.Profile, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("profile (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAMalformedAttributeValueIsRefused(t *testing.T) {
	for _, value := range []string{"", " ", "x", `"a`, `{"a":"b"}`, `[1]`, `[["a"]]`, `[null]`, `1 2`, `1]`, `"a" }`, "01", "NaN", "\"\x01\""} {
		policy := giving(allow("a", "*"), rules.ProfileAttribute{Name: "userType", Value: value})
		snapshot, rejections := rules.Compile([]rules.Policy{policy})
		if len(rejections) != 1 || rejections[0].Path != "spec.profile[0].value" {
			t.Errorf("value %q: rejections %v", value, rejections)
		}
		if got := snapshot.Decide(signUp("jo@acme.com")); got.Reason != rules.ReasonAllowed || len(got.Profile) != 0 {
			t.Errorf("value %q: %s with %v", value, got.Reason, got.Profile)
		}
	}
}

// A policy that names an attribute with a value that cannot be used, or with two, disagrees with every other policy about it:
// under every well-formed reading but one it would.
func TestAFaultyAttributeNeverLetsAnotherPolicysValuePass(t *testing.T) {
	partner := rules.ProfileAttribute{Name: "userType", Value: `"Partner"`}
	for sentence, faulty := range map[string][]rules.ProfileAttribute{
		"a malformed value": {{Name: "userType", Value: `{}`}},
		"two values":        {{Name: "userType", Value: `"Guest"`}, {Name: "userType", Value: `"Visitor"`}},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide([]rules.Policy{giving(allow("a", "*"), faulty...), giving(allow("b", "*"), partner)}, signUp("jo@acme.com"))
			if got.Reason != rules.ReasonAllowed || len(got.Profile) != 0 {
				t.Errorf("%s with %v, want no attribute", got.Reason, got.Profile)
			}
		})
	}
}

// A policy that was not understood, or says something unknown, denies the calls that it applies to, and allows none.
func TestPoliciesThatCannotBeEnforced(t *testing.T) {
	lost := func(p *rules.Policy) { p.NotUnderstood = "unknown field spec.lists" }
	of := func(source string) func(*rules.Policy) {
		return func(p *rules.Policy) { p.Sources = []string{source} }
	}
	updates := func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} }
	call := signUp("jo@acme.com")
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		want     rules.Reason
		policy   string
		tookPart int
	}{
		"not understood": {[]rules.Policy{allow("a", "*"), with(allow("b", "*"), lost)}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"not understood, and nothing else known of it":   {[]rules.Policy{allow("a", "*"), {PolicyName: named("b"), NotUnderstood: "x"}}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"not understood, for this source":                {[]rules.Policy{allow("a", "*"), with(with(allow("b", "*"), lost), of("rul1"))}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"not understood, for another source":             {[]rules.Policy{allow("a", "*"), with(with(allow("b", "*"), lost), of("rul2"))}, rules.ReasonAllowed, "a", 1},
		"not understood, for another request type":       {[]rules.Policy{allow("a", "*"), with(with(allow("b", "*"), lost), updates)}, rules.ReasonAllowed, "a", 1},
		"not understood, in mode Audit":                  {[]rules.Policy{allow("a", "*"), auditing(with(deny("b", "*"), lost))}, rules.ReasonAllowed, "a", 1},
		"not understood, alone in mode Audit":            {[]rules.Policy{auditing(with(allow("b", "*"), lost))}, rules.ReasonNoPolicyApplies, "", 0},
		"its own denies are not relied on either":        {[]rules.Policy{allow("a", "*"), with(deny("b", "*"), lost)}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"another policy's denial says more":              {[]rules.Policy{with(allow("a", "*"), lost), deny("b", "acme.com")}, rules.ReasonDenied, "b", 2},
		"it says more than that nobody allows":           {[]rules.Policy{allow("a", "other.test"), with(deny("b", "x.test"), lost)}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"the first by name, whatever its scope":          {[]rules.Policy{with(with(allow("b", "*"), lost), of("rul1")), with(allow("c", "*"), lost), with(with(allow("a", "*"), lost), of("rul2"))}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"an unknown mode":                                {[]rules.Policy{allow("a", "*"), with(allow("b", "*"), func(p *rules.Policy) { p.Mode = "Warn" })}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"a mode in lower case":                           {[]rules.Policy{allow("a", "*"), with(allow("b", "*"), func(p *rules.Policy) { p.Mode = "audit" })}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"an unknown mode, for another source":            {[]rules.Policy{allow("a", "*"), with(with(allow("b", "*"), func(p *rules.Policy) { p.Mode = "Warn" }), of("rul2"))}, rules.ReasonAllowed, "a", 1},
		"an unknown request type, for every call":        {[]rules.Policy{allow("a", "*"), with(allow("b", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{"Login"} })}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"an unknown request type beside another":         {[]rules.Policy{allow("a", "*"), with(allow("b", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{"Login", rules.ProgressiveProfile} })}, rules.ReasonPolicyNotEnforceable, "b", 2},
		"an unknown request type, in mode Audit":         {[]rules.Policy{allow("a", "*"), auditing(with(allow("b", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{"Login"} }))}, rules.ReasonAllowed, "a", 1},
		"its message, about addresses, is not shown now": {[]rules.Policy{saying(with(allow("b", "*"), lost), "acme only")}, rules.ReasonPolicyNotEnforceable, "b", 1},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide(test.policies, call)
			policy := rules.PolicyName{}
			if test.policy != "" {
				policy = named(test.policy)
			}
			if got.Reason != test.want || got.Policy != policy || got.TookPart != test.tookPart || got.Message != "" {
				t.Errorf("%s by %s of %d with text %q, want %s by %s of %d",
					got.Reason, got.Policy, got.TookPart, got.Message, test.want, policy, test.tookPart)
			}
			if got.Outcome == rules.Deny && got.Attribute != "email" {
				t.Errorf("attribute %q", got.Attribute)
			}
		})
	}
}

func TestMatchedYieldsEveryPolicyWithAVerdict(t *testing.T) {
	policies := []rules.Policy{
		allow("allows", "*"), deny("denies", "acme.com"), auditing(deny("audits", "com")), allow("other", "other.test"),
		with(allow("elsewhere", "*"), func(p *rules.Policy) { p.Sources = []string{"rul2"} }),
	}
	want := []string{"allows", "audits", "denies"}
	for i := range 20 { // more than a decision has room for
		name := "z" + string(rune('a'+i))
		policies = append(policies, allow(name, "acme.com"))
		want = append(want, name)
	}
	snapshot := compile(t, policies...)
	both := rules.Call{Shape: rules.Both, Source: "rul1", Profile: signUp("jo@acme.com").Profile}
	for _, call := range []rules.Call{signUp("jo@acme.com"), signUpLogin("jo@acme.com", "jo@acme.com"), both} {
		d := snapshot.Decide(call)
		var got []string
		for name := range d.Matched() {
			got = append(got, name.Name)
		}
		if diff := cmp.Diff(want, got, cmpopts.SortSlices(func(a, b string) bool { return a < b })); diff != "" {
			t.Errorf("shape %s: matched (-want +got):\n%s", call.Shape, diff)
		}
		n := 0
		for range d.Matched() {
			if n++; n == 10 {
				break
			}
		}
	}
	d := snapshot.Decide(signUp("nonsense"))
	for name := range d.Matched() {
		t.Errorf("an invalid address matched %s", name)
	}
}
