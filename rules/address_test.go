package rules_test

import (
	"errors"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

func TestParseAddress(t *testing.T) {
	for sentence, test := range map[string]struct {
		in      string
		domain  string
		invalid rules.Invalid
	}{
		"a plain address":                      {"jo@example.com", "example.com", ""},
		"the domain is canonical":              {"Jo@Bücher.Example", "xn--bcher-kva.example", ""},
		"all of atext but what routes":         {"a1#$&'*+-/?=^_{|}~b@example.com", "example.com", ""},
		"inner dots":                           {"a.b.c@example.com", "example.com", ""},
		"a local part of 64 bytes":             {strings.Repeat("a", 64) + "@example.com", "example.com", ""},
		"a local part of 65 bytes is too long": {strings.Repeat("a", 65) + "@example.com", "", rules.TooLong},
		"254 bytes":                            {strings.Repeat("l", 64) + "@" + labels63(2, 61), labels63(2, 61), ""},
		"255 bytes are too long":               {strings.Repeat("l", 64) + "@" + labels63(2, 62), "", rules.TooLong},
		"255 bytes with a domain of 253":       {"l@" + labels63(3, 61), "", rules.TooLong},
		"a domain of 252 bytes":                {"l@" + labels63(3, 60), labels63(3, 60), ""},
		"over 254 bytes once the domain is in A-labels": {
			strings.Repeat("l", 64) + "@" + strings.Repeat("ü.", 25) + "example", "", rules.TooLong},
		"invalid UTF-8 before the @":      {"j\xffo@example.com", "", rules.NotUTF8},
		"invalid UTF-8 after the @":       {"jo@exa\xffmple.com", "", rules.NotUTF8},
		"nothing":                         {"", "", rules.NoAtSign},
		"no @":                            {"example.com", "", rules.NoAtSign},
		"a full-width @ is none":          {"jo＠example.com", "", rules.NoAtSign},
		"two @":                           {"jo@evil.test@example.com", "", rules.ManyAtSigns},
		"two @ in a row":                  {"jo@@example.com", "", rules.ManyAtSigns},
		"a quoted @":                      {`"jo@evil.test"@example.com`, "", rules.ManyAtSigns},
		"only an @":                       {"@", "", rules.BadLocalPart},
		"no local part":                   {"@example.com", "", rules.BadLocalPart},
		"a leading dot":                   {".jo@example.com", "", rules.BadLocalPart},
		"a trailing dot":                  {"jo.@example.com", "", rules.BadLocalPart},
		"a doubled dot":                   {"j..o@example.com", "", rules.BadLocalPart},
		"a quoted local part":             {`"jo"@example.com`, "", rules.BadLocalPart},
		"a comment":                       {"jo(x)@example.com", "", rules.BadLocalPart},
		"a display name":                  {"Jo <jo@example.com>", "", rules.BadLocalPart},
		"a leading space is not trimmed":  {" jo@example.com", "", rules.BadLocalPart},
		"a trailing space is not trimmed": {"jo@example.com ", "", rules.BadCharacter},
		"the percent hack":                {"jo%evil.test@example.com", "", rules.BadLocalPart},
		"a bang path":                     {"evil.test!jo@example.com", "", rules.BadLocalPart},
		"a backquote":                     {"j`o@example.com", "", rules.BadLocalPart},
		"the start of an encoded word":    {"=?utf-8?q?jo?=@example.com", "", rules.BadLocalPart},
		"= and ? apart":                   {"a=b?c@example.com", "example.com", ""},
		"two addresses":                   {"jo,al@example.com", "", rules.BadLocalPart},
		"a route":                         {"@a.test:jo@example.com", "", rules.ManyAtSigns},
		"a backslash":                     {`j\o@example.com`, "", rules.BadLocalPart},
		"a letter outside ASCII":          {"jö@example.com", "", rules.BadLocalPart},
		"NUL":                             {"jo\x00@example.com", "", rules.BadLocalPart},
		"a line break":                    {"jo\r\n@example.com", "", rules.BadLocalPart},
		"DEL":                             {"jo\x7f@example.com", "", rules.BadLocalPart},
		"no domain":                       {"jo@", "", rules.EmptyLabel},
		"a trailing dot of the domain":    {"jo@example.com.", "", rules.EmptyLabel},
		"a label of 64 bytes":             {"jo@" + strings.Repeat("a", 64) + ".com", "", rules.LabelTooLong},
		"a literal":                       {"jo@[192.0.2.1]", "", rules.BadCharacter},
		"a comment in the domain":         {"jo@example.com(x)", "", rules.BadCharacter},
		"a hyphen at a label's edge":      {"jo@-example.com", "", rules.BadHyphen},
		"a domain that needs mapping":     {"jo@ｅxample.com", "", rules.BadIDN},
		"a top-level domain":              {"jo@com", "", rules.TooFewLabels},
		"an IPv4 address":                 {"jo@127.0.0.1", "", rules.NumericTLD},
		"length comes before encoding":    {strings.Repeat("\xff", 255), "", rules.TooLong},
		"encoding comes before the @":     {"\xff", "", rules.NotUTF8},
		"the number of @ comes before the local part": {"..@a@b", "", rules.ManyAtSigns},
		"the local part comes before the domain":      {"..@..", "", rules.BadLocalPart},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := rules.ParseAddress(test.in)
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
	const accepted = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789#$&'*+-/=?^_{|}~."
	for c := range 256 {
		_, err := rules.ParseAddress("a" + string([]byte{byte(c)}) + "b@example.com")
		if got, want := err == nil, strings.IndexByte(accepted, byte(c)) >= 0; got != want {
			t.Errorf("byte %#x: accepted %t, want %t (%v)", c, got, want, err)
		}
	}
}

func TestEveryClassOfInvalidIsDocumentedOnce(t *testing.T) {
	seen := map[rules.Invalid]bool{}
	for _, invalid := range rules.Invalids() {
		if invalid == "" || seen[invalid] || invalid.Error() != string(invalid) {
			t.Errorf("class %q is empty, doubled or renamed", invalid)
		}
		seen[invalid] = true
	}
	if len(seen) != 14 {
		t.Errorf("%d classes, want 14", len(seen))
	}
}

// A login is a user name, an address, or invalid. A user name is skipped, so that only the e-mail address decides.
func TestLogins(t *testing.T) {
	snapshot := compile(t, allow("a", "acme.com"))
	for sentence, test := range map[string]struct {
		login  rules.Attribute
		reason rules.Reason
	}{
		"a user name":                         {text("login", "jo"), rules.ReasonAllowed},
		"a user name with dots and signs":     {text("login", "jo.doe-1_x+y!#$&*()/:;=?[]^{|}~,"), rules.ReasonAllowed},
		"an allowed address":                  {text("login", "jo@acme.com"), rules.ReasonAllowed},
		"another address":                     {text("login", "jo@evil.test"), rules.ReasonNotAllowed},
		"absent":                              {absent("login"), rules.ReasonAllowed},
		"null":                                {null("login"), rules.ReasonAllowed},
		"a number":                            {other("login"), rules.ReasonInvalidAddress},
		"empty":                               {text("login", ""), rules.ReasonAllowed},
		"another attribute is empty":          {text("secondEmail", ""), rules.ReasonAllowed},
		"a blank":                             {text("login", " "), rules.ReasonInvalidAddress},
		"a space":                             {text("login", "jo doe"), rules.ReasonInvalidAddress},
		"a tab":                               {text("login", "jo\tdoe"), rules.ReasonInvalidAddress},
		"a double quote":                      {text("login", `"jo"`), rules.ReasonInvalidAddress},
		"a quote":                             {text("login", "j'o"), rules.ReasonInvalidAddress},
		"a percent sign":                      {text("login", "jo%evil.test"), rules.ReasonInvalidAddress},
		"an escaped @":                        {text("login", "jo%40evil.test"), rules.ReasonInvalidAddress},
		"a backslash":                         {text("login", `EVIL\jo`), rules.ReasonInvalidAddress},
		"an angle bracket":                    {text("login", "<jo"), rules.ReasonInvalidAddress},
		"a closing angle bracket":             {text("login", "jo>"), rules.ReasonInvalidAddress},
		"a full-width @":                      {text("login", "jo＠evil.test"), rules.ReasonInvalidAddress},
		"a letter outside ASCII":              {text("login", "jö"), rules.ReasonInvalidAddress},
		"DEL":                                 {text("login", "jo\x7f"), rules.ReasonInvalidAddress},
		"invalid UTF-8":                       {text("login", "jo\xff"), rules.ReasonInvalidAddress},
		"an address that does not parse":      {text("login", "jo@acme"), rules.ReasonInvalidAddress},
		"another attribute holds a user name": {text("secondEmail", "jo"), rules.ReasonInvalidAddress},
	} {
		t.Run(sentence, func(t *testing.T) {
			call := rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{text("email", "jo@acme.com"), test.login}}
			got := snapshot.Decide(call)
			if got.Reason != test.reason {
				t.Errorf("got %s, want %s", got.Reason, test.reason)
			}
			if got.Outcome == rules.Deny && got.Attribute != test.login.Name {
				t.Errorf("attribute %q, want %q", got.Attribute, test.login.Name)
			}
		})
	}
}
