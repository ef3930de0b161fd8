package rules_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// recombined is what the traces of one request come to by the documented steps.
type recombined struct {
	outcome rules.Outcome
	reason  rules.Reason
	policy  rules.PolicyName
	entry   rules.Entry
}

// recombine goes through the steps of the documentation with nothing but the traces.
func recombine(traces []rules.Trace) recombined {
	tookPart := slices.DeleteFunc(slices.Clone(traces), func(a rules.Trace) bool { return !a.Applies || a.Mode == rules.Audit })
	if len(tookPart) == 0 {
		return recombined{reason: rules.ReasonNoPolicyApplies}
	}
	for _, a := range tookPart {
		for _, v := range a.Verdicts {
			if v.Denies {
				return recombined{rules.Deny, rules.ReasonDenied, a.PolicyName, v.Entry}
			}
		}
	}
	for _, a := range tookPart {
		if !a.Enforceable {
			return recombined{rules.Deny, rules.ReasonPolicyNotEnforceable, a.PolicyName, rules.Entry{}}
		}
	}
	for _, a := range tookPart {
		if !slices.ContainsFunc(a.Verdicts, func(v rules.Verdict) bool { return !v.Allows }) {
			return recombined{rules.Allow, rules.ReasonAllowed, a.PolicyName, a.Verdicts[0].Entry}
		}
	}
	return recombined{reason: rules.ReasonNotAllowed}
}

func TestTheAccountsRecombineToTheDecision(t *testing.T) {
	const cases = 10_000
	roles := map[rules.Role]int{}
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		snapshot, _ := rules.Compile(policies)
		want := snapshot.Decide(call)
		decision, traces := snapshot.Explain(call)
		if got, want := answerOf(&decision), answerOf(&want); got != want {
			t.Errorf("Explain decides %+v, Decide %+v", got, want)
		}
		byRequest := map[rules.RequestType][]rules.Trace{}
		for _, a := range traces {
			roles[a.Role]++
			byRequest[a.Request] = append(byRequest[a.Request], a)
			checkRole(t, &a)
		}
		if len(policies) == 0 {
			return
		}
		if unasked, found := byRequest[""]; found {
			if len(byRequest) != 1 || len(unasked) != len(policies) || decision.Reason == rules.ReasonNoPolicyApplies || decision.TookPart != 0 {
				t.Errorf("not asked: %+v, decision %+v", traces, decision)
			}
			return
		}
		var got recombined
		for _, request := range []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile} {
			half, asked := byRequest[request]
			if !asked {
				continue
			}
			if len(half) != len(policies) {
				t.Errorf("%d traces of %d policies", len(half), len(policies))
			}
			if next := recombine(half); got.reason == "" || got.outcome == rules.Allow && next.outcome == rules.Deny {
				got = next
			}
		}
		if want := (recombined{decision.Outcome, decision.Reason, decision.Policy, decision.Entry}); got != want {
			t.Errorf("policies %+v\ncall %+v\naccounts %+v\n got %+v\nwant %+v", policies, call, traces, got, want)
		}
	})
	for _, role := range rules.Roles() {
		if roles[role] < cases/200 {
			t.Errorf("only %d traces of %d cases are %s", roles[role], cases, role)
		}
	}
	t.Logf("traces: %d cases, %v", cases, roles)
}

// checkRole holds a role to the facts that stand beside it.
func checkRole(t *testing.T, a *rules.Trace) {
	t.Helper()
	denies, allows := 0, 0
	for _, v := range a.Verdicts {
		if v.Denies {
			denies++
		}
		if v.Allows {
			allows++
		}
		if v.Denies && v.Allows || (v.Denies || v.Allows) != (v.Entry != rules.Entry{}) || slices.Contains(v.Overridden, v.Entry) ||
			(v.Denies || v.Allows) && v.NearMisses != nil {
			t.Errorf("a verdict that contradicts itself: %+v", v)
		}
	}
	all := len(a.Verdicts) > 0 && allows == len(a.Verdicts)
	enforced := a.Applies && a.Mode == rules.Enforce
	lost := a.By != a.PolicyName
	fits := map[rules.Role]bool{
		rules.RoleDecides:          enforced && !lost && (denies > 0 || all || !a.Enforceable),
		rules.RoleDenies:           enforced && lost && denies > 0,
		rules.RoleAllows:           enforced && lost && all && a.By != rules.PolicyName{},
		rules.RoleOverruled:        enforced && lost && all && a.By != rules.PolicyName{},
		rules.RoleAllowsPart:       enforced && lost && denies == 0 && allows > 0 && !all,
		rules.RoleNoMatch:          enforced && lost && a.Enforceable && denies == 0 && allows == 0,
		rules.RoleNotEnforceable:   enforced && lost && !a.Enforceable,
		rules.RoleAudit:            a.Applies && a.Mode == rules.Audit,
		rules.RoleOtherRequestType: !a.Applies && a.Request != "",
		rules.RoleOtherSource:      !a.Applies && a.Request != "",
		rules.RoleNotAsked:         !a.Applies && a.Request == "",
	}
	if !fits[a.Role] {
		t.Errorf("%s does not fit %+v", a.Role, a)
	}
}

