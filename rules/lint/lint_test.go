package lint_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
	"registrationpolicy.dev/operator/test/random"
)

// told returns warnings as lines: the policy's name, the path and the message.
func told(warnings []lint.Warning) []string {
	var lines []string
	for _, w := range warnings {
		lines = append(lines, w.Policy.Name+" "+w.Path+": "+w.Message)
	}
	return lines
}

// cases is how many random cases each property is tried on.
const cases = 1500

func named(name string) rules.PolicyName { return rules.PolicyName{Namespace: "ns", Name: name} }

func allow(name string, domains ...string) rules.Policy {
	return rules.Policy{PolicyName: named(name), Allow: rules.AllowRules{Domains: domains}}
}

func deny(name string, domains ...string) rules.Policy {
	return rules.Policy{PolicyName: named(name), Deny: rules.DenyRules{Domains: domains}}
}

// with returns the policy with a change.
func with(p rules.Policy, change func(*rules.Policy)) rules.Policy {
	change(&p)
	return p
}

func auditing(p rules.Policy) rules.Policy { p.Mode = rules.Audit; return p }

func giving(p rules.Policy, attributes ...rules.ProfileAttribute) rules.Policy {
	p.Profile = attributes
	return p
}

func decide(policies []rules.Policy, call rules.Call) rules.Decision {
	snapshot, _ := rules.Compile(policies)
	return snapshot.Decide(call)
}

func from(p rules.Policy, sources ...string) rules.Policy { p.Sources = sources; return p }

func on(p rules.Policy, requests ...rules.RequestType) rules.Policy {
	p.RequestTypes = requests
	return p
}

func listed(entries ...string) []rules.ListUse {
	return []rules.ListUse{{Name: "list", List: rules.CompileList([]byte(strings.Join(entries, "\n")))}}
}

// warningsOf returns the warnings of policies that are not compiled yet.
func warningsOf(policies []rules.Policy) []lint.Warning {
	all := make([]lint.Policy, len(policies))
	for i := range policies {
		all[i].Policy = policies[i]
	}
	return lint.Warnings(all)
}

