package analysis_test

import (
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

func policy(name string, allow ...string) rules.Policy {
	return rules.Policy{
		PolicyName: rules.PolicyName{Namespace: "default", Name: name}, Allow: rules.AllowRules{Domains: allow},
	}
}

func with(p rules.Policy, change func(*rules.Policy)) rules.Policy {
	change(&p)
	return p
}

var anySource = []analysis.Calls{
	{Request: rules.SelfServiceRegistration, AnySource: true}, {Request: rules.ProgressiveProfile, AnySource: true},
}

func TestCompare(t *testing.T) {
	denying := func(domains ...string) rules.Policy {
		return with(policy("p", "*"), func(p *rules.Policy) { p.Deny.Domains = domains })
	}
	type parts = []analysis.Part
	for sentence, test := range map[string]struct {
		before, after []rules.Policy
		kind          analysis.Kind
		parts         parts
		witness       []string
		calls         []analysis.Calls
	}{
		"a domain more is allowed": {
			[]rules.Policy{policy("p", "acme.com")}, []rules.Policy{policy("p", "acme.com", "beta.example")},
			analysis.Widened, parts{{Name: "beta.example", Self: true}}, []string{"user@beta.example"}, anySource,
		},
		"a domain less is allowed": {
			[]rules.Policy{policy("p", "acme.com", "*.acme.com")}, []rules.Policy{policy("p", "acme.com")},
			analysis.Narrowed, parts{{Name: "acme.com", Below: true}}, []string{"user@a.acme.com"}, anySource,
		},
		"everybody is let in, with exceptions": {
			nil, []rules.Policy{denying("evil.example")},
			analysis.Widened, parts{{Self: true, Below: true}, {Except: true, Name: "evil.example", Self: true, Below: true}},
			[]string{"user@example.com"}, anySource,
		},
		"an exception inside of what is denied": {
			[]rules.Policy{denying("acme.com")},
			[]rules.Policy{with(denying("acme.com"), func(p *rules.Policy) { p.Allow.Addresses = []string{"Jo+*@acme.com"} })},
			analysis.Widened, parts{{Name: "acme.com", Local: "jo+*"}}, []string{"jo@acme.com"}, anySource,
		},
		"another text": {
			[]rules.Policy{policy("p", "acme.com")},
			[]rules.Policy{with(policy("p", "acme.com"), func(p *rules.Policy) { p.Message = "No." })},
			analysis.OtherText, parts{{Self: true, Below: true}, {Except: true, Name: "acme.com", Self: true}},
			[]string{"user@a.acme.com"}, anySource,
		},
		"another source": {
			[]rules.Policy{with(policy("p", "acme.com"), func(p *rules.Policy) { p.Sources = []string{"rul1"} })},
			[]rules.Policy{with(policy("p", "acme.com"), func(p *rules.Policy) { p.Sources = []string{"rul1", "rul2"} })},
			analysis.Widened, parts{{Name: "acme.com", Self: true}}, []string{"user@acme.com"},
			[]analysis.Calls{
				{Request: rules.SelfServiceRegistration, Sources: []string{"rul2"}}, {Request: rules.ProgressiveProfile, Sources: []string{"rul2"}},
			},
		},
		"sources that no policy names, beside one called any": {
			[]rules.Policy{with(policy("p", "acme.com"), func(p *rules.Policy) { p.Sources = []string{"any", "any-other", "-other"} })},
			[]rules.Policy{policy("p", "acme.com")},
			analysis.Widened, parts{{Name: "acme.com", Self: true}}, []string{"user@acme.com"},
			[]analysis.Calls{
				{Request: rules.SelfServiceRegistration, OtherSources: true}, {Request: rules.ProgressiveProfile, OtherSources: true},
			},
		},
		"only a pair of addresses differs": {
			[]rules.Policy{policy("p", "acme.com", "beta.example")}, []rules.Policy{policy("p", "acme.com"), policy("q", "beta.example")},
			analysis.Narrowed, nil, []string{"user@beta.example", "user@acme.com"}, anySource,
		},
		"the usual address is an exception": {
			[]rules.Policy{policy("p", "beta.example")},
			[]rules.Policy{with(policy("p", "beta.example", "acme.com"), func(p *rules.Policy) { p.Deny.Addresses = []string{"user@acme.com"} })},
			analysis.Widened, parts{{Name: "acme.com", Self: true}, {Except: true, Name: "acme.com", Local: "user"}}, []string{"a@acme.com"}, anySource,
		},
		"a long name that has room for the usual local part": {
			[]rules.Policy{policy("p", "acme.com")}, []rules.Policy{policy("p", "acme.com", long(249))},
			analysis.Widened, parts{{Name: long(249), Self: true}}, []string{"user@" + long(249)}, anySource,
		},
		"names below a long one, with room for a short local part": {
			[]rules.Policy{policy("p", "acme.com")}, []rules.Policy{policy("p", "acme.com", "*."+long(249))},
			analysis.Widened, parts{{Name: long(249), Below: true}}, []string{"us@a." + long(249)}, anySource,
		},
		"the longest names": {
			[]rules.Policy{policy("p", "acme.com")}, []rules.Policy{policy("p", "acme.com", long(252))},
			analysis.Widened, parts{{Name: long(252), Self: true}}, []string{"a@" + long(252)}, anySource,
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			changes, err := analysis.Compare(test.before, test.after)
			if err != nil {
				t.Fatal(err)
			}
			at := slices.IndexFunc(changes, func(c analysis.Change) bool { return c.Kind == test.kind })
			if at < 0 {
				t.Fatalf("no change of kind %d in %+v", test.kind, changes)
			}
			c := changes[at]
			var witness []string
			for _, w := range c.Witness {
				witness = append(witness, w.Address)
			}
			if !slices.Equal(c.Region.Parts, test.parts) || !slices.Equal(witness, test.witness) || !slices.EqualFunc(c.Calls, test.calls, sameCalls) {
				t.Errorf("parts %+v, example %q, calls %+v", c.Region.Parts, witness, c.Calls)
			}
		})
	}
}

