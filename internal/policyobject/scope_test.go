package policyobject

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

func TestScopesAreReadOrRefused(t *testing.T) {
	for sentence, c := range map[string]struct {
		entries []string
		want    Scopes
		refusal string // part of the error; "" for none
	}{
		"no entry bounds no namespace":          {nil, Scopes{}, ""},
		"sources are a set":                     {[]string{"team-a=rul2,rul1,rul2"}, Scopes{"team-a": {"rul1", "rul2"}}, ""},
		"each namespace has its entry":          {[]string{"b=rul1", "a=rul1"}, Scopes{"a": {"rul1"}, "b": {"rul1"}}, ""},
		"no source is not every source":         {[]string{"team-a="}, nil, `"team-a": no source`},
		"a namespace alone is not bounded":      {[]string{"team-a"}, nil, `"team-a": write namespace=source,source`},
		"an empty entry":                        {[]string{""}, nil, "write namespace=source,source"},
		"no namespace":                          {[]string{"=rul1"}, nil, `"" is not the name of a namespace`},
		"not the name of a namespace":           {[]string{"Team_A=rul1"}, nil, `"Team_A" is not the name of a namespace`},
		"a namespace is given twice":            {[]string{"a=rul1", "a=rul2"}, nil, `"a" is given twice`},
		"a comma too many":                      {[]string{"a=rul1,"}, nil, `"" is not the id`},
		"a space after the comma":               {[]string{"a=rul1, rul2"}, nil, `" rul2" is not the id`},
		"a source that Okta does not give":      {[]string{"a=*"}, nil, `"*" is not the id`},
		"entries of the environment in one":     {[]string{"a=rul1;b=rul2"}, nil, `"rul1;b=rul2" is not the id`},
		"a source that is longer than any":      {[]string{"a=" + strings.Repeat("r", 65)}, nil, "1 to 64 letters and digits"},
		"all that is wrong is said in one line": {[]string{"a", "b="}, nil, `; "b": no source`},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := ParseScopes(c.entries)
			if c.refusal == "" {
				if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
					t.Errorf("error %v; scopes (-want +got):\n%s", err, diff)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), c.refusal) || strings.Contains(err.Error(), "\n") {
				t.Errorf("got %v and %v, want one line with %q", got, err, c.refusal)
			}
		})
	}
}

var testScopes = Scopes{"bound": {"rul1", "rul2"}, "shut": {}}

// What Scopes does is held to another way to say it: a policy of a bounded namespace takes part in a call if the call's
// source is in the scope and the policy names it, or none. Each call is decided by such policies alone, their sources
// taken away, and must come out the same. So outside of the scope nothing changes, and inside no more is allowed than
// by a policy correctly written.
func TestPoliciesOfABoundedNamespaceTakePartOnlyWithinItsScope(t *testing.T) {
	const tries = 4000
	sources := []string{"", "rul1", "rul2", "rul3", "rul4"}
	reasons, changed := map[rules.Reason]int{}, 0
	for seed := range uint64(tries) {
		draw := rand.New(rand.NewPCG(seed, 0))
		policies := randomPolicies(draw)
		within, _ := testScopes.BoundAll(policies)
		bounded, _ := rules.Compile(within)
		unbounded, _ := rules.Compile(policies)
		for _, source := range sources {
			call := fixture.SignUp(pick(draw, "jo@acme.com", "al@acme.com", "jo@beta.example"), source)
			var takePart []rules.Policy
			for _, policy := range policies {
				scope, isBounded := testScopes[policy.Namespace]
				named := len(policy.Sources) == 0 || slices.Contains(policy.Sources, source)
				if named && (!isBounded || slices.Contains(scope, source)) {
					policy.Sources = nil
					takePart = append(takePart, policy)
				}
			}
			alone, _ := rules.Compile(takePart)
			got, want := decided(bounded, call), decided(alone, call)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d, source %q: the decision is not that of the policies within scope (-want +got):\n%s", seed, source, diff)
			}
			reasons[want.Reason]++
			if want.Outcome != decided(unbounded, call).Outcome {
				changed++
			}
		}
	}
	for _, reason := range []rules.Reason{rules.ReasonAllowed, rules.ReasonDenied, rules.ReasonNotAllowed,
		rules.ReasonNoPolicyApplies, rules.ReasonPolicyNotEnforceable} {
		if reasons[reason] == 0 {
			t.Errorf("no call came out as %s: the policies are not varied enough", reason)
		}
	}
	if changed == 0 {
		t.Error("no bound changed an outcome")
	}
}

// visible is what of a decision reaches Okta, the person or the log.
type visible struct {
	Outcome         rules.Outcome
	Reason          rules.Reason
	Policy          rules.PolicyName
	Entry           rules.Entry
	Attribute, Text string
	TookPart        int
	Audit           []rules.AuditOutcome
	Matched         []rules.PolicyName
}

func decided(snapshot *rules.Snapshot, call rules.Call) visible {
	d := snapshot.Decide(call)
	return visible{d.Outcome, d.Reason, d.Policy, d.Entry, d.Attribute, d.Message, d.TookPart, d.Audit, slices.Collect(d.Matched())}
}

func pick[T any](draw *rand.Rand, of ...T) T { return of[draw.IntN(len(of))] }

func randomPolicies(draw *rand.Rand) []rules.Policy {
	var policies []rules.Policy
	for _, name := range []string{"p", "q", "r", "s"}[:draw.IntN(5)] {
		policy := rules.Policy{
			PolicyName: rules.PolicyName{Namespace: pick(draw, "bound", "bound", "free", "shut"), Name: name},
			Mode:       pick(draw, rules.Enforce, rules.Enforce, rules.Audit),
			Message:    name,
		}
		for range pick(draw, 0, 0, 1, 1, 2, 3) {
			policy.Sources = append(policy.Sources, pick(draw, "rul1", "rul2", "rul3", "rul4"))
		}
		policy.Allow.Domains = pick(draw, nil, nil, []string{"acme.com"}, []string{"*"}, []string{"co.uk"})
		policy.Deny.Domains = pick(draw, nil, nil, nil, []string{"beta.example"}, []string{"*"})
		policy.Deny.Addresses = pick(draw, nil, nil, []string{"al@acme.com"})
		policy.NotUnderstood = pick(draw, "", "", "", "", "", "", "", "spec.newer: unknown")
		policies = append(policies, policy)
	}
	return policies
}
