package lint

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"registrationpolicy.dev/operator/rules/internal/address"
)

// confusablesText is Unicode's table of characters that look alike, without the characters that a domain cannot have.
// The command rules/internal/gen/confusables writes it.
//
//go:embed confusables.txt
var confusablesText string

// confusables maps a character to the text that it looks like, from confusablesText.
var confusables = sync.OnceValue(func() map[rune]string {
	table := map[rune]string{}
	for line := range strings.Lines(confusablesText) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		var from rune
		var to []rune
		for i, code := range strings.Fields(line) {
			r, err := strconv.ParseUint(code, 16, 32)
			switch {
			case err != nil:
				panic("lint: confusables.txt: " + err.Error()) // the embedded file is damaged: a test fails
			case i == 0:
				from = rune(r)
			default:
				to = append(to, rune(r))
			}
		}
		table[from] = string(to)
	}
	return table
})

// skeleton returns the same text for names that look alike: the skeleton of Unicode Technical Standard #39, in lower
// case. name is canonical; skeleton decodes its A-labels first.
func skeleton(name string) string {
	u := address.ToUnicode(name)
	if address.IsASCII(u) {
		return asciiLike().Replace(u)
	}
	return replaced(u)
}

func replaced(name string) string {
	table := confusables()
	var out strings.Builder
	for _, r := range norm.NFD.String(name) {
		if like, found := table[r]; found {
			out.WriteString(like)
		} else {
			out.WriteRune(r)
		}
	}
	return norm.NFD.String(out.String())
}

// asciiLike replaces ASCII characters as confusables does. It is faster, and nearly all names are ASCII.
var asciiLike = sync.OnceValue(func() *strings.Replacer {
	var pairs []string
	for r, like := range confusables() {
		if r < utf8.RuneSelf {
			pairs = append(pairs, string(r), like)
		}
	}
	return strings.NewReplacer(pairs...)
})