func TestChangesOfAKindAreSortedByThePolicyThatExplainsThem(t *testing.T) {
	some := []rules.Policy{policy("z", "acme.com"), policy("a", "beta.example")}
	for sentence, test := range map[string]struct{ before, after []rules.Policy }{
		"the new policy":                    {nil, some},
		"the old one, if there is no other": {some, nil},
	} {
		t.Run(sentence, func(t *testing.T) {
			changes, err := analysis.Compare(test.before, test.after)
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for _, c := range changes {
				if c.Kind == analysis.Widened || c.Kind == analysis.Narrowed {
					names = append(names, c.Was.Policy.Name+c.Now.Policy.Name)
				}
			}
			if !slices.Equal(names, []string{"a", "z"}) {
				t.Errorf("policies %q", names)
			}
		})
	}
}

func sameCalls(a, b analysis.Calls) bool {
	return a.Request == b.Request && a.AnySource == b.AnySource && a.OtherSources == b.OtherSources && slices.Equal(a.Sources, b.Sources)
}

// long returns a domain of so many bytes.
func long(size int) string {
	name := "example"
	for len(name) < size {
		name = strings.Repeat("a", min(63, size-len(name)-1)) + "." + name
	}
	return name
}

func TestANameThatNoAddressCanHaveIsNoChange(t *testing.T) {
	for sentence, after := range map[string]rules.Policy{
		"no name is below the longest":               policy("p", "acme.com", "*."+long(251)),
		"an address needs two labels":                with(policy("p", "acme.com"), func(p *rules.Policy) { p.Deny.Domains = []string{"zz"} }),
		"a domain of 253 bytes leaves no local part": policy("p", "acme.com", long(253)),
	} {
		t.Run(sentence, func(t *testing.T) {
			changes, err := analysis.Compare([]rules.Policy{policy("p", "acme.com")}, []rules.Policy{after})
			for _, c := range changes {
				if c.Kind == analysis.Widened || c.Kind == analysis.Narrowed {
					t.Errorf("%+v, %v", c, err)
				}
			}
		})
	}
}
