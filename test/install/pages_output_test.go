package install

import (
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var age = regexp.MustCompile(`^(\d+[smhd])+$`)

// quotes reports whether a quoted text matches an output. In the quoted text, … stands for any text, a line with only …
// for any lines, an age for any age, and spaces between words for any number of spaces.
func quotes(quoted, output string) bool {
	var pattern strings.Builder
	pattern.WriteString(`^\s*`)
	for line := range strings.Lines(strings.TrimSpace(quoted) + "\n") {
		line = strings.TrimSpace(line)
		if line == "…" {
			pattern.WriteString(`(?:.*\n)*?`)
			continue
		}
		words := strings.Fields(line)
		for i, word := range words {
			if age.MatchString(word) {
				words[i] = `(?:\d+[smhd])+`
				continue
			}
			words[i] = strings.ReplaceAll(regexp.QuoteMeta(word), "…", `.*`)
		}
		pattern.WriteString(`[ \t]*` + strings.Join(words, `[ \t]+`) + `[ \t]*\n`)
	}
	pattern.WriteString(`\s*$`)
	return regexp.MustCompile(pattern.String()).MatchString(strings.TrimSpace(output) + "\n")
}

func TestQuotesOfOutputs(t *testing.T) {
	for about, c := range map[string]struct {
		quoted, output string
		want           bool
	}{
		"the same":                       {"a b", "a b\n", true},
		"other spaces":                   {"NAME  AGE\nacme  5s", "NAME   AGE\nacme   1m2s\n", true},
		"an age for a word":              {"acme 5s", "acme new", false},
		"another word":                   {"a b", "a c", false},
		"lines left out":                 {"…\nb\n…", "a\na\nb\nc\n", true},
		"no lines left out":              {"…\nb", "b", true},
		"a line that is not there":       {"…\nb\n…", "a\nc\n", false},
		"part of a line left out":        {`{"a":…}`, `{"a":1}`, true},
		"a line more than quoted":        {"a", "a\nb", false},
		"what means more in expressions": {"a.b", "axb", false},
	} {
		if got := quotes(c.quoted, c.output); got != c.want {
			t.Errorf("%s: quotes(%q, %q) = %t", about, c.quoted, c.output, got)
		}
	}
}

func TestCommandsOfABlock(t *testing.T) {
	b := &block{language: "console", text: `$ one \
    more
out
$ two <<END
$ not a command
END
out of two
and more
$ three
`}
	var got [][2]string
	for _, c := range b.commands() {
		got = append(got, [2]string{c.script, c.quoted})
	}
	want := [][2]string{
		{"one \\\n    more\n", "out\n"},
		{"two <<END\n$ not a command\nEND\n", "out of two\nand more\n"},
		{"three\n", ""},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
