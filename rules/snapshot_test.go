package rules_test

import (
	"regexp"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
)

// full is a policy that says something everywhere.
func full() rules.Policy {
	return rules.Policy{
		PolicyName:   named("p"),
		RequestTypes: []rules.RequestType{rules.SelfServiceRegistration},
		Sources:      []string{"rul1", "rul2"},
		Allow: rules.AllowRules{
			Domains: []string{"acme.com", "*.bücher.test"}, PublicSuffixes: []string{"*.ac.uk", "gov.uk"}, Addresses: []string{"jo@a.test", "al@a.test"},
		},
		Deny:    rules.DenyRules{Domains: []string{"ru", "faß.test"}, Addresses: []string{"ed@a.test", "bo@a.test"}},
		Profile: []rules.ProfileAttribute{{Name: "userType", Value: `"Partner"`}, {Name: "tags", Value: `["a","b"]`}},
		Message: "no",
	}
}

func digest(policies ...rules.Policy) string {
	snapshot, _ := rules.Compile(policies)
	return snapshot.Digest()
}

func TestDigestIsTheSameForWhatDecidesAlike(t *testing.T) {
	want := digest(full(), allow("q", "*"))
	if !regexp.MustCompile(`^sha256:[0-9a-f]{64}$`).MatchString(want) {
		t.Errorf("form %q", want)
	}
	for sentence, change := range map[string]func(*rules.Policy){
		"nothing changed":                  func(*rules.Policy) {},
		"mode Enforce is the default":      func(p *rules.Policy) { p.Mode = rules.Enforce },
		"sources in another order":         func(p *rules.Policy) { p.Sources = []string{"rul2", "rul1"} },
		"a source twice":                   func(p *rules.Policy) { p.Sources = []string{"rul2", "rul1", "rul2"} },
		"a request type twice":             func(p *rules.Policy) { p.RequestTypes = append(p.RequestTypes, p.RequestTypes...) },
		"allowed domains in another order": func(p *rules.Policy) { p.Allow.Domains = []string{"*.bücher.test", "acme.com"} },
		"an entry twice":                   func(p *rules.Policy) { p.Allow.Domains = append(p.Allow.Domains, "acme.com") },
		"an A-label for a U-label":         func(p *rules.Policy) { p.Allow.Domains = []string{"acme.com", "*.XN--bcher-kva.test"} },
		"another case of a domain":         func(p *rules.Policy) { p.Allow.Domains[0] = "ACME.com" },
		"another case of an address":       func(p *rules.Policy) { p.Allow.Addresses = []string{"JO@A.test", "al@a.test"} },
		"denied domains in another order":  func(p *rules.Policy) { slices.Reverse(p.Deny.Domains) },
		"a mapped spelling of a deny":      func(p *rules.Policy) { p.Deny.Domains = []string{"ＲＵ", "faß.test"} },
		"addresses in another order":       func(p *rules.Policy) { slices.Reverse(p.Deny.Addresses); slices.Reverse(p.Allow.Addresses) },
		"profile in another order":         func(p *rules.Policy) { slices.Reverse(p.Profile) },
		"another spelling of a value":      func(p *rules.Policy) { p.Profile[1].Value = " [ \"a\", \"\\u0062\" ]" },
	} {
		t.Run(sentence, func(t *testing.T) {
			p := full()
			change(&p)
			if got := digest(allow("q", "*"), p); got != want {
				t.Errorf("digest %s, want %s", got, want)
			}
		})
	}
	both := []rules.RequestType{rules.ProgressiveProfile, rules.SelfServiceRegistration}
	if digest(allow("a", "*")) != digest(with(allow("a", "*"), func(p *rules.Policy) { p.RequestTypes = both })) {
		t.Errorf("naming every request type is not the same as naming none")
	}
}