// said is an account in few words.
type said struct {
	Role       rules.Role
	Entries    []string
	Overridden []string
}

func TestAnAccountSaysWhyEachPolicyDidNotDecide(t *testing.T) {
	acme := allow("acme", "acme.com", "*.acme.com")
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		reason   rules.Reason
		want     map[string]said
	}{
		"a deny of another policy overrules an allow": {
			[]rules.Policy{acme, deny("contractors", "c.acme.com")}, signUp("jo@c.acme.com"), rules.ReasonDenied,
			map[string]said{
				"acme":        {rules.RoleOverruled, []string{"spec.allow.domains[1]"}, nil},
				"contractors": {rules.RoleDecides, []string{"spec.deny.domains[0]"}, nil},
			},
		},
		"within a policy, an address beats a domain, and what is overridden is named": {
			[]rules.Policy{with(acme, func(p *rules.Policy) {
				p.Deny.Domains = []string{"acme.com"}
				p.Allow.Addresses = []string{"jo@acme.com"}
			})},
			signUp("jo@acme.com"), rules.ReasonAllowed,
			map[string]said{"acme": {
				rules.RoleDecides, []string{"spec.allow.addresses[0]"}, []string{"spec.deny.domains[0]", "spec.allow.domains[0]"},
			}},
		},
		"a policy that allows only the login": {
			[]rules.Policy{acme}, signUpLogin("jo@other.test", "jo@acme.com"), rules.ReasonNotAllowed,
			map[string]said{"acme": {rules.RoleAllowsPart, []string{"", "spec.allow.domains[0]"}, nil}},
		},
		"two policies allow: the first by name decides": {
			[]rules.Policy{allow("b", "acme.com"), acme}, signUp("jo@acme.com"), rules.ReasonAllowed,
			map[string]said{
				"acme": {rules.RoleDecides, []string{"spec.allow.domains[0]"}, nil},
				"b":    {rules.RoleAllows, []string{"spec.allow.domains[0]"}, nil},
			},
		},
		"another source and another request type": {
			[]rules.Policy{
				with(acme, func(p *rules.Policy) { p.Sources = []string{"rul9"} }),
				with(allow("b", "acme.com"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} }),
			},
			signUp("jo@acme.com"), rules.ReasonNoPolicyApplies,
			map[string]said{"acme": {rules.RoleOtherSource, nil, nil}, "b": {rules.RoleOtherRequestType, nil, nil}},
		},
		"Audit decides nothing, whatever it says": {
			[]rules.Policy{auditing(acme)}, signUp("jo@acme.com"), rules.ReasonNoPolicyApplies,
			map[string]said{"acme": {rules.RoleAudit, []string{"spec.allow.domains[0]"}, nil}},
		},
		"a policy that cannot be enforced blocks": {
			[]rules.Policy{acme, {PolicyName: rules.PolicyName{Namespace: acme.Namespace, Name: "new"}, NotUnderstood: "spec.x: unknown"}},
			signUp("jo@acme.com"), rules.ReasonPolicyNotEnforceable,
			map[string]said{
				"acme": {rules.RoleOverruled, []string{"spec.allow.domains[0]"}, nil},
				"new":  {rules.RoleDecides, nil, nil},
			},
		},
		"an address that is none is decided before any policy is asked": {
			[]rules.Policy{acme}, signUp("jo"), rules.ReasonInvalidAddress,
			map[string]said{"acme": {rules.RoleNotAsked, nil, nil}},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			decision, traces := compile(t, test.policies...).Explain(test.call)
			if decision.Reason != test.reason {
				t.Errorf("reason %s, want %s", decision.Reason, test.reason)
			}
			got := map[string]said{}
			for _, a := range traces {
				s := said{Role: a.Role}
				for _, v := range a.Verdicts {
					s.Entries = append(s.Entries, v.Entry.String())
					for _, entry := range v.Overridden {
						s.Overridden = append(s.Overridden, entry.String())
					}
				}
				got[a.Name] = s
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("traces (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnAccountNamesTheEntriesThatJustMiss(t *testing.T) {
	for sentence, test := range map[string]struct {
		policy rules.Policy
		email  string
		want   []string
	}{
		"a domain is not what is below it":           {allow("a", "x.test", "acme.com"), "jo@uk.acme.com", []string{"spec.allow.domains[1]"}},
		"nor what is further below":                  {allow("a", "acme.com"), "jo@mail.uk.acme.com", []string{"spec.allow.domains[0]"}},
		"a wildcard is not the domain itself":        {allow("a", "*.acme.com"), "jo@acme.com", []string{"spec.allow.domains[0]"}},
		"what matches misses nothing":                {allow("a", "acme.com", "*.acme.com"), "jo@uk.acme.com", nil},
		"another domain is not near":                 {allow("a", "acme.com", "*.acme.com"), "jo@xacme.com", nil},
		"a deny that misses is nothing to put right": {with(allow("a", "x.test"), func(p *rules.Policy) { p.Deny.Domains = []string{"*.acme.com"} }), "jo@acme.com", nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, traces := compile(t, allow("b", "uk.acme.com", "acme.com"), test.policy).Explain(signUp(test.email))
			var got []string
			for _, entry := range traces[0].Verdicts[0].NearMisses {
				got = append(got, entry.String())
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("near (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTheTextOfAnEntryIsTheAuthors(t *testing.T) {
	p := rules.Policy{
		Allow: rules.AllowRules{Domains: []string{"ACME.com"}, PublicSuffixes: []string{"co.uk"}, Addresses: []string{"Jo@acme.com"}},
		Deny:  rules.DenyRules{Domains: []string{"x.test"}, Addresses: []string{"al@x.test"}, Lists: []rules.ListUse{{Name: "a"}, {Name: "b"}}},
	}
	p.Allow.Lists = []rules.ListUse{{Name: "c"}}
	for entry, want := range map[rules.Entry]string{
		{Field: rules.AllowDomains}: "ACME.com", {Field: rules.AllowPublicSuffixes}: "co.uk", {Field: rules.AllowAddresses}: "Jo@acme.com",
		{Field: rules.DenyDomains}: "x.test", {Field: rules.DenyAddresses}: "al@x.test",
		{Field: rules.DenyLists, Index: 1}: p.Deny.Lists[1].String(), {Field: rules.AllowLists}: p.Allow.Lists[0].String(),
		{}: "", {Field: rules.DenyDomains, Index: 1}: "", {Field: rules.DenyDomains, Index: -1}: "",
	} {
		if got := p.EntryText(entry); got != want {
			t.Errorf("%s: %q, want %q", entry, got, want)
		}
	}
}

func TestTheLineOfAListThatMatchesADomain(t *testing.T) {
	policy := rules.Policy{
		Allow: rules.AllowRules{Lists: []rules.ListUse{use("acme.com"), {Name: "missing"}}},
		Deny:  rules.DenyRules{Domains: []string{"a.test"}, Lists: []rules.ListUse{use("beta.example", "jo@acme.com")}},
	}
	for sentence, test := range map[string]struct {
		entry  rules.Entry
		domain string
		want   string
	}{
		"a list that allows":             {rules.Entry{Field: rules.AllowLists}, "acme.com", "acme.com"},
		"a list that allows, below":      {rules.Entry{Field: rules.AllowLists}, "a.acme.com", ""},
		"a list that denies, below":      {rules.Entry{Field: rules.DenyLists}, "a.beta.example", "beta.example"},
		"a line that is a whole address": {rules.Entry{Field: rules.DenyLists}, "acme.com", ""},
		"a list that is missing":         {rules.Entry{Field: rules.AllowLists, Index: 1}, "acme.com", ""},
		"an index beyond":                {rules.Entry{Field: rules.AllowLists, Index: 2}, "acme.com", ""},
		"a negative index":               {rules.Entry{Field: rules.AllowLists, Index: -1}, "acme.com", ""},
		"an entry that names no list":    {rules.Entry{Field: rules.DenyDomains}, "acme.com", ""},
	} {
		domain, err := rules.ParseDomain(test.domain)
		if err != nil {
			t.Fatal(err)
		}
		if got := policy.ListEntry(test.entry, domain); got != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
}
