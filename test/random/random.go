// Package random draws random policies and calls for tests. It draws from few names and addresses, so that entries,
// policies and calls often concern the same ones.
package random

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// Spelling is a domain as an author of a policy may write it, and the domains that this means. The meaning is written
// by hand, not computed by the code under test.
type Spelling struct {
	Text    string   // as written
	Allowed string   // the domain that it allows; "" if an allow entry with it is rejected
	Denied  []string // the domains that it denies
	Suffix  bool     // it is a public suffix: it may only be allowed in spec.allow.publicSuffixes
	// Covering: it has public suffixes below, so that its wildcard may only be allowed in spec.allow.publicSuffixes.
	Covering bool
	// Unreadable: it is unclear which domain it means, so that a policy that denies it is not enforceable.
	Unreadable bool
}

// Spellings are drawn for allow and for deny entries.
var Spellings = []Spelling{
	{Text: "acme.test", Allowed: "acme.test", Denied: []string{"acme.test"}},
	{Text: "ACME.Test", Allowed: "acme.test", Denied: []string{"acme.test"}},
	{Text: "a.acme.test", Allowed: "a.acme.test", Denied: []string{"a.acme.test"}},
	{Text: "b.a.acme.test", Allowed: "b.a.acme.test", Denied: []string{"b.a.acme.test"}},
	{Text: "xacme.test", Allowed: "xacme.test", Denied: []string{"xacme.test"}},
	{Text: "other.test", Allowed: "other.test", Denied: []string{"other.test"}},
	{Text: "test", Allowed: "test", Denied: []string{"test"}, Suffix: true},
	{Text: "co.uk", Allowed: "co.uk", Denied: []string{"co.uk"}, Suffix: true},
	{Text: "acme.co.uk", Allowed: "acme.co.uk", Denied: []string{"acme.co.uk"}},
	{Text: "kawasaki.jp", Allowed: "kawasaki.jp", Denied: []string{"kawasaki.jp"}, Covering: true},
	{Text: "xn--fa-hia.test", Allowed: "xn--fa-hia.test", Denied: []string{"xn--fa-hia.test"}},
	{Text: "ａcme.test", Denied: []string{"acme.test"}},
	{Text: "bücher.test", Allowed: "xn--bcher-kva.test", Denied: []string{"xn--bcher-kva.test"}},
	{Text: "BÜCHER.test", Denied: []string{"xn--bcher-kva.test"}},
	{Text: "xn--a.test"},
}

// DenySpellings are drawn for deny entries: Spellings, and some that no allow entry may have.
var DenySpellings = append(slices.Clone(Spellings),
	Spelling{Text: "faß.test", Denied: []string{"xn--fa-hia.test", "fass.test"}},
	Spelling{Text: "FAẞ.test", Denied: []string{"xn--fa-hia.test", "fass.test"}},
	Spelling{Text: "ac\u3164me.test", Unreadable: true},
)

// Unusable are allow entries that are rejected.
var Unusable = []string{"acme.test.", ".acme.test", "", "*.", "jo@acme.test", "*acme.test", "acme test", "*.*.acme.test", "1.2.3.4"}

var (
	// Locals are local parts of addresses.
	Locals = []string{"jo", "JO", "al", "jo+x", "Jo+X+y", "jo+", "joe", "jo+*", "+jo"}
	// entryLocals are local parts of entries of policies.
	entryLocals = []string{"jo", "JO", "al", "jo", "al", "jo+x", "jo+*", "JO+*", "jo+*"}
	// Patterns are local parts in the pattern languages of other systems, such as globs and regular expressions.
	// Entries with them are rejected.
	Patterns = []string{"*", "?", "jo*", "jo+{any}", "jo+x+*", "+*", "^jo$", "jo.+", "a|b"}
	domains  = []string{
		"acme.test", "a.acme.test", "b.a.acme.test", "c.b.a.acme.test", "xacme.test", "other.test", "fass.test", "xn--fa-hia.test",
		"bücher.test", "xn--bcher-kva.test", "ACME.test", "acme.co.uk", "co.uk", "a.co.uk", "kawasaki.jp", "a.kawasaki.jp",
	}
	invalids = []string{
		"", "jo@", "jo@acme", "jo@@acme.test", "jo", "j o", "jo@faß.test", "jo@acme.test.", "jo@ａcme.test", "@acme.test", "jo%a@acme.test",
	}
)

// Draw draws random policies and calls, and parts of them.
type Draw struct{ *rand.Rand }

// New returns a source of draws. The same seed gives the same draws.
func New(seed uint64) Draw { return Draw{rand.New(rand.NewPCG(seed, 0))} }

// One draws one of the values.
func One[T any](d Draw, of []T) T { return of[d.IntN(len(of))] }

// Often returns true with probability n/m.
func (d Draw) Often(n, m int) bool { return d.IntN(m) < n }

