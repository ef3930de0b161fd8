package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func TestEachRuleFindsABadSentence(t *testing.T) {
	const short = "The operator answers. "
	long := strings.Repeat("The server reads the body, ", 6) + "and answers."
	cases := []struct{ name, text, rule string }{
		{"a word of the first table", "The limit is 20 octets.", "House.Words"},
		{"a phrase of the second table, on two lines", "A call comes\nin and waits.", "House.Words"},
		{"a word in a table", "| a | b |\n|---|---|\n| x | Mend it. |", "House.Words"},
		{"a long sentence", short + long, "House.Sentences"},
		{"a long sentence in a list", "- " + long, "House.Sentences"},
		{"three passives", "It is read, its parts are checked, and nothing is kept.", "House.Passive"},
		{"a roundabout phrase", "It needs a list or one that has shards.", "House.Roundabout"},
		{"another host name in a block", "```console\n$ curl https://hooks.example.com/\n```", "House.Names"},
		{"a word twice", "Apply the the policy.", "Vale.Repetition"},
		{"short sentences", short + "It reads the policies. " + short, ""},
		{"two passives", "It is read and its parts are checked.", ""},
		{"a bad word in code", "Run `octets`.\n\n```\nmend\n```", ""},
		{"an exception", "<!-- vale House.Words = NO -->\n\nThe mend.\n\n<!-- vale House.Words = YES -->\n\nThe fix.", ""},
		{"after an exception", "<!-- vale House.Words = NO -->\n\nThe fix.\n\n<!-- vale House.Words = YES -->\n\nThe mend.", "House.Words"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			page := filepath.Join(t.TempDir(), "page.md")
			if err := os.WriteFile(page, []byte("# A page\n\n"+c.text+"\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			report, err := check([]string{page})
			if strings.HasPrefix(report, "prose: skipped") { // vale's parsers need a C compiler, which make test does without
				t.Skip(report)
			}
			found := regexp.MustCompile(`[A-Z]\w+\.[A-Z]\w+`).FindAllString(report, -1)
			if errors.Is(err, errFound) != (c.rule != "") || strings.Join(found, " ") != c.rule {
				t.Errorf("%v, want %q:\n%s", err, c.rule, report)
			}
		})
	}
}

func TestWordsRule(t *testing.T) {
	const first, second = "| write | not |\n|---|---|\n| fix, hint | mend |\n", "| on a page, write | not |\n|---|---|\n| don't | do not, by which |\n"
	for name, c := range map[string]struct{ page, want, err string }{
		"both tables": {first + "\n" + second + "\n| a | b |\n", "swap:\n  'mends?': 'fix, hint'\n  'do\\s+nots?': 'don''t'\n  'by\\s+whichs?': 'don''t'\n", ""},
		"one table":   {first, "", "1 tables"},
		"without any": {"| a | b |\n", "", "0 tables"},
	} {
		rule, err := wordsRule(c.page)
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) {
				t.Errorf("%s: %v, want %q", name, err, c.err)
			}
			continue
		}
		if err != nil || !strings.HasSuffix(rule, c.want) {
			t.Errorf("%s: %v, want the end %q:\n%s", name, err, c.want, rule)
		}
	}
}

func TestAllPagesAreTheManual(t *testing.T) {
	pages, err := allPages()
	if err != nil {
		t.Fatal(err)
	}
	joined := " " + strings.Join(pages, " ") + " "
	for _, page := range []string{"README.md", "CONTRIBUTING.md", "SECURITY.md", "docs/concepts.md", "charts/registration-policy-operator/README.md"} {
		if !strings.Contains(joined, " "+page+" ") {
			t.Errorf("%s is not checked", page)
		}
	}
}
