package rules

import (
	_ "embed"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// confusablesText is the part of Unicode's table of characters that look alike which can occur in domains. It is
// written by rules/internal/confusables.
//
//go:embed confusables.txt
var confusablesText string

// confusables maps a character to those that it looks like.
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
				panic("rules: confusables.txt: " + err.Error()) // a fault of the build, which a test finds
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

// skeleton returns the form of a name in which names that look alike are equal: that of Unicode Technical Standard #39,
// with case folded, as domains are compared without regard to it. name is canonical; its A-labels are decoded first.
func skeleton(name string) string {
	u := unicodeName(name)
	if isASCII(u) {
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

// asciiLike is confusables for names in ASCII, which are nearly all.
var asciiLike = sync.OnceValue(func() *strings.Replacer {
	var pairs []string
	for r, like := range confusables() {
		if r < utf8.RuneSelf {
			pairs = append(pairs, string(r), like)
		}
	}
	return strings.NewReplacer(pairs...)
})

// unicodeName returns a canonical name with its A-labels decoded.
func unicodeName(name string) string {
	if !strings.Contains(name, "xn--") {
		return name
	}
	if u, err := registrable.ToUnicode(name); err == nil {
		return u
	}
	return name
}