// Many calls draw between 0 and most times, and returns the results.
func (d Draw) Many(most int, draw func() string) []string {
	var all []string
	for range d.IntN(most + 1) {
		all = append(all, draw())
	}
	return all
}

// DomainEntry draws a domain entry: one of the spellings, a wildcard such as *.acme.test of one, or "*".
func (d Draw) DomainEntry(of []Spelling) string {
	switch d.IntN(8) {
	case 0:
		return "*"
	case 1, 2, 3:
		return "*." + One(d, of).Text
	default:
		return One(d, of).Text
	}
}

// AllowDomain draws an entry of spec.allow.domains.
func (d Draw) AllowDomain() string {
	if d.Often(1, 12) {
		return One(d, Unusable)
	}
	return d.DomainEntry(Spellings)
}

// DenyDomain draws an entry of spec.deny.domains.
func (d Draw) DenyDomain() string {
	for {
		// Draw fewer of "*" and of unreadable entries. Otherwise nearly all calls would be denied because of them.
		entry := d.DomainEntry(DenySpellings)
		if entry == "*" && !d.Often(1, 3) || strings.Contains(entry, "\u3164") && !d.Often(1, 3) {
			continue
		}
		return entry
	}
}

// AllowAddress draws an entry of spec.allow.addresses.
func (d Draw) AllowAddress() string {
	if d.Often(1, 10) {
		return One(d, []string{"jo", "jo@@acme.test", "j o@acme.test", "", "jo@test", "jo@*.acme.test", One(d, Patterns) + "@acme.test"})
	}
	return One(d, entryLocals) + "@" + One(d, twoLabels(Spellings))
}

// DenyAddress draws an entry of spec.deny.addresses.
func (d Draw) DenyAddress() string {
	if d.Often(1, 40) {
		return One(d, Patterns) + "@acme.test"
	}
	return One(d, entryLocals) + "@" + One(d, twoLabels(DenySpellings))
}

func twoLabels(of []Spelling) []string {
	var all []string
	for _, s := range of {
		if strings.Contains(s.Text, ".") {
			all = append(all, s.Text)
		}
	}
	return all
}

// Name draws the name of a policy.
func (d Draw) Name() rules.PolicyName {
	return rules.PolicyName{Namespace: One(d, []string{"a", "b"}), Name: One(d, []string{"p", "q", "r", "s", "t", "u"})}
}

// Policy draws a policy.
func (d Draw) Policy() rules.Policy {
	p := rules.Policy{PolicyName: d.Name(), Message: One(d, []string{"", "m1", "m2 {id}"})}
	p.Mode = One(d, []rules.Mode{"", rules.Enforce, rules.Enforce, rules.Audit, rules.Audit})
	d.AppliesTo(&p)
	for range d.IntN(2) {
		p.Allow.Lists = append(p.Allow.Lists, d.List())
	}
	for range d.IntN(2) {
		p.Deny.Lists = append(p.Deny.Lists, d.List())
	}
	if d.Often(1, 2) {
		p.Allow.Lists, p.Deny.Lists = nil, nil
	}
	if d.Often(1, 4) {
		p.ProfileOn = One(d, [][]rules.RequestType{
			{rules.ProgressiveProfile}, {rules.SelfServiceRegistration},
			{rules.ProgressiveProfile, rules.SelfServiceRegistration}, {"Login"},
		})
	}
	if d.Often(3, 4) {
		lists := p.Allow.Lists
		p.Allow = rules.AllowRules{
			Domains: d.Many(3, d.AllowDomain), PublicSuffixes: d.Many(1, d.AllowDomain), Addresses: d.Many(2, d.AllowAddress), Lists: lists,
		}
	}
	if d.Often(1, 2) {
		lists := p.Deny.Lists
		p.Deny = rules.DenyRules{Domains: d.Many(2, d.DenyDomain), Addresses: d.Many(1, d.DenyAddress), Lists: lists}
	}
	for _, name := range []string{"x", "y"} {
		if d.Often(1, 4) {
			value := One(d, []string{`"a"`, ` "a"`, `"\u0061"`, "1", `["a"]`, "null"})
			p.Profile = append(p.Profile, rules.ProfileAttribute{Name: name, Value: value})
		}
	}
	d.Shuffle(len(p.Profile), func(i, j int) { p.Profile[i], p.Profile[j] = p.Profile[j], p.Profile[i] })
	switch d.IntN(40) {
	case 0:
		p.NotUnderstood = "unknown field"
	case 1:
		p.Mode = "Warn"
	case 2:
		p.RequestTypes = append(p.RequestTypes, "Login")
	}
	return p
}