// Each case names the warnings that it wants by a part of each.
func TestWarnings(t *testing.T) {
	const nothing = ""
	addresses := func(p rules.Policy, addresses ...string) rules.Policy { p.Allow.Addresses = addresses; return p }
	denying := func(p rules.Policy, domains ...string) rules.Policy { p.Deny.Domains = domains; return p }
	suffixes := func(p rules.Policy, suffixes ...string) rules.Policy { p.Allow.PublicSuffixes = suffixes; return p }
	user := func(p rules.Policy, value string) rules.Policy {
		return giving(p, rules.ProfileAttribute{Name: "userType", Value: value})
	}
	for name, test := range map[string]struct {
		policies []rules.Policy
		want     string // lines
	}{
		"names of one's own are fine": {[]rules.Policy{allow("a", "acme.com", "*.acme.com", "example.org")}, nothing},

		"a mailbox provider":               {[]rules.Policy{allow("a", "acme.com", "GMAIL.com")}, "a spec.allow.domains[1]: gmail.com is a mailbox provider"},
		"a wildcard over one":              {[]rules.Policy{allow("a", "*.yahoo.com")}, "a spec.allow.domains[0]: yahoo.com is a mailbox provider"},
		"a privacy relay":                  {[]rules.Policy{allow("a", "duck.com")}, "a spec.allow.domains[0]: duck.com is a privacy relay"},
		"an address at a mailbox provider": {[]rules.Policy{addresses(allow("a"), "jo@gmail.com")}, nothing},
		"a deny of a mailbox provider":     {[]rules.Policy{deny("a", "gmail.com")}, nothing},
		"a list with mailbox providers": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = listed("acme.com", "web.de", "*.aol.com", "qq.com", "duck.com") })},
			"a spec.allow.lists[0]: list list allows 4 domains at which anybody can get an address (aol.com, duck.com, qq.com and 1 more)",
		},
		"a deny list with mailbox providers": {
			[]rules.Policy{with(deny("a"), func(p *rules.Policy) { p.Deny.Lists = listed("web.de") })}, nothing,
		},

		"schools and authorities are what publicSuffixes is for": {
			[]rules.Policy{suffixes(allow("a"), "*.ac.uk", "*.gov.uk", "*.sch.uk", "*.go.jp", "*.edu", "gov.uk", "*.bmw")}, nothing,
		},
		"a top-level domain for everybody":         {[]rules.Policy{suffixes(allow("a"), "*.com")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below com"},
		"a country":                                {[]rules.Policy{suffixes(allow("a"), "*.de")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below de"},
		"a country's second level for everybody":   {[]rules.Policy{suffixes(allow("a"), "*.co.uk")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below co.uk"},
		"a product's suffix":                       {[]rules.Policy{suffixes(allow("a"), "*.github.io")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below github.io"},
		"a shared suffix of our own list":          {[]rules.Policy{suffixes(allow("a"), "*.onmicrosoft.com")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below onmicrosoft.com"},
		"a name with suffixes of products below":   {[]rules.Policy{suffixes(allow("a"), "*.amazonaws.com")}, "a spec.allow.publicSuffixes[0]: anybody can have a name below amazonaws.com"},
		"the apex of a shared suffix is its owner": {[]rules.Policy{suffixes(allow("a"), "github.io")}, nothing},
		"a top-level domain without a wildcard":    {[]rules.Policy{suffixes(allow("a"), "com")}, "a spec.allow.publicSuffixes[0]: no mail address ends in @com"},

		"an entry that its own policy denies": {
			[]rules.Policy{denying(allow("a", "acme.com", "shop.acme.com"), "acme.com")},
			"a spec.allow.domains[0]: acme.com is denied by spec.deny.domains[0] (acme.com) of this policy\n" +
				"a spec.allow.domains[1]: shop.acme.com is denied by spec.deny.domains[0] (acme.com) of this policy",
		},
		"the apex beside a deny of what is below": {[]rules.Policy{denying(allow("a", "acme.com"), "*.acme.com")}, nothing},
		"a deny within a wildcard is an exception": {
			[]rules.Policy{denying(allow("a", "*.acme.com"), "old.acme.com")}, nothing,
		},
		"an address is an exception from a deny": {[]rules.Policy{denying(addresses(allow("a"), "jo@acme.com"), "acme.com")}, nothing},
		"an address that is denied too": {
			[]rules.Policy{with(addresses(allow("a"), "jo@acme.com"), func(p *rules.Policy) { p.Deny.Addresses = []string{"JO@acme.com"} })},
			"a spec.allow.addresses[0]: spec.deny.addresses[0] denies the same address",
		},
		"an entry below a wildcard": {
			[]rules.Policy{allow("a", "shop.acme.com", "*.acme.com")},
			"a spec.allow.domains[0]: spec.allow.domains[1] (*.acme.com) allows all of this already",
		},
		"an entry beside everything": {
			[]rules.Policy{denying(allow("a", "acme.com", "*"), "ru")},
			`a spec.allow.domains[0]: spec.allow.domains[1] ("*") allows all of this already`,
		},
		"an entry beside everything, and before deny lists": {
			[]rules.Policy{with(allow("a", "acme.com", "*"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") })}, nothing,
		},
		"an address of an allowed domain": {
			[]rules.Policy{addresses(allow("a", "acme.com"), "jo@acme.com")},
			"a spec.allow.addresses[0]: spec.allow.domains[0] (acme.com) allows all of this already",
		},
		"the same in another spelling": {
			[]rules.Policy{allow("a", "acme.com", "ACME.com", "xn--bcher-kva.test", "bücher.test")},
			"a spec.allow.domains[1]: spec.allow.domains[0] is the same entry as this one (acme.com)\n" +
				"a spec.allow.domains[3]: spec.allow.domains[2] is the same entry as this one (xn--bcher-kva.test)",
		},
		"the same address in another spelling": {
			[]rules.Policy{addresses(allow("a"), "jo@acme.com", "Jo@acme.com")},
			"a spec.allow.addresses[1]: spec.allow.addresses[0] is the same address",
		},
		"an address among the sub-addresses of another": {
			[]rules.Policy{addresses(allow("a"), "jo+a@acme.com", "JO@acme.com", "jo+*@acme.com", "joe@acme.com")},
			"a spec.allow.addresses[0]: spec.allow.addresses[2] means this address with all its sub-addresses\n" +
				"a spec.allow.addresses[1]: spec.allow.addresses[2] means this address with all its sub-addresses",
		},
		"a denied address among the sub-addresses of another": {
			[]rules.Policy{with(deny("a"), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo+*@faß.example", "jo+a@faß.example"} })},
			"a spec.deny.addresses[1]: spec.deny.addresses[0] means this address with all its sub-addresses",
		},
		"an allowed address of which all sub-addresses are denied": {
			[]rules.Policy{with(addresses(allow("a"), "jo+a@acme.com"), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo+*@acme.com"} })},
			"a spec.allow.addresses[0]: spec.deny.addresses[0] denies this address with all its sub-addresses",
		},
		"an exception from allowed sub-addresses": {
			[]rules.Policy{with(addresses(allow("a"), "jo+*@acme.com"), func(p *rules.Policy) {
				p.Deny.Addresses, p.Deny.Domains = []string{"jo+a@acme.com"}, []string{"acme.com"}
			})}, nothing,
		},
		"a denied address with sub-addresses, of which one is an exception from its domain": {
			[]rules.Policy{with(addresses(allow("a"), "jo@acme.com"), func(p *rules.Policy) {
				p.Deny.Addresses, p.Deny.Domains = []string{"al+*@acme.com", "jo+a@acme.com"}, []string{"acme.com"}
			})},
			"a spec.deny.addresses[0]: spec.deny.domains[0] (acme.com) denies all of this already\n" +
				"a spec.deny.addresses[1]: spec.deny.domains[0] (acme.com) denies all of this already",
		},
		"two that are the same with sub-addresses": {
			[]rules.Policy{addresses(allow("a"), "jo+*@acme.com", "Jo+*@acme.com")},
			"a spec.allow.addresses[1]: spec.allow.addresses[0] is the same address",
		},
		"another value for one of the sub-addresses": {
			[]rules.Policy{user(addresses(allow("a"), "jo+*@acme.com"), `"x"`), user(addresses(allow("b"), "jo+a@acme.com"), `"y"`)},
			"a spec.profile[0]: another value than that of policy ns/b\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"another value for another address": {
			[]rules.Policy{user(addresses(allow("a"), "jo+b@acme.com"), `"x"`), user(addresses(allow("b"), "jo+a@acme.com"), `"y"`)}, nothing,
		},
		"the same in both lists of domains": {
			[]rules.Policy{suffixes(allow("a", "acme.com"), "acme.com")},
			"a spec.allow.publicSuffixes[0]: spec.allow.domains[0] is the same entry",
		},
		"a deny below a deny": {
			[]rules.Policy{deny("a", "acme.com", "*.acme.com", "old.acme.com")},
			"a spec.deny.domains[1]: spec.deny.domains[0] (acme.com) denies all of this already\n" +
				"a spec.deny.domains[2]: spec.deny.domains[0] (acme.com) denies all of this already",
		},
		"a denied address of a denied domain": {
			[]rules.Policy{with(deny("a", "acme.com"), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo@acme.com"} })},
			"a spec.deny.addresses[0]: spec.deny.domains[0] (acme.com) denies all of this already",
		},
		"the same list twice": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = slices.Concat(listed("acme.com"), listed("acme.com")) })},
			"a spec.allow.lists[1]: spec.allow.lists[0] is the same list",
		},
		"an allow list that denies as well": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists, p.Deny.Lists = listed("acme.com"), listed("acme.com") })},
			"a spec.allow.lists[0]: spec.deny.lists[0] denies by the same list",
		},

		"an entry that another policy denies": {
			[]rules.Policy{allow("a", "acme.com", "example.org"), deny("b", "acme.com")},
			"a spec.allow.domains[0]: policy ns/b denies all of this (spec.deny.domains[0])",
		},
		"an entry that a list of another policy denies": {
			[]rules.Policy{allow("a", "acme.com"), with(deny("b"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") })},
			"a spec.allow.domains[0]: policy ns/b denies all of this (spec.deny.lists[0])",
		},
		"an entry that a wildcard on such a list denies": {
			[]rules.Policy{
				allow("a", "*.acme.com", "acme.com"), with(deny("b"), func(p *rules.Policy) { p.Deny.Lists = listed("*.acme.com") }),
			},
			"a spec.allow.domains[0]: policy ns/b denies all of this (spec.deny.lists[0])",
		},
		"an address that such a list denies": {
			[]rules.Policy{
				addresses(allow("a"), "jo@acme.com", "al@acme.com"),
				with(deny("b"), func(p *rules.Policy) { p.Deny.Lists = listed("Jo@acme.com") }),
			},
			"a spec.allow.addresses[0]: policy ns/b denies all of this (spec.deny.lists[0])",
		},
		"a policy that denies in fewer calls":  {[]rules.Policy{allow("a", "acme.com"), from(deny("b", "acme.com"), "rul1")}, nothing},
		"a policy that denies in mode Audit":   {[]rules.Policy{allow("a", "acme.com"), auditing(deny("b", "acme.com"))}, nothing},
		"a policy that denies with exceptions": {[]rules.Policy{allow("a", "acme.com"), addresses(deny("b", "acme.com"), "jo@acme.com")}, nothing},
		"a policy that denies everything": {
			[]rules.Policy{from(allow("a", "acme.com", "example.org"), "rul1"), deny("b", "*")},
			`a spec.allow: policy ns/b denies "*" in all calls`,
		},

		"the same in two policies": {
			[]rules.Policy{allow("a", "acme.com"), from(allow("b", "example.org", "Acme.com"), "rul1")},
			"a spec.allow.domains[0]: policy ns/b allows the same (spec.allow.domains[1])\n" +
				"b spec.allow.domains[1]: policy ns/a allows the same (spec.allow.domains[0])",
		},
		"the same in policies for other calls": {
			[]rules.Policy{from(allow("a", "acme.com"), "rul2"), from(allow("b", "acme.com"), "rul1"), auditing(allow("c", "acme.com"))}, nothing,
		},

		"a letter of another script": {
			[]rules.Policy{allow("a", "apple.com", "xn--pple-43d.com")},
			"a spec.allow.domains[0]: apple.com looks like xn--pple-43d.com (аpple.com) (spec.allow.domains[1] of this policy)\n" +
				"a spec.allow.domains[1]: xn--pple-43d.com (аpple.com) looks like apple.com (spec.allow.domains[0] of this policy)",
		},
		"letters that together look like another": {
			[]rules.Policy{allow("a", "acme.com"), allow("b", "*.acrne.com")},
			"a spec.allow.domains[0]: acme.com looks like acrne.com (spec.allow.domains[0] of policy ns/b)\n" +
				"b spec.allow.domains[0]: acrne.com looks like acme.com (spec.allow.domains[0] of policy ns/a)",
		},
		"a digit like a letter": {[]rules.Policy{allow("a", "gooo.com", "go0o.com")},
			"a spec.allow.domains[0]: gooo.com looks like go0o.com\na spec.allow.domains[1]: go0o.com looks like gooo.com"},
		"a letter left out": {[]rules.Policy{allow("a", "globex.com", "glbex.com")},
			"a spec.allow.domains[0]: globex.com looks like glbex.com\na spec.allow.domains[1]: glbex.com looks like globex.com"},
		"a letter exchanged": {[]rules.Policy{allow("a", "globex.com", "glabex.com")},
			"a spec.allow.domains[0]: globex.com looks like glabex.com\na spec.allow.domains[1]: glabex.com looks like globex.com"},
		"letters that changed places, of an address": {[]rules.Policy{addresses(allow("a", "globex.com"), "jo@golbex.com")},
			"a spec.allow.addresses[0]: golbex.com looks like globex.com\na spec.allow.domains[0]: globex.com looks like golbex.com"},
		"short names":                            {[]rules.Policy{allow("a", "abcd.com", "abce.com", "xyz.com")}, nothing},
		"numbered names":                         {[]rules.Policy{allow("a", "team1.com", "team2.com", "team-10.com", "team-11.com")}, nothing},
		"names below one domain":                 {[]rules.Policy{allow("a", "sales.acme.com", "sale.acme.com")}, nothing},
		"one name in several countries":          {[]rules.Policy{allow("a", "globex.com", "globex.co", "globex.de", "globex.co.uk")}, nothing},
		"names two letters apart":                {[]rules.Policy{allow("a", "globex.com", "glabax.com")}, nothing},
		"tenants of a shared suffix, one letter": {[]rules.Policy{allow("a", "globex.onmicrosoft.com", "glubex.onmicrosoft.com")}, "a spec.allow.domains[0]: globex.onmicrosoft.com looks like glubex\na spec.allow.domains[1]: glubex.onmicrosoft.com looks like globex"},

		"optional lists that are missing are all there is": {
			[]rules.Policy{with(deny("a"), func(p *rules.Policy) { p.Deny.Lists = []rules.ListUse{{Name: "list", Optional: true}} })},
			"a spec: as it stands, this policy allows nothing and denies nothing",
		},
		"a profile of a policy that only denies": {[]rules.Policy{user(deny("a", "acme.com"), `"x"`)}, "a spec.profile: it is sent where this policy allows"},
		"a profile that is sent on other calls": {
			[]rules.Policy{on(user(allow("a", "acme.com"), `"x"`), rules.ProgressiveProfile)},
			"a spec.profile: it is never sent: the policy applies to ProgressiveProfile only; write profileOn: [ProgressiveProfile]",
		},
		"a profile on calls that do not count": {
			[]rules.Policy{with(on(user(allow("a", "acme.com"), `"x"`), rules.SelfServiceRegistration), func(p *rules.Policy) {
				p.ProfileOn = []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile}
			})},
			"a spec.profileOn[1]: the policy does not apply to ProgressiveProfile",
		},

		"everything, and no deny": {[]rules.Policy{allow("a", "*")}, `a spec.allow.domains[0]: "*" allows every address`},
		"everything, and a deny":  {[]rules.Policy{allow("a", "*"), deny("b", "ru")}, nothing},
		"everything, and a deny for some of the calls": {
			[]rules.Policy{from(allow("a", "*"), "rul1", "rul2"), from(deny("b", "ru"), "rul1")}, `a spec.allow.domains[0]: "*" allows every address`,
		},
		"everything, and denies for all of its calls": {
			[]rules.Policy{from(allow("a", "*"), "rul1", "rul2"), from(deny("b", "ru"), "rul1"), from(deny("c", "ru"), "rul2")}, nothing,
		},
		"everything, and a deny in mode Audit": {
			[]rules.Policy{allow("a", "*"), auditing(deny("b", "ru"))}, `a spec.allow.domains[0]: "*" allows every address`,
		},

		"a profile on which two policies disagree": {
			[]rules.Policy{user(allow("a", "*.acme.com"), `"Partner"`), user(allow("b", "shop.acme.com"), `"Staff"`)},
			"a spec.profile[0]: another value than that of policy ns/b\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"a profile on which two policies agree": {
			[]rules.Policy{user(allow("a", "*.acme.com"), `"Partner"`), user(allow("b", "shop.acme.com"), ` "\u0050artner"`)}, nothing,
		},
		"profiles of policies that allow others": {
			[]rules.Policy{user(allow("a", "acme.com"), `"Partner"`), user(allow("b", "example.org"), `"Staff"`)}, nothing,
		},
		"profiles in other calls": {
			[]rules.Policy{on(user(allow("a", "acme.com"), `"x"`), rules.SelfServiceRegistration), from(with(user(allow("b", "*.com.test", "acme.test"), `"y"`), func(*rules.Policy) {}), "rul1")}, nothing,
		},
		"profiles on other requests": {
			[]rules.Policy{user(allow("a", "*.acme.com"), `"x"`), with(user(allow("b", "a.acme.com"), `"y"`), func(p *rules.Policy) {
				p.ProfileOn = []rules.RequestType{rules.ProgressiveProfile}
			})}, nothing,
		},
		"a profile that goes with a list": {
			[]rules.Policy{user(allow("a", "acme.com"), `"x"`), with(user(allow("b"), `"y"`), func(p *rules.Policy) { p.Allow.Lists = listed("acme.com") })},
			"a spec.profile[0]: another value than that of policy ns/b\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"a profile for the rest": {
			[]rules.Policy{user(allow("a", "acme.com"), `"x"`), denying(user(allow("b", "*"), `"y"`), "acme.com")},
			"a spec.allow.domains[0]: policy ns/b denies all of this",
		},

		"a policy that is not enforceable": {[]rules.Policy{with(allow("a", "gmail.com"), func(p *rules.Policy) { p.NotUnderstood = "x" })}, nothing},
	} {
		t.Run(name, func(t *testing.T) {
			got := told(warningsOf(test.policies))
			var want []string
			if test.want != nothing {
				want = strings.Split(test.want, "\n")
			}
			if !slices.EqualFunc(got, want, strings.HasPrefix) {
				t.Errorf("warnings:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

func TestAPolicyHasABoundedNumberOfWarningsAndSaysHowManyMore(t *testing.T) {
	var domains []string
	for i := range 53 {
		domains = append(domains, fmt.Sprintf("d%d.acme.com", i))
	}
	got := warningsOf([]rules.Policy{allow("a", append(domains, "*.acme.com")...)})
	if len(got) != 51 || got[10].Path != "spec.allow.domains[10]" || got[50].Message != "and 3 more" {
		t.Errorf("%d warnings: %v", len(got), told(got))
	}
}

func TestWarningsHoldNoLocalPartAndDoNotDependOnTheOrderOfPolicies(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies := d.Policies()
		for i := range policies {
			p := &policies[i]
			for _, addresses := range []*[]string{&p.Allow.Addresses, &p.Deny.Addresses} {
				for j, address := range *addresses {
					if local, domain, found := strings.Cut(address, "@"); found {
						(*addresses)[j] = "qzx" + local + "@" + domain
					}
				}
			}
		}
		want := warningsOf(policies)
		for _, w := range want {
			if strings.Contains(w.Message, "qzx") || w.Path == "" || w.Message == "" {
				t.Errorf("%+v", w)
			}
		}
		d.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		if diff := cmp.Diff(want, warningsOf(policies)); diff != "" {
			t.Error(diff)
		}
	})
}

func TestPoliciesThatAreCompiledAlreadyHaveTheSameWarnings(t *testing.T) {
	found := 0
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		written := d.Policies()
		want := warningsOf(written)
		found += len(want)
		policies := make([]lint.Policy, len(written))
		for i := range written {
			policies[i].Policy = written[i]
			if d.Often(2, 3) {
				policies[i].Compiled = rules.CompilePolicy(written[i])
			}
		}
		if diff := cmp.Diff(want, lint.Warnings(policies)); diff != "" {
			t.Error(diff)
		}
	})
	if found == 0 {
		t.Error("no policy had a warning")
	}
}

func BenchmarkWarnings(b *testing.B) {
	written := random.LargePolicies(2000, 10)
	policies := make([]lint.Policy, len(written))
	for i := range written {
		policies[i] = lint.Policy{Policy: written[i], Compiled: rules.CompilePolicy(written[i])}
	}
	b.Run("compiled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			lint.Warnings(policies)
		}
	})
	b.Run("not compiled", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			warningsOf(written)
		}
	})
}

// entryAt reads a path of an entry; its policy is not asked whether it has one.
func entryAt(path string) (rules.Entry, bool) {
	for _, field := range []rules.EntryField{
		rules.DenyAddresses, rules.AllowAddresses, rules.DenyDomains, rules.AllowDomains, rules.AllowPublicSuffixes, rules.DenyLists, rules.AllowLists,
	} {
		var index int
		if rest, found := strings.CutPrefix(path, field.String()); found {
			if _, err := fmt.Sscanf(rest, "[%d]", &index); err == nil {
				return rules.Entry{Field: field, Index: index}, true
			}
		}
	}
	return rules.Entry{}, false
}

// without returns the policies without the entries at some paths. The places of the others change.
func without(policies []rules.Policy, paths map[rules.PolicyName]map[string]bool) []rules.Policy {
	changed := slices.Clone(policies)
	for i := range changed {
		p := &changed[i]
		gone := paths[p.PolicyName]
		p.Allow.Domains = kept(p.Allow.Domains, rules.AllowDomains, gone)
		p.Allow.PublicSuffixes = kept(p.Allow.PublicSuffixes, rules.AllowPublicSuffixes, gone)
		p.Allow.Addresses = kept(p.Allow.Addresses, rules.AllowAddresses, gone)
		p.Allow.Lists = kept(p.Allow.Lists, rules.AllowLists, gone)
		p.Deny.Domains = kept(p.Deny.Domains, rules.DenyDomains, gone)
		p.Deny.Addresses = kept(p.Deny.Addresses, rules.DenyAddresses, gone)
		p.Deny.Lists = kept(p.Deny.Lists, rules.DenyLists, gone)
	}
	return changed
}

func kept[T any](entries []T, field rules.EntryField, gone map[string]bool) []T {
	var rest []T
	for i, entry := range entries {
		if !gone[rules.Entry{Field: field, Index: i}.String()] {
			rest = append(rest, entry)
		}
	}
	return rest
}

// checkWarnings holds for what is said of idle entries of any policies: by one that is said to let nobody in, nobody
// comes in; and without all that are said to be superfluous, every call has the same outcome.
func checkWarnings(t *testing.T, policies []rules.Policy, calls func() rules.Call) {
	t.Helper()
	idle := map[rules.PolicyName]map[string]bool{}
	closed := map[rules.PolicyName]map[string]bool{}
	note := func(in map[rules.PolicyName]map[string]bool, w lint.Warning) {
		if in[w.Policy] == nil {
			in[w.Policy] = map[string]bool{}
		}
		in[w.Policy][w.Path] = true
	}
	for _, w := range warningsOf(policies) {
		switch {
		case strings.Contains(w.Message, "nobody comes in"):
			note(closed, w)
		case strings.Contains(w.Message, "already"), strings.Contains(w.Message, "means this address with"),
			strings.Contains(w.Message, " is the same "), strings.Contains(w.Message, "has no effect"):
			if _, found := entryAt(w.Path); !found {
				t.Fatalf("%+v", w)
			}
			note(idle, w)
		}
	}
	rest := without(policies, idle)
	for range 8 {
		call := calls()
		got, want := decide(rest, call), decide(policies, call)
		if got.Outcome != want.Outcome || got.Reason != want.Reason {
			t.Fatalf("%s %s without %v, else %s %s\n%+v\n%+v", got.Outcome, got.Reason, idle, want.Outcome, want.Reason, policies, call)
		}
		if gone := closed[want.Policy]; want.Outcome == rules.Allow && (gone[want.Entry.String()] || gone["spec.allow"]) {
			t.Fatalf("%s %s lets in %+v\n%+v", want.Policy, want.Entry, call, policies)
		}
	}
}

func TestWhatIsSaidToBeIdleIsIdle(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) { checkWarnings(t, d.Policies(), d.Call) })
}

// FuzzWarnings writes any text into the lists of two of the policies that a seed gives.
func FuzzWarnings(f *testing.F) {
	for i, s := range random.DenySpellings {
		f.Add(uint64(i), s.Text, "*."+s.Text, "local")
	}
	f.Fuzz(func(t *testing.T, seed uint64, entry, other, local string) {
		d := random.New(seed)
		policies := append(d.Policies(),
			rules.Policy{
				PolicyName: named("a"),
				Allow:      rules.AllowRules{Domains: []string{entry, other}, PublicSuffixes: []string{other, entry}, Addresses: []string{"qzx" + local + "@" + entry}},
				Deny:       rules.DenyRules{Addresses: []string{"qzx" + local + "@" + other}},
			},
			rules.Policy{PolicyName: named("b"), Allow: rules.AllowRules{Domains: []string{other}}, Deny: rules.DenyRules{Domains: []string{entry, other}}},
		)
		for _, w := range warningsOf(policies) {
			if strings.Contains(w.Message, "qzx") && !strings.Contains(entry+other, "qzx") {
				t.Fatalf("a local part in %q", w.Message)
			}
		}
		checkWarnings(t, policies, func() rules.Call {
			call := d.Call()
			if d.Often(1, 2) {
				call.Profile[0].Kind, call.Profile[0].Text = rules.Text, "qzx"+local+"@"+random.One(d, []string{entry, strings.TrimPrefix(other, "*."), "a." + entry})
			}
			return call
		})
	})
}

func TestADeniedTopLevelDomainThatDoesNotExistIsWarnedOf(t *testing.T) {
	got := told(warningsOf([]rules.Policy{deny("a", "globex", "*.globex", "ru", "com.ar", "globex.com", "internal", "*", "globex.internal")}))
	const text = "globex is not a known top-level domain, so that this probably denies nobody; if its ending is missing, write a whole domain such as globex.com"
	if len(got) == 0 || got[0] != "a spec.deny.domains[0]: "+text {
		t.Errorf("%q", got)
	}
	for _, line := range got {
		if strings.Contains(line, "top-level") && !strings.Contains(line, "spec.deny.domains[0]") && !strings.Contains(line, "spec.deny.domains[1]") {
			t.Error(line)
		}
	}
}
