package rules_test

import (
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// What an allow entry allows, told by decisions. An entry that may not be used is named by its path, and allows nothing.
func TestAllowEntries(t *testing.T) {
	for sentence, test := range map[string]struct {
		entry   string
		allows  []string
		not     []string
		refused bool
	}{
		"an exact domain is itself only":     {"acme.com", []string{"acme.com", "ACME.COM"}, []string{"a.acme.com", "evilacme.com", "acme.com.evil.test", "com.acme"}, false},
		"a wildcard is never the apex":       {"*.acme.com", []string{"a.acme.com", "b.a.acme.com"}, []string{"acme.com", "evilacme.com", "a.acme.com.evil.test"}, false},
		"a star is every domain":             {"*", []string{"acme.com", "a.b.c.test", "github.io"}, nil, false},
		"upper case is folded":               {"*.ACME.com", []string{"a.acme.com"}, nil, false},
		"a U-label is its A-label":           {"bücher.test", []string{"xn--bcher-kva.test", "bücher.test"}, []string{"bucher.test"}, false},
		"an A-label is its U-label":          {"xn--bcher-kva.test", []string{"bücher.test"}, nil, false},
		"an A-label with sharp s":            {"xn--fa-hia.test", []string{"xn--fa-hia.test"}, []string{"fass.test"}, false},
		"an exact name over suffixes":        {"amazonaws.com", []string{"amazonaws.com"}, []string{"a.amazonaws.com"}, false},
		"a name under a suffix":              {"acme.co.uk", []string{"acme.co.uk"}, []string{"co.uk"}, false},
		"a wildcard under a suffix":          {"*.acme.github.io", []string{"a.acme.github.io"}, []string{"acme.github.io"}, false},
		"a tenant's domain":                  {"acme.onmicrosoft.com", []string{"acme.onmicrosoft.com"}, []string{"onmicrosoft.com", "evil.onmicrosoft.com"}, false},
		"an exception of the list":           {"*.www.ck", []string{"a.www.ck"}, []string{"www.ck"}, false},
		"a top-level domain":                 {"com", nil, []string{"acme.com"}, true},
		"a wildcard of a top-level domain":   {"*.com", nil, []string{"acme.com"}, true},
		"an unlisted top-level domain":       {"*.internal", nil, []string{"acme.internal"}, true},
		"a country's second level":           {"*.co.uk", nil, []string{"acme.co.uk"}, true},
		"a country's second level, exact":    {"co.uk", nil, []string{"co.uk"}, true},
		"the private section":                {"*.github.io", nil, []string{"evil.github.io"}, true},
		"the private section, exact":         {"github.io", nil, []string{"github.io"}, true},
		"a shared suffix":                    {"*.onmicrosoft.com", nil, []string{"evil.onmicrosoft.com"}, true},
		"a shared suffix, exact":             {"zendesk.com", nil, []string{"zendesk.com"}, true},
		"a suffix in U-labels":               {"*.個人.hk", nil, []string{"evil.xn--ciqpn.hk"}, true},
		"a wildcard above suffixes":          {"*.amazonaws.com", nil, []string{"evil.compute.amazonaws.com"}, true},
		"a wildcard above a wildcard rule":   {"*.kawasaki.jp", nil, []string{"evil.foo.kawasaki.jp"}, true},
		"a name that a wildcard rule is":     {"foo.ck", nil, []string{"foo.ck"}, true},
		"a wildcard above a shared suffix":   {"*.salesforce.com", nil, []string{"evil.my.salesforce.com"}, true},
		"an empty entry":                     {"", nil, []string{"acme.com"}, true},
		"a star and a dot":                   {"*.", nil, []string{"acme.com"}, true},
		"a dot":                              {".", nil, []string{"acme.com"}, true},
		"two stars":                          {"*.*.acme.com", nil, []string{"a.b.acme.com"}, true},
		"an inner star":                      {"a.*.com", nil, []string{"a.b.com"}, true},
		"half a label as a star":             {"*acme.com", nil, []string{"evilacme.com", "acme.com"}, true},
		"a trailing dot":                     {"acme.com.", nil, []string{"acme.com"}, true},
		"a leading dot":                      {".acme.com", nil, []string{"acme.com", "a.acme.com"}, true},
		"a space":                            {"acme.com ", nil, []string{"acme.com"}, true},
		"an @":                               {"@acme.com", nil, []string{"acme.com"}, true},
		"a whole address":                    {"jo@acme.com", nil, []string{"acme.com"}, true},
		"final sigma, likewise":              {"*.ος.test", []string{"a.xn--0xag.test"}, []string{"a.xn--0xai.test"}, false},
		"capital sharp s":                    {"FAẞ.test", nil, []string{"fass.test", "xn--fa-hia.test"}, true},
		"a zero-width joiner":                {"क्\u200dष.test", nil, nil, true},
		"a full-width spelling":              {"ａcme.com", nil, []string{"acme.com"}, true},
		"a full-width star":                  {"＊.acme.com", nil, []string{"a.acme.com"}, true},
		"sharp s, meant as IDNA 2008 has it": {"faß.test", []string{"xn--fa-hia.test"}, []string{"fass.test"}, false},
		"an upper-case U-label":              {"BÜCHER.test", nil, []string{"xn--bcher-kva.test"}, true},
		"a malformed A-label":                {"xn--a.test", nil, []string{"a.test"}, true},
		"an IPv4 address":                    {"192.0.2.1", nil, nil, true},
		"a number as top-level domain":       {"*.1", nil, nil, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			snapshot, rejections := rules.Compile([]rules.Policy{allow("a", test.entry)})
			if got := len(rejections) == 1; got != test.refused {
				t.Errorf("rejections %v, want refused %t", rejections, test.refused)
			}
			for _, r := range rejections {
				if r.Path != "spec.allow.domains[0]" || r.Policy != named("a") || r.Message == "" {
					t.Errorf("rejection %+v", r)
				}
			}
			expectReason(t, snapshot, test.allows, rules.ReasonAllowed)
			expectReason(t, snapshot, test.not, rules.ReasonNotAllowed)
		})
	}
}

