package analysis_test

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
	"registrationpolicy.dev/operator/test/random"
)

// matches reports whether an entry of a set matches an address.
func matches(entry, address string) bool {
	local, name, _ := strings.Cut(strings.ToLower(address), "@")
	base, _, _ := strings.Cut(local, "+")
	below, wildcard := strings.CutPrefix(entry, "*.")
	switch {
	case entry == "*":
		return true
	case wildcard:
		return strings.HasSuffix(name, "."+below)
	default:
		return entry == name || entry == local+"@"+name || entry == base+"+*@"+name
	}
}

func TestEveryDecidesEachCallOfTheSet(t *testing.T) {
	entries := []string{
		"*", "acme.test", "*.acme.test", "a.acme.test", "*.a.acme.test", "jo@acme.test", "jo+*@acme.test", "jo+x@a.acme.test", "*.test",
		"acme.co.uk", "*.co.uk", "kawasaki.jp", "other.example",
	}
	random.Each(t, 1000, func(t *testing.T, d random.Draw) {
		policies := d.Policies()
		set := analysis.Set{Addresses: d.Many(3, func() string { return random.One(d, entries) })}
		set.Except = d.Many(2, func() string { return random.One(d, entries[1:]) })
		if d.Often(1, 3) {
			set.Requests = []rules.RequestType{random.One(d, types)}
		}
		if d.Often(1, 3) {
			set.Sources = []string{random.One(d, sources)}
		}
		parts, err := analysis.Every(policies, set)
		if err != nil && err.Error() != "there is no address in the set" {
			t.Fatal(err)
		}
		snapshot, _ := rules.Compile(policies)
		named := map[string]bool{}
		for _, p := range policies {
			for _, source := range p.Sources {
				named[source] = named[source] || p.Mode != rules.Audit
			}
		}
		for _, source := range set.Sources {
			named[source] = true
		}
		for _, address := range allCalls().addresses {
			matching := func(entry string) bool { return matches(entry, address) }
			inSet := slices.ContainsFunc(set.Addresses, matching) && !slices.ContainsFunc(set.Except, matching)
			for _, request := range types {
				for _, source := range sources {
					want := 0
					if inSet && (set.Requests == nil || set.Requests[0] == request) && (set.Sources == nil || set.Sources[0] == source) {
						want = 1
					}
					result := decided(snapshot, request, source, address)
					found := 0
					for _, part := range parts {
						if includes(analysis.Change{Calls: part.Calls}, request, source, named) && has(part.Region, address) {
							found++
							if result.Entry.Field != rules.NoEntry && !part.Verdicts[analysis.Verdict{Policy: result.Policy, Entry: result.Entry}] {
								t.Errorf("no verdict of %s %s in %+v", result.Policy, result.Entry, part)
							}
							if part.Result != result {
								t.Errorf("%s of %q from %q: %+v, decided %+v", request, address, source, part.Result, result)
							}
						}
					}
					if found != want {
						t.Errorf("%s of %q from %q is in %d parts, want %d", request, address, source, found, want)
					}
				}
			}
		}
		for _, part := range parts {
			if !has(part.Region, part.Witness.Address) {
				t.Errorf("the example %q is not in its region %+v", part.Witness.Address, part.Region)
			}
		}
	})
}

func TestEveryRefusesASetThatIsNotValid(t *testing.T) {
	for sentence, test := range map[string]struct {
		set  analysis.Set
		want string
	}{
		"an entry that is not one": {analysis.Set{Addresses: []string{"acme.com", "acme.com."}}, "addresses[1]: "},
		"an exception that is not": {analysis.Set{Addresses: []string{"*"}, Except: []string{"jo@@acme.com"}}, "except[0]: "},
		"everything is excepted":   {analysis.Set{Addresses: []string{"acme.com"}, Except: []string{"acme.com"}}, "there is no address in the set"},
		"nothing":                  {analysis.Set{}, "there is no address in the set"},
	} {
		t.Run(sentence, func(t *testing.T) {
			if _, err := analysis.Every(nil, test.set); err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
		})
	}
}

func TestEveryHasTheVerdictsOfPoliciesThatDoNotDecide(t *testing.T) {
	trial := with(policy("trial", "acme.com"), func(p *rules.Policy) { p.Mode = rules.Audit })
	other := with(policy("other", "acme.com", "beta.example"), func(p *rules.Policy) { p.Allow.Addresses = []string{"jo@acme.com"} })
	parts, err := analysis.Every([]rules.Policy{policy("a", "acme.com"), other, trial}, analysis.Set{Addresses: []string{"acme.com"}})
	if err != nil || len(parts) != 1 {
		t.Fatal(parts, err)
	}
	want := map[analysis.Verdict]bool{
		{Policy: policy("a").PolicyName, Entry: rules.Entry{Field: rules.AllowDomains}}: true,
		{Policy: other.PolicyName, Entry: rules.Entry{Field: rules.AllowDomains}}:       true,
		{Policy: other.PolicyName, Entry: rules.Entry{Field: rules.AllowAddresses}}:     true,
	}
	if !maps.Equal(parts[0].Verdicts, want) {
		t.Errorf("%+v", parts[0].Verdicts)
	}
}
