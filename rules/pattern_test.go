package rules_test

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"registrationpolicy.dev/operator/rules"
)

// The one pattern with a meaning: an address and all of its sub-addresses.
func TestSubAddresses(t *testing.T) {
	means := map[string]bool{
		"jo@x.example": true, "JO@x.example": true, "jo+@x.example": true, "jo+a@x.example": true, "Jo+A+b@X.example": true,
		"jo+*@x.example": true, "jo+*+a@x.example": true, "joe@x.example": false, "joe+a@x.example": false, "j@x.example": false,
		"+jo@x.example": false, "a+jo@x.example": false, "jo@a.x.example": false, "jo+a@y.example": false, "jo.+a@x.example": false,
	}
	const entry = "Jo+*@x.example"
	listing := []rules.ListUse{use(entry, "filler.example")}
	for where, policies := range map[string][]rules.Policy{
		"allow.addresses": {allowAddresses(entry)},
		"deny.addresses":  {denyAddresses(entry), allow("q", "*")},
		"allow.lists":     {{PolicyName: named("p"), Allow: rules.AllowRules{Lists: listing}}},
		"deny.lists":      {{PolicyName: named("p"), Deny: rules.DenyRules{Lists: listing}}, allow("q", "*")},
	} {
		t.Run(where, func(t *testing.T) {
			snapshot := compile(t, policies...)
			matched, other := rules.ReasonDenied, rules.ReasonAllowed
			if strings.HasPrefix(where, "allow") {
				matched, other = rules.ReasonAllowed, rules.ReasonNotAllowed
			}
			for address, means := range means {
				want := other
				if means {
					want = matched
				}
				if got := snapshot.Decide(signUp(address)); got.Reason != want {
					t.Errorf("%s: %s, want %s", address, got.Reason, want)
				}
			}
		})
	}
}

// It stands where an address stands: before domains, and deny goes before allow.
func TestSubAddressesHaveThePrecedenceOfAnAddress(t *testing.T) {
	p := rules.Policy{PolicyName: named("p"),
		Allow: rules.AllowRules{Addresses: []string{"jo+*@x.example", "al+a@x.example"}, Domains: []string{"y.example"}},
		Deny: rules.DenyRules{
			Addresses: []string{"jo+spam@x.example", "al+*@x.example", "ed+*@y.example"}, Domains: []string{"x.example"},
		},
	}
	snapshot := compile(t, p)
	for address, want := range map[string]rules.Entry{
		"jo@x.example":      {Field: rules.AllowAddresses, Index: 0},
		"jo+a@x.example":    {Field: rules.AllowAddresses, Index: 0},
		"jo+spam@x.example": {Field: rules.DenyAddresses, Index: 0},
		"al+a@x.example":    {Field: rules.DenyAddresses, Index: 1},
		"ed+z@y.example":    {Field: rules.DenyAddresses, Index: 2},
		"ed@x.example":      {Field: rules.DenyDomains, Index: 0},
		"jo@y.example":      {Field: rules.AllowDomains, Index: 0},
	} {
		if got := snapshot.Decide(signUp(address)); got.Entry != want {
			t.Errorf("%s: by %s, want %s", address, got.Entry, want)
		}
	}
	_, traces := snapshot.Explain(signUp("jo+spam@x.example"))
	verdict := traces[0].Verdicts[0]
	want := []rules.Entry{{Field: rules.AllowAddresses, Index: 0}, {Field: rules.DenyDomains, Index: 0}}
	if !verdict.Denies || !slices.Equal(verdict.Overridden, want) {
		t.Errorf("the account says %+v, want the entries %v behind the one that decides", verdict, want)
	}
	_, traces = snapshot.Explain(signUp("jo+*@x.example")) // the address that is spelt like the entry
	if verdict := traces[0].Verdicts[0]; !verdict.Allows || len(verdict.Overridden) != 1 {
		t.Errorf("the account says %+v", verdict)
	}
}

func TestSubAddressesHaveADigestOfTheirOwn(t *testing.T) {
	digest := func(p rules.Policy) string { return compile(t, p).Digest() }
	if digest(allowAddresses("jo+*@x.example")) == digest(allowAddresses("jo@x.example")) {
		t.Error("the digest does not tell an address with its sub-addresses from the address alone")
	}
	if digest(allowAddresses("jo+*@x.example")) != digest(allowAddresses("JO+*@X.example")) {
		t.Error("the digest depends on the case")
	}
}

// As literal addresses these would match nobody. An allow entry allows nothing; with a deny entry the policy is not enforceable.
func TestPatternsInLocalPartsAreRefused(t *testing.T) {
	const whole, sub = "domains (x.example)", "jo+*@x.example"
	for _, local := range []string{
		"*", "?", "%", "jo*", "*jo", "j*o", "jo?", "??", "jo+{any}", "{any}", "${any}", "$jo", "jo$", "^jo", "^jo$", "jo|al", "jo+x+*", "+*",
		"jo+**", "jo.+", "jo.*", "jo%", "jo.+x", "*+*", "=?x?=",
	} {
		t.Run(local, func(t *testing.T) {
			entry := local + "@x.example"
			for _, p := range []rules.Policy{allowAddresses(entry), denyAddresses(entry)} {
				_, rejections := rules.Compile([]rules.Policy{p})
				if len(rejections) != 1 || rejections[0].Cause != rules.CauseEntry {
					t.Fatalf("rejections %v, want one of the entry", rejections)
				}
				for _, want := range []string{whole, sub} {
					if !strings.Contains(rejections[0].Message, want) {
						t.Errorf("the message does not say %q: %s", want, rejections[0].Message)
					}
				}
			}
			if got := decide([]rules.Policy{denyAddresses(entry), allow("q", "*")}, signUp("jo@x.example")); got.Outcome == rules.Allow {
				t.Errorf("with the deny entry: %s", got.Reason)
			}
			if count, _ := rules.CompileList([]byte(entry)).Skipped(); count != 1 {
				t.Errorf("a line of a list with it is an entry")
			}
		})
	}
	if _, rejections := rules.Compile([]rules.Policy{allowAddresses("zaphod*@acme")}); len(rejections) != 1 ||
		strings.Contains(rejections[0].Message, "zaphod") || !strings.Contains(rejections[0].Message, "acme.com") {
		t.Errorf("where the domain is none, either: %v", rejections)
	}
}

