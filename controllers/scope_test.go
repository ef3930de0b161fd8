package controllers

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
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
			call := signUp(pick(draw, "jo@acme.com", "al@acme.com", "jo@beta.example"), source)
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

func TestStatusSaysWhatIsOutsideOfTheScopeOfANamespace(t *testing.T) {
	const rest = " The rest of the policy is, for calls of "
	for sentence, c := range map[string]struct {
		spec   string
		reason string
		want   []string // in the message
	}{
		"a source within is accepted": {
			`{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}}`, "Accepted", []string{"All of the spec is in force."}},
		"no source is not every source": {
			`{allow: {domains: [acme.com]}}`, "OutsideScope",
			[]string{
				"spec.appliesTo.sources: missing", "decide calls of rul1, rul2 only", "write one or more of these",
				rest + "rul1, rul2.",
			}},
		"one source of two is outside": {
			`{appliesTo: {sources: [rul3, rul1]}, deny: {domains: [acme.com]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[0]: ", "rul1, rul2 only (--namespace-sources)", "or remove it", rest + "rul1."}},
		"every source is outside": {
			`{appliesTo: {sources: [rul3]}, deny: {domains: [acme.com]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[0]: ", "takes part in no call"}},
		"an entry is wrong too": {
			`{appliesTo: {sources: [rul1, rul3]}, allow: {domains: [acme.com, co.uk]}}`, "OutsideScope",
			[]string{"spec.appliesTo.sources[1]: ", "; spec.allow.domains[1]: ", "publicSuffixes", rest + "rul1."}},
		"an entry is wrong, and no source": {
			`{appliesTo: {sources: [rul1]}, allow: {domains: [acme.com, co.uk]}}`, "InvalidEntry",
			[]string{"Not in force: spec.allow.domains[1]: ", "The rest of the policy is."}},
	} {
		t.Run(sentence, func(t *testing.T) {
			namespace := cluster.namespace(t)
			f := newStatusFixture(t, cluster, false)
			f.reconciler.scopes = Scopes{namespace: {"rul1", "rul2"}}
			cluster.apply(t, namespace, "policy", c.spec)
			f.reconcile(t, namespace, "policy")
			_, got := statusOf(t, cluster, namespace, "policy")
			if got.reason != c.reason || (got.status == "True") != (c.reason == "Accepted") {
				t.Errorf("condition %+v, want the reason %s", got, c.reason)
			}
			for _, want := range c.want {
				if !strings.Contains(got.message, want) {
					t.Errorf("the message %q does not say %q", got.message, want)
				}
			}
		})
	}
}

func TestABrokenPolicyOfABoundedNamespaceDeniesItsScopeOnly(t *testing.T) {
	c := relaxedCluster(t)
	namespace := c.namespace(t)
	scopes := Scopes{namespace: {"rul1", "rul2"}}
	f := newBoundFixture(t, c.config, namespace, scopes)
	status := newStatusFixture(t, c, false)
	status.reconciler.scopes = scopes
	open := rules.Policy{PolicyName: rules.PolicyName{Namespace: "other", Name: "open"}, Allow: rules.AllowRules{Domains: []string{"*"}}}

	for spec, effect := range map[string]struct{ rul1, rul3, says string }{
		`{allow: {domains: [acme.com]}, newer: 1}`:                                  {notEnforceable, allowed, some},
		`{appliesTo: {sources: rul3}, allow: {domains: [acme.com]}}`:                {notEnforceable, allowed, some},
		`{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}, newer: 1}`:     {allowed, allowed, some},
		`{appliesTo: {sources: [rul3]}, deny: {domains: [acme.com]}, newer: 1}`:     {allowed, allowed, "takes part in no call"},
		`{mode: Audit, appliesTo: {apps: [a]}, deny: {domains: [acme.com]}}`:        {allowed, allowed, nobody},
		`{appliesTo: {sources: [rul3, rul1]}, deny: {domains: ["*"]}, message: 17}`: {notEnforceable, allowed, some},
	} {
		c.apply(t, namespace, "broken", spec)
		f.publisher.Publish("other", publish.Build{Policies: []*publish.Policy{f.publisher.Compile(open)}})
		f.reconcile(t)
		for source, want := range map[string]string{"rul1": effect.rul1, "rul3": effect.rul3} {
			if got := answerTo(f.store, signUp("jo@acme.com", source)); got != want {
				t.Errorf("%s: a call of %s: %s, want %s", spec, source, got, want)
			}
		}
		status.reconcile(t, namespace, "broken")
		_, got := statusOf(t, c, namespace, "broken")
		if got.reason != "NotUnderstood" || !strings.Contains(got.message, effect.says) {
			t.Errorf("%s: condition %+v, want NotUnderstood and %q", spec, got, effect.says)
		}
	}
}

func TestTheDeletionOfAPolicyThatTookPartInNothingOpensNothing(t *testing.T) {
	f := newStatusFixture(t, cluster, false)
	f.reconciler.scopes = Scopes{"team-a": {"rul1"}}
	f.reconciler.deleted(policyObject(t, "team-a", "outside", `{appliesTo: {sources: [rul2]}, deny: {domains: [acme.com]}}`))
	if announced := f.announced(); len(announced) != 0 {
		t.Errorf("Events %q, want none", announced)
	}
	f.reconciler.deleted(policyObject(t, "team-a", "inside", `{deny: {domains: [acme.com]}}`))
	if announced := f.announced(); len(announced) != 1 || !strings.Contains(announced[0], eventDeleted) {
		t.Errorf("Events %q, want one with reason %s", announced, eventDeleted)
	}
}

func TestScopesBoundTheRulesOfACluster(t *testing.T) {
	namespace := cluster.namespace(t)
	f := newRulesFixture(t, cluster.config, namespace)
	cluster.apply(t, namespace, "acme", `{allow: {domains: [acme.com]}}`)
	f.reconcile(t)
	unbounded := f.digest(t)

	f = newBoundFixture(t, cluster.config, namespace, Scopes{namespace: {"rul1"}})
	f.reconcile(t)
	bounded := f.digest(t)
	if bounded == unbounded {
		t.Error("the digest does not tell bounded rules from others")
	}
	for source, want := range map[string]string{"rul1": allowed, "rul2": "DENY NoPolicyApplies"} {
		if got := answerTo(f.store, signUp("jo@acme.com", source)); got != want {
			t.Errorf("a call of %s: %s, want %s", source, got, want)
		}
	}
	if got := metric(t, f.registry, "registration_policy_rejected_parts"); got != 1 {
		t.Errorf("%v rejected parts, want the missing sources", got)
	}
	f.reconcile(t)
	if again := f.digest(t); again != bounded {
		t.Error("the same objects and scopes gave another digest")
	}
}

func TestScopesBoundTheRulesOfADirectory(t *testing.T) {
	f := openDirectory(t, "policy.yaml",
		policyFile("p, namespace: team-a", "\n  appliesTo: {sources: [rul2, rul1]}"+allowAcme))
	f.scopes = Scopes{"team-a": {"rul1"}, "taem-b": {"rul1"}}
	f.publisher = publish.New(publish.Options{Bound: f.scopes.Bound, Store: f.store, Logger: f.logger})
	f.load(t)
	for source, want := range map[string]string{"rul1": allowed, "rul2": "DENY NoPolicyApplies"} {
		if got := answerTo(f.store, signUp("jo@acme.com", source)); got != want {
			t.Errorf("a call of %s: %s, want %s", source, got, want)
		}
	}
	for _, want := range []string{
		"policy.yaml:5 path=spec.appliesTo.sources[0]", "team-a decide calls of rul1 only (--namespace-sources)",
		`"Bounded namespace has no policy: is it misspelt?" namespace=taem-b`,
	} {
		if !strings.Contains(f.log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, f.log)
		}
	}
}
