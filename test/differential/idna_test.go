package differential

import (
	"bufio"
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/idna"

	"registrationpolicy.dev/operator/rules"
)

// lastPoint is the last code point of testdata/idna2008.txt.
const lastPoint = 0x323af

// verdicts has the content of testdata/idna2008.txt: what the Python package idna accepts.
type verdicts struct {
	valid  map[rune]bool
	labels []labelVerdict
}

// labelVerdict is a label and the A-label that the Python package gives it, or "" if the package rejects it.
type labelVerdict struct{ label, encoded string }

func readVerdicts(t *testing.T) verdicts {
	t.Helper()
	file, err := os.Open("testdata/idna2008.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	point := func(text string) rune {
		number, err := strconv.ParseInt(text, 16, 32)
		if err != nil {
			t.Fatal(err)
		}
		return rune(number)
	}
	v := verdicts{valid: map[rune]bool{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		switch words := strings.Fields(lines.Text()); words[0] {
		case "pvalid":
			for r := point(words[1]); r <= point(words[2]); r++ {
				v.valid[r] = true
			}
		case "label":
			var label strings.Builder
			for text := range strings.SplitSeq(words[1], ",") {
				label.WriteRune(point(text))
			}
			v.labels = append(v.labels, labelVerdict{label.String(), strings.TrimSuffix(words[2], "-")})
		}
	}
	if err := lines.Err(); err != nil || len(v.valid) < 100_000 || len(v.labels) < 4000 {
		t.Fatalf("%d code points, %d labels, %v", len(v.valid), len(v.labels), err)
	}
	return v
}

// ours returns the A-label that package rules gives a label of an address, or "" if it rejects the label.
func ours(label string) string {
	const parent = ".example"
	domain, err := rules.ParseDomain(label + parent)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(domain.String(), parent)
}

// The kinds of differences, in the words of docs/policies/addresses.md.
const (
	deviation   = "deviation"
	foldedASCII = "folded ASCII"
	newer       = "newer letters"
	uts46       = "UTS #46"
	contextual  = "contextual digits"
	signs       = "contextual signs"
)

// leftOutByUTS46 are code points that IDNA 2008 allows, and that the tables of UTS #46, which x/net/idna uses, map or
// reject.
var leftOutByUTS46 = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x06fd, Hi: 0x06fe, Stride: 1}, {Lo: 0x0f0b, Hi: 0x0f0b, Stride: 1},
	{Lo: 0x13a0, Hi: 0x13f5, Stride: 1}, {Lo: 0x3007, Hi: 0x3007, Stride: 1},
}}

// digits are the two kinds of Arabic digits. IDNA 2008 does not allow both kinds in one label (RFC 5892 A.8 and A.9).
var digits = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x0660, Hi: 0x0669, Stride: 1}, {Lo: 0x06f0, Hi: 0x06f9, Stride: 1}}}

// classOf returns the kind of difference of a code point that only one of the two accepts.
func classOf(r rune, weAccept bool) string {
	switch {
	case weAccept && unicode.Is(digits, r):
		return contextual
	case weAccept:
		return ""
	case strings.ContainsRune("\u00df\u03c2\u200c\u200d", r):
		return deviation
	case unicode.Is(leftOutByUTS46, r):
		return uts46
	case !unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Z, unicode.Cc, unicode.Cf, unicode.Co):
		return newer // unassigned in Go's tables, which are of an older Unicode
	default:
		return ""
	}
}

func TestIDNA2008(t *testing.T) {
	v := readVerdicts(t)
	seen := map[string]int{}
	for r := rune(0x80); r <= lastPoint; r++ {
		if 0xd800 <= r && r <= 0xdfff {
			continue
		}
		// Try the code point alone, after a letter, and after a right-to-left letter, because marks and digits need a
		// letter before them.
		weAccept := ours(string(r)) != "" || ours("a"+string(r)) != "" || ours("\u0627"+string(r)) != ""
		if weAccept == v.valid[r] {
			continue
		}
		class := classOf(r, weAccept)
		if class == "" {
			t.Errorf("U+%04X: we accept it: %t, by IDNA 2008 it is valid: %t", r, weAccept, v.valid[r])
		}
		seen[class]++
	}
	for _, l := range v.labels {
		got := ours(l.label)
		if got == l.encoded {
			continue
		}
		class := ""
		switch {
		case got != "" && l.encoded != "": // both accept the label, with different A-labels: no kind allows that
		case l.encoded == "" && strings.ToLower(l.label) != l.label && !strings.ContainsFunc(l.label, notASCIIUpper):
			class = foldedASCII
		case got == "" && holdsAny(l.label, "\u00df\u03c2\u200c\u200d"):
			class = deviation
		case got == "" && holdsAny(l.label, "\u00b7\u0375\u05f3\u05f4\u30fb"):
			class = signs
		}
		if class == "" {
			t.Errorf("%+q: %q for us, %q by IDNA 2008", l.label, got, l.encoded)
		}
		seen[class]++
	}
	explained(t, seen, deviation, foldedASCII, newer, uts46, contextual, signs)
}

// notASCIIUpper reports whether a letter is a capital other than A to Z. Package rules converts only A to Z to lower
// case.
func notASCIIUpper(r rune) bool { return unicode.IsUpper(r) && r > unicode.MaxASCII }

// holdsAny reports whether a label, decoded if it is an A-label, contains any of the characters.
func holdsAny(label, characters string) bool {
	decoded, err := idna.Punycode.ToUnicode(label)
	return err == nil && strings.ContainsAny(decoded, characters)
}

// explained checks that docs/policies/addresses.md names the kinds of differences that were seen, and no others.
func explained(t *testing.T, seen map[string]int, classes ...string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/policies/addresses.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range classes {
		if seen[class] == 0 {
			t.Errorf("no case of the class %q: is it still one?", class)
		}
		if !strings.Contains(string(page), "| **"+class+"** |") {
			t.Errorf("docs/policies/addresses.md does not explain %q", class)
		}
	}
	t.Logf("differences: %v", seen)
}
