package rules_test

import (
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
	"registrationpolicy.dev/operator/test/vectors"
)

func seedAddresses(add func(string)) {
	for _, row := range append(vectors.Addresses(), vectors.DenyRules()...) {
		add(row.Email)
	}
}

// FuzzDecide compares with the reference: random policies by the seed, and the fuzzer's own addresses.
func FuzzDecide(f *testing.F) {
	seed := uint64(0)
	seedAddresses(func(email string) { f.Add(seed, email, email); seed++ })
	f.Fuzz(func(t *testing.T, seed uint64, email, login string) {
		d := random.New(seed)
		policies, call := d.Policies(), d.Call()
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
	for _, s := range random.DenySpellings {
		f.Add(s.Text, "local")
		f.Add("*."+s.Text, "local")
	}
	for _, s := range random.Unusable {
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