func expectReason(t *testing.T, snapshot *rules.Snapshot, domains []string, want rules.Reason) {
	t.Helper()
	for _, domain := range domains {
		if got := snapshot.Decide(signUp("jo@" + domain)); got.Reason != want {
			t.Errorf("jo@%s: %s, want %s", domain, got.Reason, want)
		}
	}
}

// What a deny entry denies. It covers what is below it, and every name that some program may read it as.
func TestDenyEntries(t *testing.T) {
	for sentence, test := range map[string]struct {
		entry   string
		denies  []string
		not     []string
		refused bool
	}{
		"a domain and everything below":      {"acme.com", []string{"acme.com", "a.acme.com", "c.b.acme.com"}, []string{"evilacme.com", "com.test", "acme.com.test"}, false},
		"a wildcard spares the apex":         {"*.acme.com", []string{"a.acme.com", "b.a.acme.com"}, []string{"acme.com"}, false},
		"a top-level domain":                 {"ru", []string{"acme.ru", "a.b.ru"}, []string{"ru.test", "aru.test"}, false},
		"a wildcard of a top-level domain":   {"*.ru", []string{"acme.ru", "a.b.ru"}, []string{"ru.test"}, false},
		"a top-level domain as a U-label":    {"рф", []string{"acme.xn--p1ai"}, nil, false},
		"a public suffix":                    {"github.io", []string{"github.io", "evil.github.io"}, []string{"github.com"}, false},
		"a star is everything":               {"*", []string{"acme.com", "a.ru"}, nil, false},
		"upper case":                         {"ACME.Com", []string{"acme.com", "a.acme.com"}, nil, false},
		"an exact U-label":                   {"gmaıl.net", []string{"xn--gmal-nza.net"}, []string{"gmail.net"}, false},
		"an exact A-label":                   {"xn--fa-hia.test", []string{"xn--fa-hia.test"}, []string{"fass.test"}, false},
		"sharp s, by both readings":          {"faß.test", []string{"xn--fa-hia.test", "a.xn--fa-hia.test", "fass.test", "a.fass.test"}, nil, false},
		"capital sharp s, by both readings":  {"FAẞ.test", []string{"xn--fa-hia.test", "fass.test"}, nil, false},
		"final sigma, by both readings":      {"ος.test", []string{"xn--0xag.test", "xn--0xai.test"}, nil, false},
		"full-width letters":                 {"ａｃｍｅ.com", []string{"acme.com", "b.acme.com"}, nil, false},
		"full-width dots":                    {"acme．com", []string{"acme.com"}, nil, false},
		"ideographic full stops":             {"acme。com", []string{"acme.com"}, nil, false},
		"a wildcard of full-width letters":   {"*.ａcme.com", []string{"b.acme.com"}, []string{"acme.com"}, false},
		"an upper-case U-label":              {"BÜCHER.test", []string{"xn--bcher-kva.test"}, nil, false},
		"a decomposed U-label":               {"bu\u0308cher.test", []string{"xn--bcher-kva.test"}, nil, false},
		"the Kelvin sign":                    {"\u212aelvin.test", []string{"kelvin.test"}, nil, false},
		"a soft hyphen":                      {"ac\u00adme.com", []string{"acme.com"}, nil, false},
		"a zero-width space":                 {"acme\u200b.com", []string{"acme.com"}, nil, false},
		"a malformed A-label: nobody has it": {"xn--a.test", nil, []string{"a.test"}, true},
	} {
		t.Run(sentence, func(t *testing.T) {
			snapshot, rejections := rules.Compile([]rules.Policy{deny("d", test.entry), allow("e", "*")})
			if got := len(rejections) == 1; got != test.refused {
				t.Errorf("rejections %v, want refused %t", rejections, test.refused)
			}
			expectReason(t, snapshot, test.denies, rules.ReasonDenied)
			expectReason(t, snapshot, test.not, rules.ReasonAllowed)
		})
	}
}

