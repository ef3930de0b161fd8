package rules_test

import (
	"net/mail"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/vectors"
)

// checkDomain holds for every domain that a parser accepted.
func checkDomain(t *testing.T, d rules.Domain) {
	t.Helper()
	name := d.String()
	labels := strings.Split(name, ".")
	if len(name) > 253 || len(labels) < 2 {
		t.Fatalf("%q: %d bytes, %d labels", name, len(name), len(labels))
	}
	for _, label := range labels {
		if len(label) == 0 || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" ||
			label[0] == '-' || label[len(label)-1] == '-' {
			t.Fatalf("%q: label %q", name, label)
		}
		if len(label) > 3 && label[2:4] == "--" && !strings.HasPrefix(label, "xn--") {
			t.Fatalf("%q: reserved label %q", name, label)
		}
	}
	if strings.Trim(labels[len(labels)-1], "0123456789") == "" {
		t.Fatalf("%q: a number at the end", name)
	}
	again, err := rules.ParseDomain(name)
	if err != nil || again != d {
		t.Fatalf("%q parses as %q, %v", name, again, err)
	}
	if upper, err := rules.ParseDomain(strings.ToUpper(name)); err != nil || upper != d {
		t.Fatalf("%q in upper case parses as %q, %v", name, upper, err)
	}
}

// checkInvalid holds for every error of a parser: it is one of the closed set, and so holds none of the input.
func checkInvalid(t *testing.T, err error) {
	t.Helper()
	for _, invalid := range rules.Invalids() {
		if err == error(invalid) {
			return
		}
	}
	t.Fatalf("error %v is none of the set", err)
}

func seedAddresses(add func(string)) {
	for _, row := range append(vectors.Addresses(), vectors.DenyRules()...) {
		add(row.Email)
	}
}

func FuzzParseDomain(f *testing.F) {
	seedAddresses(func(email string) { f.Add(email[strings.LastIndexByte(email, '@')+1:]) })
	for _, s := range spellings {
		f.Add(s.text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := rules.ParseDomain(s)
		if err != nil {
			checkInvalid(t, err)
			if d != (rules.Domain{}) {
				t.Fatalf("an error together with %q", d)
			}
			return
		}
		checkDomain(t, d)
		// What is ASCII is only folded: nothing is mapped, trimmed or decoded.
		if isASCII(s) && d.String() != strings.ToLower(s) {
			t.Fatalf("%q became %q", s, d)
		}
	})
}

func FuzzParseAddress(f *testing.F) {
	seedAddresses(func(email string) { f.Add(email) })
	f.Fuzz(func(t *testing.T, s string) {
		a, err := rules.ParseAddress(s)
		if err != nil {
			checkInvalid(t, err)
			if a != (rules.Address{}) {
				t.Fatalf("an error together with an address")
			}
			return
		}
		checkDomain(t, a.Domain())
		local, domain, _ := strings.Cut(s, "@")
		if d, err := rules.ParseDomain(domain); err != nil || d != a.Domain() {
			t.Fatalf("the domain of %q is %q, not %q, %v", s, a.Domain(), d, err)
		}
		canonical, err := rules.ParseAddress(local + "@" + a.Domain().String())
		if err != nil || canonical.Domain() != a.Domain() {
			t.Fatalf("%q does not parse again in A-labels: %v", s, err)
		}
		if len(s) > 254 || len(local) == 0 || len(local) > 64 || !isASCII(local) {
			t.Fatalf("%q: too long, or no local part", s)
		}
		// Another parser, where it accepts the same string, must not see another mailbox.
		if other, err := mail.ParseAddress(s); isASCII(s) {
			if err != nil {
				t.Fatalf("%q is no address to net/mail: %v", s, err)
			}
			if other.Address != s {
				t.Fatalf("%q is %q to net/mail", s, other.Address)
			}
		}
	})
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return r >= 0x80 }) < 0
}

