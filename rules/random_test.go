package rules_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// Random policies and calls out of small alphabets, so that entries, policies and addresses collide often.

// spelling is a name as an author may write it, and what it means. It is written by hand, not computed by the code under test.
type spelling struct {
	text     string
	allowed  string   // the name that it is in an allow entry; "" if it may not be used there
	denied   []string // the names that it is in a deny entry
	suffix   bool     // a public suffix: as an allow entry only among publicSuffixes
	covering bool     // it has public suffixes below: the same, for a wildcard
	// unreadable: it cannot be told which name is meant, so that a policy that denies by it is not enforceable.
	unreadable bool
}

var spellings = []spelling{
	{text: "acme.test", allowed: "acme.test", denied: []string{"acme.test"}},
	{text: "ACME.Test", allowed: "acme.test", denied: []string{"acme.test"}},
	{text: "a.acme.test", allowed: "a.acme.test", denied: []string{"a.acme.test"}},
	{text: "b.a.acme.test", allowed: "b.a.acme.test", denied: []string{"b.a.acme.test"}},
	{text: "xacme.test", allowed: "xacme.test", denied: []string{"xacme.test"}},
	{text: "other.test", allowed: "other.test", denied: []string{"other.test"}},
	{text: "test", allowed: "test", denied: []string{"test"}, suffix: true},
	{text: "co.uk", allowed: "co.uk", denied: []string{"co.uk"}, suffix: true},
	{text: "acme.co.uk", allowed: "acme.co.uk", denied: []string{"acme.co.uk"}},
	{text: "kawasaki.jp", allowed: "kawasaki.jp", denied: []string{"kawasaki.jp"}, covering: true},
	{text: "xn--fa-hia.test", allowed: "xn--fa-hia.test", denied: []string{"xn--fa-hia.test"}},
	{text: "ａcme.test", denied: []string{"acme.test"}},
	{text: "bücher.test", allowed: "xn--bcher-kva.test", denied: []string{"xn--bcher-kva.test"}},
	{text: "BÜCHER.test", denied: []string{"xn--bcher-kva.test"}},
	{text: "xn--a.test"},
}

// denySpellings may only be drawn for a deny entry.
var denySpellings = append(slices.Clone(spellings),
	spelling{text: "faß.test", denied: []string{"xn--fa-hia.test", "fass.test"}},
	spelling{text: "FAẞ.test", denied: []string{"xn--fa-hia.test", "fass.test"}},
	spelling{text: "ac\u3164me.test", unreadable: true},
)

// unusable are allow entries that allow nothing.
var unusable = []string{"acme.test.", ".acme.test", "", "*.", "jo@acme.test", "*acme.test", "acme test", "*.*.acme.test", "1.2.3.4"}

var (
	locals = []string{"jo", "JO", "al", "jo+x", "Jo+X+y", "jo+", "joe", "jo+*", "+jo"}
	// entryLocals are local parts of entries, and patterns are those of another system's language.
	entryLocals = []string{"jo", "JO", "al", "jo", "al", "jo+x", "jo+*", "JO+*", "jo+*"}
	patterns    = []string{"*", "?", "jo*", "jo+{any}", "jo+x+*", "+*", "^jo$", "jo.+", "a|b"}
	domains     = []string{
		"acme.test", "a.acme.test", "b.a.acme.test", "c.b.a.acme.test", "xacme.test", "other.test", "fass.test", "xn--fa-hia.test",
		"bücher.test", "xn--bcher-kva.test", "ACME.test", "acme.co.uk", "co.uk", "a.co.uk", "kawasaki.jp", "a.kawasaki.jp",
	}
	invalids = []string{"", "jo@", "jo@acme", "jo@@acme.test", "jo", "j o", "jo@faß.test", "jo@acme.test.", "jo@ａcme.test", "@acme.test", "jo%a@acme.test"}
)

// draw draws random parts of policies and calls.
type draw struct{ *rand.Rand }

func newDraw(seed uint64) draw { return draw{rand.New(rand.NewPCG(seed, 0))} }

func one[T any](d draw, of []T) T { return of[d.IntN(len(of))] }

// often is true in n of m cases.
func (d draw) often(n, m int) bool { return d.IntN(m) < n }

func (d draw) many(most int, draw func() string) []string {
	var all []string
	for range d.IntN(most + 1) {
		all = append(all, draw())
	}
	return all
}

func (d draw) domainEntry(of []spelling) string {
	switch d.IntN(8) {
	case 0:
		return "*"
	case 1, 2, 3:
		return "*." + one(d, of).text
	default:
		return one(d, of).text
	}
}

func (d draw) allowDomain() string {
	if d.often(1, 12) {
		return one(d, unusable)
	}
	return d.domainEntry(spellings)
}

func (d draw) denyDomain() string {
	for {
		// A star, or an entry without a reading, in every other policy would deny nearly all calls.
		entry := d.domainEntry(denySpellings)
		if entry == "*" && !d.often(1, 3) || strings.Contains(entry, "\u3164") && !d.often(1, 3) {
			continue
		}
		return entry
	}
}

func (d draw) allowAddress() string {
	if d.often(1, 10) {
		return one(d, []string{"jo", "jo@@acme.test", "j o@acme.test", "", "jo@test", "jo@*.acme.test", one(d, patterns) + "@acme.test"})
	}
	return one(d, entryLocals) + "@" + one(d, twoLabels(spellings))
}

func (d draw) denyAddress() string {
	if d.often(1, 40) {
		return one(d, patterns) + "@acme.test"
	}
	return one(d, entryLocals) + "@" + one(d, twoLabels(denySpellings))
}