// List draws a use of a list of few lines. The list's name is its text, so that the slow reference implementation in
// the tests of package rules can read it.
func (d Draw) List() rules.ListUse {
	lines := append(d.Many(2, d.Line), d.Line())
	if d.Often(1, 12) {
		lines = append(lines, "no entry")
	}
	use := rules.ListUse{Name: strings.Join(lines, "\n"), Optional: d.Often(1, 3)}
	switch {
	case d.Often(9, 10):
		use.List = rules.CompileList([]byte(use.Name))
	case d.Often(1, 2):
		use.Name, use.Missing, use.Broken = "", "a shard is missing", true
	default:
		use.Name = ""
	}
	return use
}

// Line draws a line of a list.
func (d Draw) Line() string {
	for {
		switch entry := d.DomainEntry(DenySpellings); {
		case entry == "*":
		// Draw fewer of these two, which are no valid entries. Otherwise few lists would be usable.
		case (strings.HasSuffix(entry, "xn--a.test") || strings.Contains(entry, "\u3164")) && d.Often(3, 4):
		case d.Often(1, 6):
			return d.DenyAddress()
		default:
			return entry
		}
	}
}

// AppliesTo draws the request types and the sources of a policy.
func (d Draw) AppliesTo(p *rules.Policy) {
	p.RequestTypes, p.Sources = nil, nil
	if d.Often(1, 4) {
		p.RequestTypes = []rules.RequestType{One(d, []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile})}
		if d.Often(1, 4) {
			p.RequestTypes = append(p.RequestTypes, rules.ProgressiveProfile, rules.SelfServiceRegistration)
		}
	}
	if d.Often(1, 3) {
		p.Sources = append(d.Many(2, d.Source), d.Source())
	}
}

// Source draws the source of a call.
func (d Draw) Source() string { return One(d, []string{"rul1", "rul1", "rul2", ""}) }

// Policies draws up to 7 policies with different names.
func (d Draw) Policies() []rules.Policy {
	var all []rules.Policy
	taken := map[rules.PolicyName]bool{}
	for range d.IntN(8) {
		if p := d.Policy(); !taken[p.PolicyName] {
			taken[p.PolicyName] = true
			all = append(all, p)
		}
	}
	return all
}

// Call draws a call.
func (d Draw) Call() rules.Call {
	c := rules.Call{Source: d.Source(), Contradictory: d.Often(1, 8)}
	c.Shape = One(d, []rules.Shape{rules.SignUp, rules.SignUp, rules.SignUp, rules.ProfileUpdate, rules.ProfileUpdate, rules.Both})
	if d.Often(1, 50) {
		c.Shape = rules.UnrecognisedShape
	}
	names := One(d, [][]string{{"email", "login"}, {"email", "login"}, {"login", "email"}, {"email", "login", "secondEmail"}, {"email"}})
	for i, name := range names {
		c.Profile = append(c.Profile, d.Attribute(name, i == 0))
		c.Update = append(c.Update, d.Attribute(name, false))
	}
	return c
}

// Attribute draws an attribute of a call. If required is set, the attribute is not left out.
func (d Draw) Attribute(name string, required bool) rules.Attribute {
	switch n := d.IntN(20); {
	case n == 0:
		return rules.Attribute{Name: name, Kind: rules.Null}
	case n == 1:
		return text(name, One(d, invalids))
	case n == 2 && d.Often(1, 3):
		return rules.Attribute{Name: name, Kind: rules.Other}
	case n < 8 && !required:
		return rules.Attribute{Name: name}
	case n < 12 && name == "login":
		return text(name, "jo.doe")
	default:
		return text(name, One(d, Locals)+"@"+One(d, domains))
	}
}

// Each runs a test with the seeds 0 to n-1. It stops at the first seed that fails, and reports it.
func Each(t *testing.T, n int, run func(t *testing.T, d Draw)) {
	t.Helper()
	for seed := range uint64(n) {
		run(t, New(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}

func text(name, value string) rules.Attribute {
	return rules.Attribute{Name: name, Kind: rules.Text, Text: value}
}

// LargePolicies returns policies with the given number of entries in each field. The entries are about as long as real
// ones.
func LargePolicies(policies, entries int) []rules.Policy {
	var all []rules.Policy
	for i := range policies {
		p := rules.Policy{PolicyName: rules.PolicyName{Namespace: "tenant", Name: fmt.Sprintf("p%d", i)}, Message: "Please write to us."}
		for j := range entries {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("partner-%d-%d.example.com", i, j))
			p.Allow.PublicSuffixes = append(p.Allow.PublicSuffixes, fmt.Sprintf("*.school-%d-%d.example.ac.uk", i, j))
			p.Allow.Addresses = append(p.Allow.Addresses, fmt.Sprintf("firstname%d@partner-%d.example.org", j, i))
			p.Deny.Domains = append(p.Deny.Domains, fmt.Sprintf("unwanted-%d-%d.example.net", i, j))
			p.Deny.Addresses = append(p.Deny.Addresses, fmt.Sprintf("somebody%d@partner-%d.example.org", j, i))
		}
		all = append(all, p)
	}
	return all
}