// FuzzDecide compares with the reference: random policies by the seed, and the fuzzer's own addresses.
func FuzzDecide(f *testing.F) {
	seed := uint64(0)
	seedAddresses(func(email string) { f.Add(seed, email, email); seed++ })
	f.Fuzz(func(t *testing.T, seed uint64, email, login string) {
		d := newDraw(seed)
		policies, call := d.policies(), d.call()
		call.Profile[0].Kind, call.Profile[0].Text = rules.Text, email
		if len(call.Profile) > 1 {
			call.Profile[1].Kind, call.Profile[1].Text = rules.Text, login
			call.Update[1] = call.Profile[1]
		}
		decision := decide(policies, call)
		got := answerOf(&decision)
		if want := refDecide(policies, call); got != want {
			t.Fatalf("policies %+v\ncall %+v\n got %+v\nwant %+v", policies, call, got, want)
		}
		if decision.Outcome == rules.Deny {
			return
		}
		if call.Shape != rules.ProfileUpdate {
			checkAllowed(t, call.Profile)
		}
		if call.Shape != rules.SignUp {
			checkAllowed(t, call.Update)
		}
	})
}

// checkAllowed fails if a call was allowed with an attribute that is no address. All but the first are optional: they may be
// empty, and a login may be a user name.
func checkAllowed(t *testing.T, attributes []rules.Attribute) {
	t.Helper()
	for i, a := range attributes {
		empty := a.Kind == rules.Null || a.Kind == rules.Text && a.Text == ""
		userName := a.Name == "login" && a.Kind == rules.Text && !strings.Contains(a.Text, "@")
		if a.Kind == rules.Absent || i > 0 && (empty || userName) {
			continue
		}
		if _, err := rules.ParseAddress(a.Text); err != nil || a.Kind != rules.Text {
			t.Fatalf("allowed with %q as %s (kind %d): %v", a.Text, a.Name, a.Kind, err)
		}
	}
}

// FuzzCompileEntries writes any text into every list of a policy.
func FuzzCompileEntries(f *testing.F) {
	for _, s := range denySpellings {
		f.Add(s.text, "local")
		f.Add("*."+s.text, "local")
	}
	for _, s := range unusable {
		f.Add(s, "local")
	}
	f.Fuzz(func(t *testing.T, entry, local string) {
		// Long enough, and of letters that no message has in a row: it is looked for in all that comes out.
		secret := "qzx" + local + "xzq"
		address := secret + "@" + entry
		entries := []string{entry, address}
		policies := []rules.Policy{{
			PolicyName: named("a"),
			Allow:      rules.AllowRules{Domains: entries, PublicSuffixes: entries, Addresses: entries},
		}, {
			PolicyName: named("b"),
			Deny:       rules.DenyRules{Domains: entries, Addresses: entries},
		}}
		_, rejections := rules.Compile(policies)
		for _, r := range rejections {
			if r.Policy.Namespace != "ns" || r.Path == "" || r.Message == "" {
				t.Fatalf("rejection %+v", r)
			}
			if strings.Contains(r.Message, "qzx") && !strings.Contains(entry, "qzx") {
				t.Fatalf("a local part in %q", r.Message)
			}
		}

		// An allow entry allows its own name, or what is below it, or everything; and a deny entry of the same text denies
		// at least that.
		denied := deny("b", entry)
		for _, probe := range []string{"jo@" + entry, "jo@" + strings.TrimPrefix(entry, "*."), "jo@a." + strings.TrimPrefix(entry, "*."), "jo@stranger.example", "jo@example.com"} {
			call := signUp(probe)
			allowed := decide([]rules.Policy{allow("a", entry)}, call)
			if allowed.Outcome != rules.Allow {
				continue
			}
			base := allowed.Domain.String()
			suffix, below := strings.CutPrefix(entry, "*.")
			if meant, err := rules.ParseDomain(suffix); entry != "*" &&
				(err != nil || !below && base != meant.String() || below && !strings.HasSuffix(base, "."+meant.String())) {
				t.Fatalf("entry %q allows %q", entry, base)
			}
			if got := decide([]rules.Policy{allow("a", "*"), denied}, call); got.Outcome != rules.Deny {
				t.Fatalf("deny entry %q does not deny %q, which the allow entry allows", entry, base)
			}
		}
	})
}
