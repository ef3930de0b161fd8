package address_test

import (
	"net/mail"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/test/random"
	"registrationpolicy.dev/operator/test/vectors"
)

// checkDomain holds for every domain that a parser accepted.
func checkDomain(t *testing.T, d address.Domain) {
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
	again, err := address.ParseDomain(name)
	if err != nil || again != d {
		t.Fatalf("%q parses as %q, %v", name, again, err)
	}
	if upper, err := address.ParseDomain(strings.ToUpper(name)); err != nil || upper != d {
		t.Fatalf("%q in upper case parses as %q, %v", name, upper, err)
	}
}

// checkInvalid holds for every error of a parser: it is one of the closed set, and so holds none of the input.
func checkInvalid(t *testing.T, err error) {
	t.Helper()
	for _, invalid := range address.Invalids() {
		if err == error(invalid) {
			return
		}
	}
	t.Fatalf("error %v is not in the set", err)
}

func seedAddresses(add func(string)) {
	for _, row := range append(vectors.Addresses(), vectors.DenyRules()...) {
		add(row.Email)
	}
}

func FuzzParseDomain(f *testing.F) {
	seedAddresses(func(email string) { f.Add(email[strings.LastIndexByte(email, '@')+1:]) })
	for _, s := range random.Spellings {
		f.Add(s.Text)
	}
	f.Fuzz(func(t *testing.T, s string) {
		d, err := address.ParseDomain(s)
		if err != nil {
			checkInvalid(t, err)
			if d != (address.Domain{}) {
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
		a, err := address.Parse(s)
		if err != nil {
			checkInvalid(t, err)
			if a != (address.Address{}) {
				t.Fatalf("an error together with an address")
			}
			return
		}
		checkDomain(t, a.Domain())
		local, domain, _ := strings.Cut(s, "@")
		if d, err := address.ParseDomain(domain); err != nil || d != a.Domain() {
			t.Fatalf("the domain of %q is %q, not %q, %v", s, a.Domain(), d, err)
		}
		canonical, err := address.Parse(local + "@" + a.Domain().String())
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
