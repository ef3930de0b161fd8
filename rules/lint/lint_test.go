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

// numbered returns texts with the numbers from 0.
func numbered(format string, n int) []string {
	texts := make([]string, n)
	for i := range texts {
		texts[i] = fmt.Sprintf(format, i)
	}
	return texts
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
	allowing := func(name string) rules.Policy {
		return with(allow(name), func(p *rules.Policy) { p.Allow.Lists = listed("acme.com") })
	}
	for name, test := range map[string]struct {
		policies []rules.Policy
		want     string // lines
	}{
		"names of one's own are fine": {[]rules.Policy{allow("a", "acme.com", "*.acme.com", "example.org")}, nothing},

		"a mailbox provider":  {[]rules.Policy{allow("a", "acme.com", "GMAIL.com")}, "a spec.allow.domains[1]: gmail.com is a mailbox provider"},
		"a wildcard over one": {[]rules.Policy{allow("a", "*.yahoo.com")}, "a spec.allow.domains[0]: yahoo.com is a mailbox provider"},
		"a mailbox provider beside an address": {
			[]rules.Policy{addresses(allow("a", "gmail.com"), "jo@acme.com")}, "a spec.allow.domains[0]: gmail.com is a mailbox provider",
		},
		"a privacy relay":                  {[]rules.Policy{allow("a", "duck.com")}, "a spec.allow.domains[0]: duck.com is a privacy relay"},
		"an address at a mailbox provider": {[]rules.Policy{addresses(allow("a"), "jo@gmail.com")}, nothing},
		"a deny of a mailbox provider":     {[]rules.Policy{deny("a", "gmail.com")}, nothing},
		"a list with mailbox providers": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = listed("acme.com", "web.de", "*.aol.com", "qq.com", "duck.com") })},
			"a spec.allow.lists[0]: list list allows 4 domains at which anybody can get an address (aol.com, duck.com, qq.com and 1 more)",
		},
		"a list with one mailbox provider": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = listed("acme.com", "web.de") })},
			"a spec.allow.lists[0]: list list allows a domain at which anybody can get an address (web.de);",
		},
		"a list with as many mailbox providers as are named": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = listed("web.de", "aol.com", "qq.com") })},
			"a spec.allow.lists[0]: list list allows 3 domains at which anybody can get an address (aol.com, qq.com, web.de);",
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
		"an address beside everything": {
			[]rules.Policy{denying(addresses(allow("a", "*"), "jo@acme.com"), "ru")},
			`a spec.allow.addresses[0]: spec.allow.domains[0] ("*") allows all of this already`,
		},
		"an address beside everything, and before deny lists": {
			[]rules.Policy{with(addresses(allow("a", "*"), "jo@acme.com"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") })}, nothing,
		},
		"an address is an exception from a deny above its domain": {
			[]rules.Policy{denying(addresses(allow("a", "*"), "jo@shop.acme.com"), "acme.com")}, nothing,
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
		"another value for the same address": {
			[]rules.Policy{user(addresses(allow("a"), "jo@acme.com"), `"x"`), user(on(addresses(allow("b"), "jo@acme.com"), rules.SelfServiceRegistration), `"y"`)},
			"a spec.allow.addresses[0]: policy ns/b allows the same\na spec.profile[0]: another value than that of policy ns/b, and both\n" +
				"b spec.allow.addresses[0]: policy ns/a allows the same\nb spec.profile[0]: another value than that of policy ns/a, and both",
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
		"two different lists": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) { p.Allow.Lists = slices.Concat(listed("acme.com"), listed("acme.org")) })}, nothing,
		},
		"the same list three times, of which one denies": {
			[]rules.Policy{with(allow("a"), func(p *rules.Policy) {
				p.Allow.Lists, p.Deny.Lists = slices.Concat(listed("acme.com"), listed("acme.com")), listed("acme.com")
			})},
			"a spec.allow.lists[0]: spec.deny.lists[0] denies by the same list\n" +
				"a spec.allow.lists[1]: spec.allow.lists[0] is the same list",
		},
		"lists of a policy that denies everything": {
			[]rules.Policy{with(deny("a", "*"), func(p *rules.Policy) { p.Deny.Lists = slices.Concat(listed("acme.com"), listed("acme.org")) })},
			`a spec.deny.lists[0]: spec.deny.domains[0] ("*") denies everything` + "\n" +
				`a spec.deny.lists[1]: spec.deny.domains[0] ("*") denies everything`,
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
		"a list of a policy that also denies by name and allows everything else": {
			[]rules.Policy{
				allow("a", "acme.com"), with(denying(allow("b", "*"), "ru"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") }),
			},
			"a spec.allow.domains[0]: policy ns/b denies all of this (spec.deny.lists[0])",
		},
		"a list of a policy that allows by name, before its list": {
			[]rules.Policy{allow("a", "acme.com"), with(allow("b", "beta.example"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") })},
			nothing,
		},
		"a list of a policy in mode Audit": {
			[]rules.Policy{allow("a", "acme.com"), auditing(with(deny("b"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") }))}, nothing,
		},
		"a policy that denies in fewer calls":  {[]rules.Policy{allow("a", "acme.com"), from(deny("b", "acme.com"), "rul1")}, nothing},
		"a policy that denies in mode Audit":   {[]rules.Policy{allow("a", "acme.com"), auditing(deny("b", "acme.com"))}, nothing},
		"a policy that denies with exceptions": {[]rules.Policy{allow("a", "acme.com"), addresses(deny("b", "acme.com"), "jo@acme.com")}, nothing},
		"a policy that denies with an exception below a wildcard": {
			[]rules.Policy{allow("a", "*.acme.com"), addresses(deny("b", "acme.com"), "jo@shop.acme.com")}, nothing,
		},
		"a policy that denies with exceptions elsewhere": {
			[]rules.Policy{allow("a", "acme.com", "*.acme.com"), addresses(deny("b", "acme.com"), "jo@example.org")},
			"a spec.allow.domains[0]: policy ns/b denies all of this (spec.deny.domains[0])\n" +
				"a spec.allow.domains[1]: policy ns/b denies all of this (spec.deny.domains[0])",
		},
		"a policy that denies everything, and one with as many suffixes as domains": {
			[]rules.Policy{suffixes(allow("a", "acme.com"), "*.ac.uk"), deny("b", "*")},
			`a spec.allow: policy ns/b denies "*" in all calls`,
		},
		"a policy that denies everything": {
			[]rules.Policy{from(allow("a", "acme.com", "example.org"), "rul1"), deny("b", "*")},
			`a spec.allow: policy ns/b denies "*" in all calls`,
		},

		"everything is denied to policies that allow, and to one that only denies": {
			[]rules.Policy{deny("a", "ru"), allow("b", "globex.com", "glbex.com"), allow("c", "acme.com"), deny("d", "*")},
			`b spec.allow: policy ns/d denies "*" in all calls` + "\n" + `c spec.allow: policy ns/d denies "*" in all calls`,
		},
		"everything is denied in fewer calls": {[]rules.Policy{allow("a", "acme.com"), from(deny("b", "*"), "rul1")}, nothing},
		"everything is denied, with exceptions": {
			[]rules.Policy{allow("a", "acme.com"), addresses(deny("b", "*"), "jo@acme.com")}, nothing,
		},
		"everything is denied by the policy itself": {
			[]rules.Policy{denying(allow("a", "acme.com"), "*")}, `a spec.allow.domains[0]: acme.com is denied by spec.deny.domains[0] ("*") of this policy`,
		},
		"everything is denied to a policy that is not enforceable": {
			[]rules.Policy{with(allow("a", "acme.com"), func(p *rules.Policy) { p.NotUnderstood = "x" }), deny("b", "*")}, nothing,
		},
		"a policy that another one denies, after one that only denies": {
			[]rules.Policy{deny("a", "ru"), allow("b", "acme.com"), deny("c", "acme.com")},
			"b spec.allow.domains[0]: policy ns/c denies all of this (spec.deny.domains[0])",
		},
		"a deny that another policy has too": {[]rules.Policy{denying(allow("a", "acme.com"), "ru"), deny("b", "ru")}, nothing},
		"an entry that its own policy denies and another one": {
			[]rules.Policy{denying(allow("a", "acme.com", "acme.org"), "acme.com"), deny("b", "acme.com")},
			"a spec.allow.domains[0]: acme.com is denied by spec.deny.domains[0] (acme.com) of this policy",
		},

		"the same in two policies": {
			[]rules.Policy{allow("a", "acme.com"), from(allow("b", "example.org", "Acme.com"), "rul1")},
			"a spec.allow.domains[0]: policy ns/b allows the same (spec.allow.domains[1])\n" +
				"b spec.allow.domains[1]: policy ns/a allows the same (spec.allow.domains[0])",
		},
		"the same in three policies": {
			[]rules.Policy{allow("a", "acme.com"), allow("b", "acme.com"), allow("c", "acme.com")},
			"a spec.allow.domains[0]: policy ns/b allows the same\nb spec.allow.domains[0]: policy ns/a allows the same\n" +
				"c spec.allow.domains[0]: policy ns/a allows the same",
		},
		"the same in two policies, after two that do not count": {
			[]rules.Policy{
				auditing(allow("a", "acme.com")), with(allow("b", "acme.com"), func(p *rules.Policy) { p.NotUnderstood = "x" }),
				allow("c", "acme.com"), allow("d", "acme.com"),
			},
			"c spec.allow.domains[0]: policy ns/d allows the same\nd spec.allow.domains[0]: policy ns/c allows the same",
		},
		"the same list in three policies": {
			[]rules.Policy{allowing("a"), allowing("b"), allowing("c")},
			"a spec.allow.lists[0]: policy ns/b allows the same (spec.allow.lists[0])\n" +
				"b spec.allow.lists[0]: policy ns/a allows the same (spec.allow.lists[0])\n" +
				"c spec.allow.lists[0]: policy ns/a allows the same (spec.allow.lists[0])",
		},
		"the same list in policies that do not both allow by it": {
			[]rules.Policy{
				allowing("a"), auditing(allowing("b")), from(with(deny("c"), func(p *rules.Policy) { p.Deny.Lists = listed("acme.com") }), "rul1"),
				with(allowing("d"), func(p *rules.Policy) { p.NotUnderstood = "x" }),
			}, nothing,
		},
		"the same in policies for other calls": {
			[]rules.Policy{from(allow("a", "acme.com"), "rul2"), from(allow("b", "acme.com"), "rul1"), auditing(allow("c", "acme.com"))}, nothing,
		},
		"the same in policies for other requests": {
			[]rules.Policy{on(allow("a", "acme.com"), rules.SelfServiceRegistration), on(allow("b", "acme.com"), rules.ProgressiveProfile)}, nothing,
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
		"a letter more at the end": {[]rules.Policy{allow("a", "globex.com", "globexs.com")},
			"a spec.allow.domains[0]: globex.com looks like globexs.com\na spec.allow.domains[1]: globexs.com looks like globex.com"},
		"a letter more at the start": {[]rules.Policy{allow("a", "globex.com", "aglobex.com")},
			"a spec.allow.domains[0]: globex.com looks like aglobex.com\na spec.allow.domains[1]: aglobex.com looks like globex.com"},
		"a letter exchanged": {[]rules.Policy{allow("a", "globex.com", "glabex.com")},
			"a spec.allow.domains[0]: globex.com looks like glabex.com\na spec.allow.domains[1]: glabex.com looks like globex.com"},
		"letters that changed places, of an address": {[]rules.Policy{addresses(allow("a", "globex.com"), "jo@golbex.com")},
			"a spec.allow.addresses[0]: golbex.com looks like globex.com\na spec.allow.domains[0]: globex.com looks like golbex.com"},
		"alike, after another name": {
			[]rules.Policy{allow("a", "acme.com", "globex.com", "glbex.com")},
			"a spec.allow.domains[1]: globex.com looks like glbex.com\na spec.allow.domains[2]: glbex.com looks like globex.com",
		},
		"alike, after a public suffix": {
			[]rules.Policy{suffixes(allow("a"), "*.ac.uk", "globex.com", "glbex.com")},
			"a spec.allow.publicSuffixes[1]: globex.com looks like glbex.com\na spec.allow.publicSuffixes[2]: glbex.com looks like globex.com",
		},
		"alike, one with several entries in a policy": {
			[]rules.Policy{allow("a", "globex.com", "shop.globex.com", "a.globex.com", "glbex.com"), allow("b", "b.globex.com")},
			"a spec.allow.domains[0]: globex.com looks like glbex.com\na spec.allow.domains[3]: glbex.com looks like globex.com\n" +
				"b spec.allow.domains[0]: globex.com looks like glbex.com (spec.allow.domains[3] of policy ns/a)",
		},
		"alike, and one is denied on purpose": {[]rules.Policy{denying(allow("a", "globex.com"), "glbex.com")}, nothing},
		"alike, and one is denied by another policy": {
			[]rules.Policy{allow("a", "globex.com", "glbex.com"), deny("b", "glbex.com")},
			"a spec.allow.domains[1]: policy ns/b denies all of this",
		},
		"alike, after a denied address": {
			[]rules.Policy{with(allow("a", "globex.com", "glbex.com"), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo@acme.com"} })},
			"a spec.allow.domains[0]: globex.com looks like glbex.com\na spec.allow.domains[1]: glbex.com looks like globex.com",
		},
		"alike, after many others": {
			[]rules.Policy{allow("a", slices.Concat(numbered("company-%d.com", 300), []string{"globex.com", "glbex.com"})...)},
			"a spec.allow.domains[300]: globex.com looks like glbex.com\na spec.allow.domains[301]: glbex.com looks like globex.com",
		},
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
		"as many entries as lists": {
			[]rules.Policy{with(allow("a", "acme.com"), func(p *rules.Policy) { p.Allow.Lists = listed("acme.org") })}, nothing,
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
		"everything on both types of requests, and a deny on the second": {
			[]rules.Policy{
				on(allow("a", "*"), rules.SelfServiceRegistration, rules.ProgressiveProfile), on(deny("b", "ru"), rules.ProgressiveProfile),
			},
			`a spec.allow.domains[0]: "*" allows every address`,
		},
		"everything, and denies for each type of request": {
			[]rules.Policy{allow("a", "*"), on(deny("b", "ru"), rules.SelfServiceRegistration), on(deny("c", "ru"), rules.ProgressiveProfile)}, nothing,
		},
		"everything, and denies for each type of request from its source": {
			[]rules.Policy{
				from(allow("a", "*"), "rul1"), from(on(deny("b", "ru"), rules.SelfServiceRegistration), "rul1"),
				from(on(deny("c", "ru"), rules.ProgressiveProfile), "rul1"),
			}, nothing,
		},
		"everything in mode Audit":                                {[]rules.Policy{auditing(allow("a", "*"))}, `a spec.allow.domains[0]: "*" allows every address`},
		"everything in mode Audit, and a deny of the same policy": {[]rules.Policy{auditing(denying(allow("a", "*"), "ru"))}, nothing},
		"everything, after a policy of which all calls have a deny": {
			[]rules.Policy{from(denying(allow("a", "acme.com"), "ru"), "rul1"), allow("b", "*")}, `b spec.allow.domains[0]: "*" allows every address`,
		},
		"everything, and denies for all of its calls": {
			[]rules.Policy{from(allow("a", "*"), "rul1", "rul2"), from(deny("b", "ru"), "rul1"), from(deny("c", "ru"), "rul2")}, nothing,
		},
		"everything, and a deny in mode Audit": {
			[]rules.Policy{allow("a", "*"), auditing(deny("b", "ru"))}, `a spec.allow.domains[0]: "*" allows every address`,
		},

		"a profile on which two policies disagree": {
			[]rules.Policy{user(allow("a", "*.acme.com"), `"Partner"`), user(allow("b", "shop.acme.com"), `"Staff"`)},
			"a spec.profile[0]: another value than that of policy ns/b, and both can allow\n" +
				"b spec.profile[0]: another value than that of policy ns/a, and both can allow",
		},
		"a profile on which two policies disagree, after policies that do not count": {
			[]rules.Policy{
				deny("a", "ru"), auditing(user(allow("b", "acme.com"), `"x"`)), user(allow("c", "*.acme.com"), `"x"`),
				with(user(allow("d", "a.acme.com"), `"y"`), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo@acme.org"} }),
			},
			"c spec.profile[0]: another value than that of policy ns/d, and both\nd spec.profile[0]: another value than that of policy ns/c, and both",
		},
		"a profile in mode Audit": {
			[]rules.Policy{user(allow("a", "*.acme.com"), `"x"`), auditing(user(allow("b", "a.acme.com"), `"y"`))}, nothing,
		},
		"profiles, and a third policy denies in the calls that both have": {
			[]rules.Policy{
				from(user(allow("a", "*.acme.com"), `"x"`), "rul1"), user(allow("b", "shop.acme.com"), `"y"`), from(deny("c", "acme.com"), "rul1"),
			},
			"a spec.allow.domains[0]: policy ns/c denies all of this",
		},
		"profiles, and one of the two policies denies the address": {
			[]rules.Policy{
				from(with(user(allow("a", "acme.org"), `"x"`), func(p *rules.Policy) { p.Deny.Addresses = []string{"jo@acme.com"} }), "rul1"),
				user(addresses(allow("b"), "jo@acme.com"), `"y"`),
			}, nothing,
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
		"a profile that goes with everything, and one that goes with a list": {
			[]rules.Policy{denying(user(allow("a", "*"), `"x"`), "ru"), user(allowing("b"), `"y"`)},
			"a spec.profile[0]: another value than that of policy ns/b\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"profiles that go with the same list": {
			[]rules.Policy{user(allowing("a"), `"x"`), user(allowing("b"), `"y"`)},
			"a spec.allow.lists[0]: policy ns/b allows the same\na spec.profile[0]: another value than that of policy ns/b\n" +
				"b spec.allow.lists[0]: policy ns/a allows the same\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"profiles that go with different lists, and the same denies in both": {
			[]rules.Policy{
				with(user(allowing("a"), `"x"`), func(p *rules.Policy) { p.Deny.Lists = listed("acme.net") }),
				with(user(allow("b"), `"y"`), func(p *rules.Policy) { p.Allow.Lists, p.Deny.Lists = listed("acme.org"), listed("acme.net") }),
			}, nothing,
		},
		"profiles, and one denies by the list by which the other allows": {
			[]rules.Policy{
				user(allowing("a"), `"x"`),
				with(user(allow("b"), `"y"`), func(p *rules.Policy) { p.Allow.Lists, p.Deny.Lists = listed("acme.org"), listed("acme.com") }),
			}, nothing,
		},
		"profiles, and one denies by a list what the other allows": {
			[]rules.Policy{
				user(allow("a", "acme.com"), `"x"`),
				from(with(user(allow("b"), `"y"`), func(p *rules.Policy) { p.Allow.Lists, p.Deny.Lists = listed("acme.org"), listed("acme.com") }), "rul1"),
			}, nothing,
		},
		"profiles, and a third policy denies in other calls": {
			[]rules.Policy{
				from(user(allow("a", "*.acme.com"), `"x"`), "rul1"), from(user(allow("b", "shop.acme.com"), `"y"`), "rul1"), from(deny("c", "acme.com"), "rul2"),
			},
			"a spec.profile[0]: another value than that of policy ns/b\nb spec.profile[0]: another value than that of policy ns/a",
		},
		"a profile for the rest, in fewer calls": {
			[]rules.Policy{user(allow("a", "acme.com"), `"x"`), from(denying(user(allow("b", "*"), `"y"`), "acme.com"), "rul1")}, nothing,
		},
		"a profile for the rest": {
			[]rules.Policy{user(allow("a", "acme.com"), `"x"`), denying(user(allow("b", "*"), `"y"`), "acme.com")},
			"a spec.allow.domains[0]: policy ns/b denies all of this",
		},

		"a policy that is not enforceable": {[]rules.Policy{with(allow("a", "gmail.com"), func(p *rules.Policy) { p.NotUnderstood = "x" })}, nothing},
		"a policy after one that is not enforceable": {
			[]rules.Policy{with(allow("a", "gmail.com"), func(p *rules.Policy) { p.NotUnderstood = "x" }), allow("b", "gmail.com")},
			"b spec.allow.domains[0]: gmail.com is a mailbox provider",
		},
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
	domains := []string{"*.acme.com"}
	for i := range 53 {
		domains = append(domains, fmt.Sprintf("d%d.acme.com", i))
	}
	got := warningsOf([]rules.Policy{allow("a", domains...)})
	if len(got) != 51 || got[10].Path != "spec.allow.domains[11]" || got[50].Message != "and 3 more" {
		t.Errorf("%d warnings: %v", len(got), told(got))
	}
	got = warningsOf([]rules.Policy{allow("a", domains[:51]...)})
	if len(got) != 50 || got[49].Path != "spec.allow.domains[50]" {
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

// checkWarnings holds for what is said of idle entries of any policies: by an entry that is said to allow nobody, nobody
// is allowed by it; and without all that are said to be superfluous, every call has the same outcome.
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
		case strings.Contains(w.Message, "then allows nobody"):
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