func twoLabels(of []spelling) []string {
	var all []string
	for _, s := range of {
		if strings.Contains(s.text, ".") {
			all = append(all, s.text)
		}
	}
	return all
}

func (d draw) name() rules.PolicyName {
	return rules.PolicyName{Namespace: one(d, []string{"a", "b"}), Name: one(d, []string{"p", "q", "r", "s", "t", "u"})}
}

func (d draw) policy() rules.Policy {
	p := rules.Policy{PolicyName: d.name(), Message: one(d, []string{"", "m1", "m2 {id}"})}
	p.Mode = one(d, []rules.Mode{"", rules.Enforce, rules.Enforce, rules.Audit, rules.Audit})
	d.appliesTo(&p)
	for range d.IntN(2) {
		p.Allow.Lists = append(p.Allow.Lists, d.list())
	}
	for range d.IntN(2) {
		p.Deny.Lists = append(p.Deny.Lists, d.list())
	}
	if d.often(1, 2) {
		p.Allow.Lists, p.Deny.Lists = nil, nil
	}
	if d.often(1, 4) {
		p.ProfileOn = one(d, [][]rules.RequestType{
			{rules.ProgressiveProfile}, {rules.SelfServiceRegistration}, {rules.ProgressiveProfile, rules.SelfServiceRegistration}, {"Login"},
		})
	}
	if d.often(3, 4) {
		lists := p.Allow.Lists
		p.Allow = rules.AllowRules{Domains: d.many(3, d.allowDomain), PublicSuffixes: d.many(1, d.allowDomain), Addresses: d.many(2, d.allowAddress), Lists: lists}
	}
	if d.often(1, 2) {
		lists := p.Deny.Lists
		p.Deny = rules.DenyRules{Domains: d.many(2, d.denyDomain), Addresses: d.many(1, d.denyAddress), Lists: lists}
	}
	for _, name := range []string{"x", "y"} {
		if d.often(1, 4) {
			p.Profile = append(p.Profile, rules.ProfileAttribute{Name: name, Value: one(d, []string{`"a"`, ` "a"`, `"\u0061"`, "1", `["a"]`, "null"})})
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

// list draws a list of few lines. Its name is its text, for the reference to read.
func (d draw) list() rules.ListUse {
	lines := append(d.many(2, d.line), d.line())
	if d.often(1, 12) {
		lines = append(lines, "no entry")
	}
	use := rules.ListUse{Name: strings.Join(lines, "\n"), Optional: d.often(1, 3)}
	switch {
	case d.often(9, 10):
		use.List = rules.CompileList([]byte(use.Name))
	case d.often(1, 2):
		use.Name, use.Missing, use.Broken = "", "a shard is missing", true
	default:
		use.Name = ""
	}
	return use
}

func (d draw) line() string {
	for {
		switch entry := d.domainEntry(denySpellings); {
		case entry == "*":
		case (strings.HasSuffix(entry, "xn--a.test") || strings.Contains(entry, "\u3164")) && d.often(3, 4): // no entry: few lists would be any
		case d.often(1, 6):
			return d.denyAddress()
		default:
			return entry
		}
	}
}

func (d draw) appliesTo(p *rules.Policy) {
	p.RequestTypes, p.Sources = nil, nil
	if d.often(1, 4) {
		p.RequestTypes = []rules.RequestType{one(d, []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile})}
		if d.often(1, 4) {
			p.RequestTypes = append(p.RequestTypes, rules.ProgressiveProfile, rules.SelfServiceRegistration)
		}
	}
	if d.often(1, 3) {
		p.Sources = append(d.many(2, d.source), d.source())
	}
}

func (d draw) source() string { return one(d, []string{"rul1", "rul1", "rul2", ""}) }

// policies draws up to 7 policies of different names.
func (d draw) policies() []rules.Policy {
	var all []rules.Policy
	taken := map[rules.PolicyName]bool{}
	for range d.IntN(8) {
		if p := d.policy(); !taken[p.PolicyName] {
			taken[p.PolicyName] = true
			all = append(all, p)
		}
	}
	return all
}

func (d draw) call() rules.Call {
	c := rules.Call{Source: d.source(), Contradictory: d.often(1, 8)}
	c.Shape = one(d, []rules.Shape{rules.SignUp, rules.SignUp, rules.SignUp, rules.ProfileUpdate, rules.ProfileUpdate, rules.Both})
	if d.often(1, 50) {
		c.Shape = rules.UnrecognisedShape
	}
	names := one(d, [][]string{{"email", "login"}, {"email", "login"}, {"login", "email"}, {"email", "login", "secondEmail"}, {"email"}})
	for i, name := range names {
		c.Profile = append(c.Profile, d.attribute(name, i == 0))
		c.Update = append(c.Update, d.attribute(name, false))
	}
	return c
}

func (d draw) attribute(name string, required bool) rules.Attribute {
	switch n := d.IntN(20); {
	case n == 0:
		return null(name)
	case n == 1:
		return text(name, one(d, invalids))
	case n == 2 && d.often(1, 3):
		return other(name)
	case n < 8 && !required:
		return absent(name)
	case n < 12 && name == "login":
		return text(name, "jo.doe")
	default:
		return text(name, one(d, locals)+"@"+one(d, domains))
	}
}

// each runs n random cases. What fails is named by its seed.
func each(t *testing.T, n int, run func(t *testing.T, d draw)) {
	t.Helper()
	for seed := range uint64(n) {
		run(t, newDraw(seed))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
