package rules_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// use returns a reference to a list of the given lines.
func use(lines ...string) rules.ListUse {
	return rules.ListUse{Name: strings.Join(lines, "\n"), List: listOf(lines...)}
}

func TestAMissingListIsNoWiderThanAnyList(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		allows := d.Often(1, 2)
		with := func(list rules.ListUse) []rules.Policy {
			return changed(policies, i, func(p *rules.Policy) {
				if allows {
					p.Allow.Lists = append(slices.Clone(p.Allow.Lists), list)
				} else {
					p.Deny.Lists = append(slices.Clone(p.Deny.Lists), list)
				}
			})
		}
		missing := random.One(d, []rules.ListUse{
			{Name: "a"}, {Name: "a", Missing: "no such key"}, {Name: "a", Missing: "a shard is missing", Broken: true},
			use("no entry"), use(), use("a.test", "no entry"),
		})
		missing.Optional = allows && d.Often(1, 2) // whether a list that allows is optional decides nothing
		for range 4 {
			call := d.Call()
			list := d.List()
			if list.List == nil || list.List.Fault() != "" {
				continue
			}
			noWider(t, "a missing list", decide(with(missing), call), decide(with(list), call), call)
		}
	})
}

func TestALineThatIsNoEntryDecidesNothing(t *testing.T) {
	filler := make([]string, 0, 400)
	for range 200 {
		filler = append(filler, "filler.invalid", "")
	}
	random.Each(t, cases/3, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		lines := append(slices.Clone(filler), d.Line())
		odd := slices.Insert(slices.Clone(lines), d.IntN(len(lines)), random.One(d, []string{"no entry", "*", "a..test", ".test", "@acme.test", "\xff"}))
		with := func(lines []string) []rules.Policy {
			return changed(policies, i, func(p *rules.Policy) {
				p.Allow.Lists = append(slices.Clone(p.Allow.Lists), use(lines...))
				p.Deny.Lists = append(slices.Clone(p.Deny.Lists), use(lines...))
			})
		}
		call := d.Call()
		if a, b := decide(with(odd), call), decide(with(lines), call); answerOf(&a) != answerOf(&b) {
			t.Errorf("with a line that is no entry %+v, without %+v", answerOf(&a), answerOf(&b))
		}
	})
}

// What is written by hand beats what comes from a list, so that a poisoned list cannot shut out a domain that its own policy allows
// by name; "*" is nobody's name.
func TestAListNeverOverrulesAName(t *testing.T) {
	poisoned := use("acme.com", "partner.example", "jo@partner.example", "com")
	for sentence, test := range map[string]struct {
		allow rules.AllowRules
		want  rules.Reason
	}{
		"allowed by name":      {rules.AllowRules{Domains: []string{"acme.com"}}, rules.ReasonAllowed},
		"allowed by wildcard":  {rules.AllowRules{PublicSuffixes: []string{"*.com"}}, rules.ReasonAllowed},
		"allowed by address":   {rules.AllowRules{Addresses: []string{"jo@acme.com"}}, rules.ReasonAllowed},
		"allowed by star only": {rules.AllowRules{Domains: []string{"*"}}, rules.ReasonDenied},
		"allowed by a list":    {rules.AllowRules{Lists: []rules.ListUse{use("acme.com")}}, rules.ReasonDenied},
	} {
		t.Run(sentence, func(t *testing.T) {
			policy := rules.Policy{PolicyName: named("p"), Allow: test.allow, Deny: rules.DenyRules{Lists: []rules.ListUse{poisoned}}}
			if got := compile(t, policy).Decide(signUp("jo@acme.com")); got.Reason != test.want {
				t.Errorf("%s by %s, want %s", got.Reason, got.Entry, test.want)
			}
		})
	}
}

func TestProfileOn(t *testing.T) {
	userType := rules.ProfileAttribute{Name: "userType", Value: `"Partner"`}
	other := rules.ProfileAttribute{Name: "userType", Value: `"Other"`}
	on := func(p rules.Policy, requests ...rules.RequestType) rules.Policy {
		p.ProfileOn = requests
		return p
	}
	signs, progresses := signUp("jo@acme.com"), update(text("email", "jo@acme.com"))
	contradictory := progresses
	contradictory.Contradictory = true
	for sentence, test := range map[string]struct {
		policies []rules.Policy
		call     rules.Call
		sent     int
	}{
		"by default a sign-up gets attributes":               {[]rules.Policy{giving(allow("a", "acme.com"), userType)}, signs, 1},
		"and a progressive profile none":                     {[]rules.Policy{giving(allow("a", "acme.com"), userType)}, progresses, 0},
		"a progressive profile where it is named":            {[]rules.Policy{on(giving(allow("a", "acme.com"), userType), rules.ProgressiveProfile)}, progresses, 1},
		"then a sign-up gets none":                           {[]rules.Policy{on(giving(allow("a", "acme.com"), userType), rules.ProgressiveProfile)}, signs, 0},
		"a call that contradicts itself gets none":           {[]rules.Policy{on(giving(allow("a", "acme.com"), userType), rules.ProgressiveProfile)}, contradictory, 0},
		"policies that send for other calls do not disagree": {[]rules.Policy{giving(allow("a", "acme.com"), userType), on(giving(allow("b", "acme.com"), other), rules.ProgressiveProfile)}, signs, 1},
		"those that send for the same call do":               {[]rules.Policy{giving(allow("a", "acme.com"), userType), giving(allow("b", "acme.com"), other)}, signs, 0},
		"for an unknown request type nothing is sent":        {[]rules.Policy{on(giving(allow("a", "acme.com"), userType), "Login")}, signs, 0},
	} {
		t.Run(sentence, func(t *testing.T) {
			got := decide(test.policies, test.call)
			if got.Reason != rules.ReasonAllowed || len(got.Profile) != test.sent {
				t.Errorf("%s with %d attributes, want %d", got.Reason, len(got.Profile), test.sent)
			}
		})
	}
}

func TestListsAreReplacedWhileCallsAreDecided(t *testing.T) {
	var store rules.Store
	publish := func(lines ...string) {
		store.Publish(compile(t, rules.Policy{
			PolicyName: named("p"), Allow: rules.AllowRules{Domains: []string{"*"}}, Deny: rules.DenyRules{Lists: []rules.ListUse{use(lines...)}},
		}))
	}
	publish("always.test", "even.test")
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				snapshot, err := store.Load()
				if err != nil {
					t.Error(err)
					return
				}
				even, odd := snapshot.Decide(signUp("jo@even.test")), snapshot.Decide(signUp("jo@odd.test"))
				if always := snapshot.Decide(signUp("jo@always.test")); always.Reason != rules.ReasonDenied || even.Reason == odd.Reason {
					t.Errorf("always %s, even %s, odd %s", always.Reason, even.Reason, odd.Reason)
					return
				}
			}
		})
	}
	for range 200 {
		publish("always.test", "odd.test")
		publish("always.test", "even.test")
	}
	stop()
	callers.Wait()
}