// These shapes never pass the schema. Where one comes nevertheless, what its author meant must not come in.
func TestADenyEntryThatCannotBeUsedDoesNotLetInWhatItMayMean(t *testing.T) {
	for entry, meant := range map[string]string{
		"acme.com.":        "acme.com",
		".acme.com":        "acme.com",
		" acme.com":        "acme.com",
		"acme.com\n":       "acme.com",
		"@acme.com":        "acme.com",
		"*@acme.com":       "acme.com",
		"https://acme.com": "acme.com",
		"*.":               "acme.com",
		"*acme.com":        "acme.com",
		"*..acme.com":      "a.acme.com",
		"＊.acme.com":       "a.acme.com",
		"*．acme.com":       "a.acme.com",
		"acme.com,a.test":  "acme.com",
		"":                 "acme.com",
	} {
		t.Run(entry, func(t *testing.T) {
			if got := decide([]rules.Policy{deny("d", entry), allow("e", "*")}, signUp("jo@"+meant)); got.Outcome != rules.Deny {
				t.Errorf("deny entry %q: jo@%s: %s", entry, meant, got.Reason)
			}
		})
	}
	for _, entry := range []string{`"jo"@acme.com`, "<jo@acme.com>", " jo@acme.com", "jo@acme.com.", "ｊo@acme.com", "mailto:jo@acme.com", "jo＠acme.com"} {
		t.Run(entry, func(t *testing.T) {
			policies := []rules.Policy{{PolicyName: named("d"), Deny: rules.DenyRules{Addresses: []string{entry}}}, allow("e", "*")}
			if got := decide(policies, signUp("jo@acme.com")); got.Outcome != rules.Deny {
				t.Errorf("deny entry %q: jo@acme.com: %s", entry, got.Reason)
			}
		})
	}
}

func TestPublicSuffixesAreMeantByName(t *testing.T) {
	for sentence, test := range map[string]struct {
		entry  string
		allows []string
		not    []string
	}{
		"everything below a suffix":      {"*.ac.uk", []string{"ox.ac.uk", "a.b.ac.uk"}, []string{"ac.uk", "evil.co.uk"}},
		"the suffix itself":              {"gov.uk", []string{"gov.uk"}, []string{"a.gov.uk"}},
		"a shared suffix":                {"*.onmicrosoft.com", []string{"acme.onmicrosoft.com"}, nil},
		"what covers suffixes":           {"*.amazonaws.com", []string{"a.compute.amazonaws.com"}, nil},
		"a whole top-level domain":       {"*.edu", []string{"mit.edu"}, []string{"mit.edu.test"}},
		"a star":                         {"*", []string{"acme.com"}, nil},
		"a name that is no suffix, too":  {"acme.com", []string{"acme.com"}, []string{"a.acme.com"}},
		"a top-level domain matches not": {"uk", nil, []string{"acme.uk"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			policy := rules.Policy{PolicyName: named("a"), Allow: rules.AllowRules{PublicSuffixes: []string{test.entry}}}
			snapshot := compile(t, policy)
			expectReason(t, snapshot, test.allows, rules.ReasonAllowed)
			expectReason(t, snapshot, test.not, rules.ReasonNotAllowed)
		})
	}
	bad := rules.Policy{PolicyName: named("a"), Allow: rules.AllowRules{PublicSuffixes: []string{"*.ac.uk", "*."}}}
	_, rejections := rules.Compile([]rules.Policy{bad})
	if len(rejections) != 1 || rejections[0].Path != "spec.allow.publicSuffixes[1]" {
		t.Errorf("rejections %v", rejections)
	}
}

