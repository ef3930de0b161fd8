package address_test

import (
	"errors"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules/internal/address"
)

func TestParseAddress(t *testing.T) {
	for sentence, test := range map[string]struct {
		in      string
		domain  string
		invalid address.Invalid
	}{
		"a plain address":                      {"jo@example.com", "example.com", ""},
		"the domain is canonical":              {"Jo@Bücher.Example", "xn--bcher-kva.example", ""},
		"all of atext but what routes":         {"a1#$&'*+-/?=^_{|}~b@example.com", "example.com", ""},
		"inner dots":                           {"a.b.c@example.com", "example.com", ""},
		"a local part of 64 bytes":             {strings.Repeat("a", 64) + "@example.com", "example.com", ""},
		"a local part of 65 bytes is too long": {strings.Repeat("a", 65) + "@example.com", "", address.TooLong},
		"254 bytes":                            {strings.Repeat("l", 64) + "@" + labels63(2, 61), labels63(2, 61), ""},
		"255 bytes are too long":               {strings.Repeat("l", 64) + "@" + labels63(2, 62), "", address.TooLong},
		"255 bytes with a domain of 253":       {"l@" + labels63(3, 61), "", address.TooLong},
		"a domain of 252 bytes":                {"l@" + labels63(3, 60), labels63(3, 60), ""},
		"over 254 bytes once the domain is in A-labels": {
			strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 25) + "example", "", address.TooLong},
		"254 bytes once the domain is in A-labels": {
			strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 16) + strings.Repeat("a", 61),
			strings.Repeat("xn--tda.", 16) + strings.Repeat("a", 61), ""},
		"255 bytes once the domain is in A-labels": {
			strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 16) + strings.Repeat("a", 62), "", address.TooLong},
		"invalid UTF-8 before the @":      {"j\xffo@example.com", "", address.NotUTF8},
		"invalid UTF-8 after the @":       {"jo@exa\xffmple.com", "", address.NotUTF8},
		"nothing":                         {"", "", address.NoAtSign},
		"no @":                            {"example.com", "", address.NoAtSign},
		"a full-width @ is none":          {"jo＠example.com", "", address.NoAtSign},
		"two @":                           {"jo@evil.test@example.com", "", address.ManyAtSigns},
		"two @ in a row":                  {"jo@@example.com", "", address.ManyAtSigns},
		"a quoted @":                      {`"jo@evil.test"@example.com`, "", address.ManyAtSigns},
		"only an @":                       {"@", "", address.BadLocalPart},
		"no local part":                   {"@example.com", "", address.BadLocalPart},
		"a leading dot":                   {".jo@example.com", "", address.BadLocalPart},
		"a trailing dot":                  {"jo.@example.com", "", address.BadLocalPart},
		"a doubled dot":                   {"j..o@example.com", "", address.BadLocalPart},
		"a quoted local part":             {`"jo"@example.com`, "", address.BadLocalPart},
		"a comment":                       {"jo(x)@example.com", "", address.BadLocalPart},
		"a display name":                  {"Jo <jo@example.com>", "", address.BadLocalPart},
		"a leading space is not trimmed":  {" jo@example.com", "", address.BadLocalPart},
		"a trailing space is not trimmed": {"jo@example.com ", "", address.BadCharacter},
		"the percent hack":                {"jo%evil.test@example.com", "", address.BadLocalPart},
		"a bang path":                     {"evil.test!jo@example.com", "", address.BadLocalPart},
		"a backquote":                     {"j`o@example.com", "", address.BadLocalPart},
		"the start of an encoded word":    {"=?utf-8?q?jo?=@example.com", "", address.BadLocalPart},
		"= and ? apart":                   {"a=b?c@example.com", "example.com", ""},
		"two addresses":                   {"jo,al@example.com", "", address.BadLocalPart},
		"a route":                         {"@a.test:jo@example.com", "", address.ManyAtSigns},
		"a backslash":                     {`j\o@example.com`, "", address.BadLocalPart},
		"a letter outside ASCII":          {"jö@example.com", "", address.BadLocalPart},
		"NUL":                             {"jo\x00@example.com", "", address.BadLocalPart},
		"a line break":                    {"jo\r\n@example.com", "", address.BadLocalPart},
		"DEL":                             {"jo\x7f@example.com", "", address.BadLocalPart},
		"no domain":                       {"jo@", "", address.EmptyLabel},
		"a trailing dot of the domain":    {"jo@example.com.", "", address.EmptyLabel},
		"a label of 64 bytes":             {"jo@" + strings.Repeat("a", 64) + ".com", "", address.LabelTooLong},
		"a literal":                       {"jo@[192.0.2.1]", "", address.BadCharacter},
		"a comment in the domain":         {"jo@example.com(x)", "", address.BadCharacter},
		"a hyphen at a label's edge":      {"jo@-example.com", "", address.BadHyphen},
		"a domain that needs mapping":     {"jo@ｅxample.com", "", address.BadIDN},
		"a top-level domain":              {"jo@com", "", address.TooFewLabels},
		"an IPv4 address":                 {"jo@127.0.0.1", "", address.NumericTLD},
		"length comes before encoding":    {strings.Repeat("\xff", 255), "", address.TooLong},
		"encoding comes before the @":     {"\xff", "", address.NotUTF8},
		"the number of @ comes before the local part": {"..@a@b", "", address.ManyAtSigns},
		"the local part comes before the domain":      {"..@..", "", address.BadLocalPart},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := address.Parse(test.in)
			want := error(nil)
			if test.invalid != "" {
				want = test.invalid
			}
			if got.Domain().String() != test.domain || !errors.Is(err, want) {
				t.Errorf("ParseAddress(%q): domain %q, %v; want %q, %v", test.in, got.Domain(), err, test.domain, want)
			}
		})
	}
}

func TestEveryOctetOfALocalPartIsAcceptedOrRefusedOnPurpose(t *testing.T) {
	const accepted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#$&'*+-/?=^_{|}~."
	for c := range 256 {
		_, err := address.Parse("a" + string([]byte{byte(c)}) + "b@example.com")
		if got, want := err == nil, strings.IndexByte(accepted, byte(c)) >= 0; got != want {
			t.Errorf("byte %#x: accepted %t, want %t (%v)", c, got, want, err)
		}
	}
}

// Two addresses with one key would be one person to the rules.
func TestAKeyFoldsAToZAndNothingElse(t *testing.T) {
	const local = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	for half, text := range []string{local, "0123456789#$&'*+-/?=^_{|}~"} {
		a, err := address.Parse(text + "@Example.COM")
		if err != nil {
			t.Fatal(err)
		}
		want := strings.ToLower(text) + "@example.com"
		if got := address.Key(a); got != want {
			t.Errorf("half %d: Key = %q, want %q", half, got, want)
		}
	}
}

func TestEveryClassOfInvalidIsDocumentedOnce(t *testing.T) {
	seen := map[address.Invalid]bool{}
	for _, invalid := range address.Invalids() {
		if invalid == "" || seen[invalid] || invalid.Error() != string(invalid) {
			t.Errorf("class %q is empty, doubled or renamed", invalid)
		}
		seen[invalid] = true
	}
	if len(seen) != 14 {
		t.Errorf("%d classes, want 14", len(seen))
	}
}
