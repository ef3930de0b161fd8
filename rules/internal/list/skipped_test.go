package list

import (
	"strings"
	"testing"
)

func TestASkippedLineHasAReason(t *testing.T) {
	for text, want := range map[string]string{
		"":                               "",
		"# a comment":                    "",
		"acme.com":                       "",
		" *.acme.com # with a comment":   "",
		"jo@acme.com":                    "",
		"jo+*@acme.com":                  "",
		"o#hara@acme.com":                "",
		"com":                            "",
		"*":                              "a list must not mean everybody",
		"0.0.0.0 acme.com # a host":      "a space inside",
		"acme..com":                      "a label is empty",
		"https://acme.com/":              "a domain has only letters",
		"||acme.com^":                    "a domain has only letters",
		"acme.com,beta.example":          "a domain has only letters",
		"*@acme.com":                     "for every address of a domain, write the domain (acme.com)",
		"jo.*@acme.com":                  "for every address of a domain, write the domain (acme.com)",
		`"jo"@acme.com`:                  "not that of a plain mailbox",
		"jo@beta@acme.com":               "a domain has only letters",
		"jo@acme":                        "at least two labels",
		"192.0.2.1":                      "an IP address is not a mail domain",
		strings.Repeat("a", 64) + ".com": "over 63 bytes",
		"acme\u200b\u2063.\u0378com":     "have no reading as a domain",
		"acme\xff.com":                   "not valid UTF-8",
	} {
		got := SkippedReason(text)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
		if count, _ := Compile([]byte(text)).Skipped(); (count > 0) != (got != "") {
			t.Errorf("%q: %d lines are skipped, and the reason is %q", text, count, got)
		}
	}
}