func TestAddressEntries(t *testing.T) {
	policy := rules.Policy{PolicyName: named("a"), Allow: rules.AllowRules{
		Addresses: []string{"Jo@Partner.Example", "al@bücher.test", "al@faß.test"},
	}, Deny: rules.DenyRules{Addresses: []string{"ed@faß.test", "ed@ＡCME.com"}}}
	snapshot := compile(t, policy, allow("b", "*"))
	only := compile(t, policy)
	for address, want := range map[string]rules.Reason{
		"jo@partner.example":     rules.ReasonAllowed,
		"JO@PARTNER.EXAMPLE":     rules.ReasonAllowed,
		"al@xn--bcher-kva.test":  rules.ReasonAllowed,
		"al@xn--fa-hia.test":     rules.ReasonAllowed,
		"al@fass.test":           rules.ReasonNotAllowed,
		"j.o@partner.example":    rules.ReasonNotAllowed,
		"jo+x@partner.example":   rules.ReasonNotAllowed,
		"jo@a.partner.example":   rules.ReasonNotAllowed,
		"xjo@partner.example":    rules.ReasonNotAllowed,
		"ed@fass.test":           rules.ReasonDenied,
		"Ed@xn--fa-hia.test":     rules.ReasonDenied,
		"eD@acme.com":            rules.ReasonDenied,
		"ed@a.acme.com":          rules.ReasonNotAllowed,
		"xed@acme.com":           rules.ReasonNotAllowed,
		"ed@acme.com.test":       rules.ReasonNotAllowed,
		"ed@xn--bcher-kva.test":  rules.ReasonNotAllowed,
		"jo@xn--bcher-kva.test":  rules.ReasonNotAllowed,
		"al@partner.example":     rules.ReasonNotAllowed,
		"jo@partner.example.com": rules.ReasonNotAllowed,
	} {
		if got := only.Decide(signUp(address)); got.Reason != want {
			t.Errorf("%s: %s, want %s", address, got.Reason, want)
		}
		if want == rules.ReasonNotAllowed {
			want = rules.ReasonAllowed
		}
		if got := snapshot.Decide(signUp(address)); got.Reason != want {
			t.Errorf("with a policy that allows everything: %s: %s, want %s", address, got.Reason, want)
		}
	}
}