func TestDigestIsAnotherWhereADecisionOrATextDiffers(t *testing.T) {
	seen := map[string]string{digest(): "no policies", digest(full()): "unchanged"}
	for sentence, change := range map[string]func(*rules.Policy){
		"mode":                        func(p *rules.Policy) { p.Mode = rules.Audit },
		"not understood":              func(p *rules.Policy) { p.NotUnderstood = "x" },
		"name":                        func(p *rules.Policy) { p.Name = "q" },
		"namespace":                   func(p *rules.Policy) { p.Namespace = "other" },
		"namespace and name, shifted": func(p *rules.Policy) { p.Namespace, p.Name = "nsp", "" },
		"request type":                func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{rules.ProgressiveProfile} },
		"no request type":             func(p *rules.Policy) { p.RequestTypes = nil },
		"a source less":               func(p *rules.Policy) { p.Sources = []string{"rul1"} },
		"no source":                   func(p *rules.Policy) { p.Sources = nil },
		"an empty source":             func(p *rules.Policy) { p.Sources = []string{""} },
		"case of a source":            func(p *rules.Policy) { p.Sources = []string{"rul1", "RUL2"} },
		"sources joined":              func(p *rules.Policy) { p.Sources = []string{"rul1\x00rul2"} },
		"a domain for a wildcard":     func(p *rules.Policy) { p.Allow.Domains = []string{"*.acme.com", "*.bücher.test"} },
		"a domain less":               func(p *rules.Policy) { p.Allow.Domains = []string{"acme.com"} },
		"a suffix less":               func(p *rules.Policy) { p.Allow.PublicSuffixes = []string{"gov.uk"} },
		"an allowed address less":     func(p *rules.Policy) { p.Allow.Addresses = []string{"jo@a.test"} },
		"a denied address less":       func(p *rules.Policy) { p.Deny.Addresses = []string{"ed@a.test"} },
		"a denied domain less":        func(p *rules.Policy) { p.Deny.Domains = []string{"faß.test"} },
		"one reading less":            func(p *rules.Policy) { p.Deny.Domains = []string{"ru", "fass.test"} },
		"a denied wildcard":           func(p *rules.Policy) { p.Deny.Domains = []string{"ru", "*.faß.test"} },
		"a denied address allowed": func(p *rules.Policy) {
			p.Deny.Addresses, p.Allow.Addresses = []string{"ed@a.test"}, append(p.Allow.Addresses, "bo@a.test")
		},
		"a profile attribute less": func(p *rules.Policy) { p.Profile = p.Profile[:1] },
		"another value":            func(p *rules.Policy) { p.Profile[0].Value = `"Guest"` },
		"another attribute":        func(p *rules.Policy) { p.Profile[0].Name = "usertype" },
		"the order of a value":     func(p *rules.Policy) { p.Profile[1].Value = `["b","a"]` },
		"the message":              func(p *rules.Policy) { p.Message = "No" },
		"no message":               func(p *rules.Policy) { p.Message = "" },
	} {
		p := full()
		change(&p)
		got := digest(p)
		if other, clash := seen[got]; clash {
			t.Errorf("%q has the digest of %q", sentence, other)
		}
		seen[got] = sentence
	}
	if digest(full()) == digest(full(), with(full(), func(p *rules.Policy) { p.Name = "q" })) {
		t.Errorf("a further policy changes nothing")
	}
	// An allow of which nothing can be used still decides whose message a person reads.
	if digest(saying(deny("a", "ru"), "no")) == digest(with(saying(deny("a", "ru"), "no"), func(p *rules.Policy) { p.Allow.Domains = []string{"com"} })) {
		t.Errorf("having an allow changes nothing")
	}
}

func TestPoliciesOfASnapshot(t *testing.T) {
	policies := []rules.Policy{
		auditing(allow("c", "*")), allow("b", "*"), {PolicyName: named("a"), NotUnderstood: "x"},
		{PolicyName: rules.PolicyName{Namespace: "mz", Name: "z"}, Mode: "Warn"},
		auditing(with(allow("d", "*"), func(p *rules.Policy) { p.RequestTypes = []rules.RequestType{"x"} })),
	}
	snapshot, _ := rules.Compile(policies)
	want := []rules.PolicySummary{
		{PolicyName: rules.PolicyName{Namespace: "mz", Name: "z"}, Mode: rules.Enforce},
		{PolicyName: named("a"), Mode: rules.Enforce},
		{PolicyName: named("b"), Mode: rules.Enforce, Enforceable: true},
		{PolicyName: named("c"), Mode: rules.Audit, Enforceable: true},
		{PolicyName: named("d"), Mode: rules.Audit},
	}
	if diff := cmp.Diff(want, snapshot.Policies()); diff != "" {
		t.Errorf("policies (-want +got):\n%s", diff)
	}
	snapshot.Policies()[0].Name = "changed"
	if diff := cmp.Diff(want, snapshot.Policies()); diff != "" {
		t.Errorf("a caller changed the snapshot:\n%s", diff)
	}
}

func TestASnapshotDoesNotShareItsPoliciesWithTheCaller(t *testing.T) {
	policies := []rules.Policy{full()}
	snapshot, _ := rules.Compile(policies)
	before := snapshot.Decide(signUp("jo@acme.com"))
	policies[0].Allow.Domains[0], policies[0].Sources[0], policies[0].Profile[0].Value = "x.test", "x", `"x"`
	after := snapshot.Decide(signUp("jo@acme.com"))
	if diff := cmp.Diff(before, after, ignoreMatched); diff != "" || before.Reason != rules.ReasonAllowed {
		t.Errorf("%s; changed:\n%s", before.Reason, diff)
	}
	if got := snapshot.Policies()[0].Name; got != "p" {
		t.Errorf("name %q", got)
	}
}