// Characters that people's addresses do have are none of a pattern; and an address of a call may have any that it could have before.
func TestCharactersOfRealLocalPartsAreLiteral(t *testing.T) {
	for _, local := range []string{"o'brien", "a&b", "jo#1", "prvs=abc=jo", "a/b", "~jo", "_jo_", "-jo-", "jo+a", "jo+", "+jo", "jo-a+b=c.d"} {
		snapshot := compile(t, allowAddresses(local+"@x.example"))
		if got := snapshot.Decide(signUp(local + "@x.example")); got.Reason != rules.ReasonAllowed {
			t.Errorf("%s: %s", local, got.Reason)
		}
	}
	for _, local := range []string{"*", "?", "jo*", "{jo}", "jo|al", "^jo$", "jo.+"} {
		if got := compile(t, allow("a", "*")).Decide(signUp(local + "@x.example")); got.Reason != rules.ReasonAllowed {
			t.Errorf("an address of a call with %s: %s", local, got.Reason)
		}
	}
}

// A deny entry denies something, or its policy is not enforceable: for every letter, mark and digit, wherever in a label it stands.
func TestNoLetterMakesADenyEntryNothing(t *testing.T) {
	unread := 0
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
			continue
		}
		inner := "ex" + string(r) + "ample.com"
		for _, policy := range []rules.Policy{deny("d", inner), deny("d", string(r)), denyAddresses("jo@" + inner)} {
			compiled := rules.CompilePolicy(policy)
			rejections := compiled.Rejections()
			switch {
			case compiled.Enforceable() && len(rejections) > 0:
				t.Errorf("U+%04X: %+v is enforced without its entry: %s", r, policy.Deny, rejections[0].Message)
			case !compiled.Enforceable() && len(rejections) != 1:
				t.Errorf("U+%04X: %+v is not enforceable, and the rejections are %v", r, policy.Deny, rejections)
			case !compiled.Enforceable():
				unread++
			}
		}
		if t.Failed() {
			return
		}
	}
	if unread == 0 {
		t.Error("every letter has a reading: this test proves nothing")
	}
}

// The letters of the issue: a reader takes such an entry for example.com, and our tables do not say what is meant.
func TestADenyEntryWithAnInvisibleLetterIsNotEnforceable(t *testing.T) {
	letters := []rune{0x3164, 0x115f, 0x1160, 0xffa0, 0x17b4, 0x17b5, 0x04c0}
	for r := rune(0x10a0); r <= 0x10c5; r++ {
		letters = append(letters, r)
	}
	for _, r := range letters {
		name := "ex" + string(r) + "ample.com"
		for _, p := range []rules.Policy{deny("d", name), denyAddresses("jo@" + name)} {
			compiled := rules.CompilePolicy(p)
			if compiled.Enforceable() || len(compiled.Rejections()) != 1 {
				t.Errorf("U+%04X: enforceable %t, rejections %v", r, compiled.Enforceable(), compiled.Rejections())
				continue
			}
			if message := compiled.Rejections()[0].Message; !strings.Contains(message, "no reading") || strings.Contains(message, "no address") {
				t.Errorf("U+%04X: %s", r, message)
			}
		}
		list := rules.CompileList([]byte(strings.Repeat("a.example\n", 200) + name + "\njo@" + name))
		if count, lines := list.Skipped(); list.Fault() != "" || count != 2 || !slices.Equal(lines, []int{201, 202}) {
			t.Errorf("U+%04X: in a list: fault %q, skipped %d: %v", r, list.Fault(), count, lines)
		}
	}
}

// An address that is longer than any can be does not fit the table of a list.
func TestALineLongerThanAnyAddressIsNoEntry(t *testing.T) {
	var lines []string
	for range 300 {
		lines = append(lines, "# so that the table is made anew when it is finished", "filler.example")
	}
	lines = append(lines, strings.Repeat("a", 64)+"@"+labels63(3, 57), "acme.com")
	list := listOf(lines...)
	if list.Fault() != "" || !list.Has("acme.com") || list.Entries() != 2 {
		t.Errorf("fault %q, %d entries, acme.com %t", list.Fault(), list.Entries(), list.Has("acme.com"))
	}
	if got := slices.Sorted(list.All()); !slices.Equal(got, []string{"acme.com", "filler.example"}) {
		t.Errorf("entries %q", got)
	}
}

func TestSuffixesOfLists(t *testing.T) {
	list := listOf("acme.com", "com.ar", "be", "*.ac.uk", "github.io", "kawasaki.jp", "jo@com.ar", "acme.com.ar", "*.acme.be", "edu.pl", "zapto.org")
	if count, lines := list.Suffixes(); count != 5 || !slices.Equal(lines, []int{2, 3, 4, 6, 10}) {
		t.Errorf("%d suffixes of registries, on lines %v", count, lines)
	}
}