// A rejection names the entry by its path, says what to write instead, and holds no local part, whatever list the author
// put an address into.
func TestRejections(t *testing.T) {
	const local = "zaphod"
	for sentence, test := range map[string]struct {
		policy rules.Policy
		path   string
		fix    string
	}{
		"a public suffix":                  {allow("p", "acme.com", "*.co.uk"), "spec.allow.domains[1]", "spec.allow.publicSuffixes"},
		"what covers public suffixes":      {allow("p", "*.amazonaws.com"), "spec.allow.domains[0]", "spec.allow.publicSuffixes"},
		"a trailing dot":                   {allow("p", "acme.com."), "spec.allow.domains[0]", "without leading, trailing or doubled dots"},
		"not in IDNA form":                 {allow("p", "BÜCHER.test"), "spec.allow.domains[0]", "xn--"},
		"a number at the end":              {allow("p", "10.0.0.1"), "spec.allow.domains[0]", "must not be a number"},
		"a hyphen at the edge":             {allow("p", "-a.test"), "spec.allow.domains[0]", "hyphen"},
		"a label of 64":                    {allow("p", strings.Repeat("a", 64)+".test"), "spec.allow.domains[0]", "63 bytes"},
		"a name of 254":                    {allow("p", labels63(3, 62)), "spec.allow.domains[0]", "253"},
		"not UTF-8":                        {allow("p", "\xff.test"), "spec.allow.domains[0]", "UTF-8"},
		"an address among allowed domains": {allow("p", local+"@acme.com"), "spec.allow.domains[0]", "letters, digits, dots"},
		"an address among denied domains":  {deny("p", local+"@acme.com"), "spec.deny.domains[0]", "letters, digits, dots"},
		"an address among public suffixes": {
			rules.Policy{PolicyName: named("p"), Allow: rules.AllowRules{PublicSuffixes: []string{local + "@acme.com"}}},
			"spec.allow.publicSuffixes[0]", "letters, digits, dots"},
		"an allowed address of a bad domain": {allowAddresses(local + "@acme"), "spec.allow.addresses[0]", "two labels"},
		"an allowed address without @":       {allowAddresses("a@acme.com", local), "spec.allow.addresses[1]", "has no @"},
		"an allowed address with two":        {allowAddresses(local + "@x@acme.com"), "spec.allow.addresses[0]", "more than one @"},
		"an allowed address in quotes":       {allowAddresses(`"` + local + `"@acme.com`), "spec.allow.addresses[0]", "before the @"},
		"an allowed local part of 65": {
			allowAddresses(local + strings.Repeat("a", 59) + "@acme.com"), "spec.allow.addresses[0]", "64 of them before the @"},
		"a denied address in quotes":     {denyAddresses(`"` + local + `"@acme.com`), "spec.deny.addresses[0]", "before the @"},
		"a denied address without @":     {denyAddresses(local), "spec.deny.addresses[0]", "has no @"},
		"a denied address with a U+FF20": {denyAddresses(local + "＠acme.com"), "spec.deny.addresses[0]", "has no @"},
		"an unknown mode":                {rules.Policy{PolicyName: named("p"), Mode: "Warn"}, "spec.mode", "Enforce or Audit"},
		"an unknown request type": {
			rules.Policy{PolicyName: named("p"), RequestTypes: []rules.RequestType{rules.SelfServiceRegistration, "Login"}},
			"spec.appliesTo.requestTypes[1]", "SelfServiceRegistration or ProgressiveProfile"},
		"an object as an attribute's value": {
			giving(allow("p", "acme.com"), rules.ProfileAttribute{Name: "userType", Value: `{"a":1}`}),
			"spec.profile[0].value", "list of strings"},
	} {
		t.Run(sentence, func(t *testing.T) {
			_, rejections := rules.Compile([]rules.Policy{test.policy})
			if len(rejections) != 1 {
				t.Fatalf("rejections %v, want one", rejections)
			}
			got := rejections[0]
			if got.Policy != named("p") || got.Path != test.path || !strings.Contains(got.Message, test.fix) {
				t.Errorf("got %+v; want path %s and a message with %q", got, test.path, test.fix)
			}
			if strings.Contains(got.Message, local) {
				t.Errorf("the message holds a local part: %s", got.Message)
			}
		})
	}
}

func allowAddresses(addresses ...string) rules.Policy {
	return rules.Policy{PolicyName: named("p"), Allow: rules.AllowRules{Addresses: addresses}}
}

func denyAddresses(addresses ...string) rules.Policy {
	return rules.Policy{PolicyName: named("p"), Deny: rules.DenyRules{Addresses: addresses}}
}

// As the doc comment of Compile says: by policy, and by path.
func TestRejectionsAreSortedByPolicyAndPath(t *testing.T) {
	bad := func(name string) rules.Policy {
		p := allow(name, slices.Repeat([]string{"com"}, 12)...)
		p.Allow.Addresses = []string{"x"}
		p.Deny = rules.DenyRules{Domains: []string{"xn--a.test"}, Addresses: []string{"jo@xn--a.test"}}
		p.Mode = "Warn"
		return p
	}
	first := []rules.Policy{bad("a"), bad("b"), bad("c")}
	_, want := rules.Compile(first)
	if len(want) != 3*16 {
		t.Fatalf("%d rejections: %v", len(want), want)
	}
	slices.Reverse(first)
	_, got := rules.Compile(first)
	if !slices.Equal(got, want) {
		t.Errorf("the order depends on the order of the policies")
	}
	if !slices.IsSortedFunc(want, func(a, b rules.Rejection) int { return a.Policy.Compare(b.Policy) }) {
		t.Errorf("not sorted by policy: %v", want)
	}
	// Numbers within a path count as numbers: entry 2 comes before entry 10.
	natural := func(r rules.Rejection) string {
		list, index, _ := strings.Cut(strings.TrimSuffix(r.Path, "]"), "[")
		return list + "[" + strings.Repeat("0", 5-len(index)) + index
	}
	if !slices.IsSortedFunc(want[:16], func(a, b rules.Rejection) int { return strings.Compare(natural(a), natural(b)) }) {
		t.Errorf("not sorted by path: %v", want[:16])
	}
}
