package rules_test

import (
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// The common calls are decided without any allocation, whatever the number of policies that cannot match.
func TestDecideDoesNotAllocate(t *testing.T) {
	many := []rules.Policy{
		with(allow("a", "acme.com", "*.acme.com"), func(p *rules.Policy) {
			p.Deny.Addresses = []string{"ed@acme.com", "al+*@acme.com"}
			p.Profile = []rules.ProfileAttribute{{Name: "userType", Value: `"x"`}}
		}),
		deny("d", "evil.test"),
	}
	for i := range 1000 {
		p := allow(fmt.Sprintf("p%d", i), fmt.Sprintf("d%d.test", i))
		if i%2 == 0 {
			p.Sources = []string{fmt.Sprintf("rul-%d", i)}
		}
		many = append(many, p)
	}
	var overlapping []rules.Policy // each with its own set of sources
	for i := range 12 {
		p := allow(fmt.Sprintf("o%d", i), fmt.Sprintf("d%d.test", i), "*.acme.com")
		p.Sources = []string{"rul1", fmt.Sprintf("rul-%d", i)}
		overlapping = append(overlapping, p)
	}
	listing := append(many[:2:2], rules.Policy{
		PolicyName: named("l"),
		Allow:      rules.AllowRules{Domains: []string{"*"}},
		Deny:       rules.DenyRules{Lists: []rules.ListUse{use("listed.test", "*.below.test", "al@whole.test", "ed+*@whole.test"), use("other.test")}},
	})
	const long = "somebody.with.a.long.name@department.acme.com" // too long for the compiler's own small buffers
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		want     rules.Reason
	}{
		"an allow, one policy":                 {many[:1], signUpLogin("jo@acme.com", "jo@acme.com"), rules.ReasonAllowed},
		"an allow, long":                       {many[:1], signUpLogin(long, long), rules.ReasonAllowed},
		"not allowed, one policy":              {many[:1], signUpLogin("jo@other.test", "jo@other.test"), rules.ReasonNotAllowed},
		"an allow, many policies":              {many, signUpLogin(long, long), rules.ReasonAllowed},
		"an allow, a user name":                {many, signUpLogin("jo@acme.com", "jo"), rules.ReasonAllowed},
		"a deny, many policies":                {many, signUpLogin("jo@evil.test", "jo@evil.test"), rules.ReasonDenied},
		"a deny by address":                    {many, signUpLogin("ed@acme.com", "ed@acme.com"), rules.ReasonDenied},
		"a deny by address in upper case":      {many, signUp("ED@acme.com"), rules.ReasonDenied},
		"not allowed, many policies":           {many, signUpLogin("jo@other.test", "jo@other.test"), rules.ReasonNotAllowed},
		"an invalid address":                   {many, signUpLogin("jo@acme.com", "jo@@acme.com"), rules.ReasonInvalidAddress},
		"a deny by a list":                     {listing, signUpLogin("jo@a.b.listed.test", "jo@a.b.listed.test"), rules.ReasonDenied},
		"a deny by an address of a list":       {listing, signUp("AL@whole.test"), rules.ReasonDenied},
		"a deny by sub-addresses":              {many, signUp("Al+a@acme.com"), rules.ReasonDenied},
		"a deny by sub-addresses of a list":    {listing, signUp("ED+a+b@whole.test"), rules.ReasonDenied},
		"the longest address":                  {listing, signUp(strings.Repeat("a", 64) + "@" + labels63(2, 61)), rules.ReasonAllowed},
		"an allow beside lists":                {listing, signUpLogin(long, long), rules.ReasonAllowed},
		"no policies":                          {nil, signUpLogin("jo@acme.com", "jo@acme.com"), rules.ReasonNoPolicyApplies},
		"sources that overlap":                 {overlapping, signUp("jo@d7.test"), rules.ReasonAllowed},
		"an update":                            {many, update(text("email", "jo@acme.com"), text("login", "jo@acme.com")), rules.ReasonAllowed},
		"an Audit policy that changes nothing": {append(many[:2:2], auditing(deny("z", "x.test"))), signUp("jo@acme.com"), rules.ReasonAllowed},
	} {
		t.Run(sentence, func(t *testing.T) {
			snapshot := compile(t, test.policies...)
			var got rules.Decision
			if allocations := testing.AllocsPerRun(100, func() { got = snapshot.Decide(test.call) }); allocations != 0 {
				t.Errorf("%v allocations", allocations)
			}
			if got.Reason != test.want {
				t.Errorf("reason %s, want %s", got.Reason, test.want)
			}
		})
	}
}

// A thousand policies that match cost a few allocations, however they come to match.
func TestDecideAllocatesLittleWhereManyPoliciesMatch(t *testing.T) {
	list := use("acme.com")
	for sentence, change := range map[string]func(i int, p *rules.Policy){
		"by the same domain": func(_ int, p *rules.Policy) { p.Allow.Domains = []string{"acme.com"} },
		"for overlapping sources": func(i int, p *rules.Policy) {
			p.Allow.Domains, p.Sources = []string{"acme.com"}, []string{"rul1", fmt.Sprintf("rul-%d", i)}
		},
		"by the same list": func(_ int, p *rules.Policy) { p.Allow.Lists = []rules.ListUse{list} },
		"with the same profile": func(_ int, p *rules.Policy) {
			p.Allow.Domains, p.Profile = []string{"acme.com"}, []rules.ProfileAttribute{{Name: "userType", Value: `"x"`}}
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			var policies []rules.Policy
			for i := range 1000 {
				policies = append(policies, with(allow(fmt.Sprintf("p%d", i)), func(p *rules.Policy) { change(i, p) }))
			}
			snapshot, call := compile(t, policies...), signUpLogin("jo@acme.com", "jo@acme.com")
			var got rules.Decision
			if allocations := testing.AllocsPerRun(20, func() { got = snapshot.Decide(call) }); allocations > 4 {
				t.Errorf("%v allocations", allocations)
			}
			if got.Reason != rules.ReasonAllowed {
				t.Errorf("reason %s", got.Reason)
			}
		})
	}
}
