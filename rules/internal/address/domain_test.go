package address_test

import (
	"errors"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// labels63 joins labels of 63 bytes, and a last one of rest bytes.
func labels63(n, rest int) string {
	return strings.Repeat(strings.Repeat("a", 63)+".", n) + strings.Repeat("b", rest)
}

func TestParseDomain(t *testing.T) {
	for sentence, test := range map[string]struct {
		in      string
		want    string
		invalid address.Invalid
	}{
		"two labels are a domain":                          {"example.com", "example.com", ""},
		"A to Z are folded":                                {"ExAmPlE.COM", "example.com", ""},
		"digits and inner hyphens are fine":                {"a-1.2b.example", "a-1.2b.example", ""},
		"a number that is not the last label is fine":      {"127.example", "127.example", ""},
		"one-character labels are fine":                    {"a.b", "a.b", ""},
		"0x in an inner label is fine":                     {"0x1.example", "0x1.example", ""},
		"0x with another letter is no number":              {"a.0xg", "a.0xg", ""},
		"a label has up to 63 bytes":                       {strings.Repeat("a", 63) + ".com", strings.Repeat("a", 63) + ".com", ""},
		"a label of 64 bytes is too long":                  {strings.Repeat("a", 64) + ".com", "", address.LabelTooLong},
		"a domain has up to 253 bytes":                     {labels63(3, 61), labels63(3, 61), ""},
		"a domain of 254 bytes is too long":                {labels63(3, 62), "", address.TooLong},
		"invalid UTF-8 is refused":                         {"ex\xffmple.com", "", address.NotUTF8},
		"an overlong encoding is not UTF-8":                {"a\xc0\xaeb.com", "", address.NotUTF8},
		"a surrogate is not UTF-8":                         {"\xed\xa0\x80.com", "", address.NotUTF8},
		"nothing at all is an empty label":                 {"", "", address.EmptyLabel},
		"a lone dot is an empty label":                     {".", "", address.EmptyLabel},
		"a leading dot is an empty label":                  {".example.com", "", address.EmptyLabel},
		"a trailing dot is an empty label":                 {"example.com.", "", address.EmptyLabel},
		"a doubled dot is an empty label":                  {"example..com", "", address.EmptyLabel},
		"one label is too few":                             {"localhost", "", address.TooFewLabels},
		"a space is no character of a host name":           {"exam ple.com", "", address.BadCharacter},
		"a line feed at the end is not trimmed":            {"example.com\n", "", address.BadCharacter},
		"NUL does not end the name":                        {"example.com\x00.evil.test", "", address.BadCharacter},
		"an underscore is no character of a host name":     {"a_b.example", "", address.BadCharacter},
		"a star is no character of a host name":            {"*.example.com", "", address.BadCharacter},
		"a literal is no domain":                           {"[192.0.2.1]", "", address.BadCharacter},
		"a port is no part of a domain":                    {"example.com:25", "", address.BadCharacter},
		"a percent escape is not decoded":                  {"example%2ecom", "", address.BadCharacter},
		"a leading hyphen is refused":                      {"-a.example", "", address.BadHyphen},
		"a trailing hyphen is refused":                     {"a-.example", "", address.BadHyphen},
		"a trailing hyphen of the last label is refused":   {"a.example-", "", address.BadHyphen},
		"-- in places 3 and 4 is reserved":                 {"ab--c.example", "", address.BadHyphen},
		"-- elsewhere is fine":                             {"abc--d.example", "abc--d.example", ""},
		"an A-label that round-trips is fine":              {"xn--mnchen-3ya.example", "xn--mnchen-3ya.example", ""},
		"the ACE prefix may be upper case":                 {"XN--MNCHEN-3YA.example", "xn--mnchen-3ya.example", ""},
		"a U-label gives its A-label":                      {"münchen.example", "xn--mnchen-3ya.example", ""},
		"ASCII letters of a U-label are folded":            {"MüNCHEN.example", "xn--mnchen-3ya.example", ""},
		"U-labels may stand anywhere":                      {"www.пример.рф", "www.xn--e1afmkfd.xn--p1ai", ""},
		"a right-to-left name that keeps the Bidi rule":    {"אב.example", "xn--4dbc.example", ""},
		"a right-to-left name that breaks the Bidi rule":   {"1.אב.example", "", address.BadIDN},
		"the same, all in A-labels":                        {"1.xn--4dbc.example", "", address.BadIDN},
		"a deviation character as a U-label names two":     {"faß.example", "", address.BadIDN},
		"a deviation character as an A-label names one":    {"xn--fa-hia.example", "xn--fa-hia.example", ""},
		"final sigma as a U-label names two":               {"ος.example", "", address.BadIDN},
		"capital sharp s needs mapping":                    {"faẞ.example", "", address.BadIDN},
		"an upper-case letter outside ASCII needs mapping": {"MÜNCHEN.example", "", address.BadIDN},
		"U+0130 does not become i":                         {"gma\u0130l.com", "", address.BadIDN},
		"U+212A does not become k":                         {"\u212aelvin.com", "", address.BadIDN},
		"U+017F does not become s":                         {"\u017fap.com", "", address.BadIDN},
		"full-width letters need mapping":                  {"ｅxample.com", "", address.BadIDN},
		"a ligature needs mapping":                         {"ﬁsh.example", "", address.BadIDN},
		"a soft hyphen is not ignored":                     {"exam\u00adple.com", "", address.BadIDN},
		"a zero-width space is not ignored":                {"exam\u200bple.com", "", address.BadIDN},
		"a zero-width joiner is refused":                   {"क्\u200dष.example", "", address.BadIDN},
		"a bidi override is refused":                       {"\u202eexample.com", "", address.BadIDN},
		"a byte order mark is refused":                     {"\ufeffexample.com", "", address.BadIDN},
		"an ideographic full stop is no dot":               {"a。example.com", "", address.BadIDN},
		"a full-width dot is no dot":                       {"a．example.com", "", address.BadIDN},
		"not NFC needs mapping":                            {"mu\u0308nchen.example", "", address.BadIDN},
		"a label cannot begin with a combining mark":       {"\u0308a.example", "", address.BadIDN},
		"an emoji is no letter":                            {"i❤.example", "", address.BadIDN},
		"an emoji is no letter, as an A-label either":      {"xn--i-7iq.example", "", address.BadIDN},
		"an A-label of nothing":                            {"xn--.com", "", address.BadHyphen},
		"an A-label that does not decode":                  {"xn--a.com", "", address.BadIDN},
		"an A-label of plain ASCII":                        {"xn--example-.com", "", address.BadHyphen},
		"an A-label that decodes to plain ASCII":           {"xn--abc-.com", "", address.BadHyphen},
		"an A-label of upper case":                         {"xn--mnchen-6xa.example", "", address.BadIDN},
		"an A-label prefix before a U-label":               {"xn--ü.example", "", address.BadIDN},
		"-- in places 3 and 4 of a U-label":                {"aé--b.example", "", address.BadIDN},
		"-- in places 3 and 4 of a U-label, two wide":      {"éé--a.example", "", address.BadIDN},
		"-- in places 3 and 4 behind an A-label":           {"xn--a--b-bpa.example", "", address.BadIDN},
		"a U-label over 63 bytes as an A-label":            {strings.Repeat("ü", 60) + "abc.example", "", address.BadIDN},
		"a name over 253 bytes as A-labels": {
			strings.Repeat("ü.", 35) + strings.Repeat("a.", 70) + "com", "", address.TooLong},
		"a name of 253 bytes as A-labels":           {strings.Repeat("ü.", 24) + strings.Repeat("a", 61), strings.Repeat("xn--tda.", 24) + strings.Repeat("a", 61), ""},
		"a name of 254 bytes as A-labels":           {strings.Repeat("ü.", 24) + strings.Repeat("a", 62), "", address.TooLong},
		"a label of two letters beside a U-label":   {"ü.xn", "xn--tda.xn", ""},
		"a label of three beside a U-label":         {"ü.xn1", "xn--tda.xn1", ""},
		"a last label of digits is a number":        {"a.1", "", address.NumericTLD},
		"all ten digits are digits":                 {"a.0123456789", "", address.NumericTLD},
		"all hexadecimal digits are digits":         {"a.0x0123456789abcdef", "", address.NumericTLD},
		"an IPv4 address is no domain":              {"192.0.2.1", "", address.NumericTLD},
		"a hexadecimal last label is a number":      {"a.0x1F", "", address.NumericTLD},
		"0x alone is a number to inet_aton":         {"a.0X", "", address.NumericTLD},
		"other digits are no ASCII":                 {"a.１", "", address.BadIDN},
		"what is long and not UTF-8 is too long":    {strings.Repeat("\xff", 254), "", address.TooLong},
		"the first bad label is what is wrong":      {"-a..b", "", address.BadHyphen},
		"a label is checked before their number is": {"_", "", address.BadCharacter},
	} {
		t.Run(sentence, func(t *testing.T) {
			got, err := address.ParseDomain(test.in)
			want := error(nil)
			if test.invalid != "" {
				want = test.invalid
			}
			if got.String() != test.want || !errors.Is(err, want) {
				t.Errorf("ParseDomain(%q) = %q, %v; want %q, %v", test.in, got, err, test.want, want)
			}
		})
	}
}

func TestTheZeroDomainIsNoName(t *testing.T) {
	if got := (address.Domain{}).String(); got != "" {
		t.Errorf("got %q", got)
	}
}

func TestToUnicodeDecodesEveryALabel(t *testing.T) {
	for name, want := range map[string]string{
		"xn--tda.xn--mnchen-3ya.example": "ü.münchen.example",
		"example.com":                    "example.com",
		"xn--a.com":                      "xn--a.com", // does not decode
	} {
		if got := address.ToUnicode(name); got != want {
			t.Errorf("ToUnicode(%q) = %q, want %q", name, got, want)
		}
	}
}
