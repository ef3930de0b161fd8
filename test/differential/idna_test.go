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

// verdicts are what testdata/idna2008.py wrote.
type verdicts struct {
	valid  map[rune]bool
	labels []labelVerdict
}

// labelVerdict is a label with its A-label, or "" for one that is refused.
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

// ours returns the A-label that a label of an address has for us, or "" if we refuse it.
func ours(label string) string {
	const parent = ".example"
	domain, err := rules.ParseDomain(label + parent)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(domain.String(), parent)
}

// Classes of differences, by the words of docs/addresses.md.
const (
	deviation   = "deviation"
	foldedASCII = "folded ASCII"
	newer       = "newer letters"
	uts46       = "UTS #46"
	contextual  = "contextual digits"
	signs       = "contextual signs"
)

// leftOutByUTS46 are what IDNA 2008 allows and the tables of UTS #46, by which x/net/idna goes, map or refuse.
var leftOutByUTS46 = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x06fd, Hi: 0x06fe, Stride: 1}, {Lo: 0x0f0b, Hi: 0x0f0b, Stride: 1},
	{Lo: 0x13a0, Hi: 0x13f5, Stride: 1}, {Lo: 0x3007, Hi: 0x3007, Stride: 1},
}}

// digits are those that IDNA 2008 allows by context only (RFC 5892 A.8 and A.9): not mixed with the other kind.
var digits = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x0660, Hi: 0x0669, Stride: 1}, {Lo: 0x06f0, Hi: 0x06f9, Stride: 1}}}

// classOf tells why a code point is read differently.
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
		return newer // unassigned, as far as Go's tables know
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
		// Alone, after a letter, and after one that is written from right to left: marks and digits need one before them.
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
		case got != "" && l.encoded != "": // the one difference that nothing could explain
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

// notASCIIUpper tells capitals that are not folded.
func notASCIIUpper(r rune) bool { return unicode.IsUpper(r) && r > unicode.MaxASCII }

// holdsAny tells labels, encoded ones too, that hold one of some characters.
func holdsAny(label, characters string) bool {
	decoded, err := idna.Punycode.ToUnicode(label)
	return err == nil && strings.ContainsAny(decoded, characters)
}

// explained holds the classes that were seen against those of the page.
func explained(t *testing.T, seen map[string]int, classes ...string) {
	t.Helper()
	page, err := os.ReadFile("../../docs/addresses.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, class := range classes {
		if seen[class] == 0 {
			t.Errorf("no case of the class %q: is it still one?", class)
		}
		if !strings.Contains(string(page), "| **"+class+"** |") {
			t.Errorf("docs/addresses.md does not explain %q", class)
		}
	}
	t.Logf("differences: %v", seen)
}
