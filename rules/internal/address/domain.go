package address

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	maxDomain = 253 // bytes of a name as text, without the trailing dot: RFC 1035 2.3.4
	maxLabel  = 63  // bytes: RFC 1035 2.3.4
)

// Domain is a mail domain in canonical form: two or more lower-case A-labels, no trailing dot. The zero value is
// invalid.
type Domain struct {
	name string
}

// String returns the canonical name, and "" for the zero value.
func (d Domain) String() string { return d.name }

// DomainOf returns the Domain of a name that is in canonical form already.
func DomainOf(name string) Domain { return Domain{name} }

// ParseDomain returns the domain that s spells. Its error is an [Invalid].
//
// ParseDomain is strict: it accepts only names that every program reads the same way. It turns A–Z into lower case.
// It accepts a U-label only if IDNA 2008 (RFC 5891) registers it without any mapping, and if it has no character on
// which IDNA 2003 and 2008 differ. ParseDomain does not check that the domain exists or takes mail.
func ParseDomain(s string) (Domain, error) {
	name, invalid := ReadName(s, Mail)
	if invalid != "" {
		return Domain{}, invalid
	}
	return Domain{name}, nil
}

// Syntax says which names are valid: a call's address has stricter rules than the entry of a policy.
type Syntax struct {
	minLabels int
	// deviations permits the characters on which IDNA 2003 and 2008 differ, such as ß, with their meaning in IDNA 2008.
	// The author of a policy can be told what faß.example means here. In the address of a person who registers, it
	// could be either of two domains.
	deviations bool
}

// The syntaxes: Mail is the domain of a call's address; EntryName is a name in an entry of a policy, which may be a
// top-level domain; EntryAddress is the domain of an address in such an entry.
var (
	Mail         = Syntax{minLabels: 2}
	EntryName    = Syntax{minLabels: 1, deviations: true}
	EntryAddress = Syntax{minLabels: 2, deviations: true}
)

// ReadName returns the canonical form of a name. The second result is "" for a valid name.
func ReadName(s string, syntax Syntax) (string, Invalid) {
	if len(s) > maxDomain {
		return "", TooLong
	}
	if !utf8.ValidString(s) {
		return "", NotUTF8
	}
	labels, plain := 0, true
	for rest, more := s, true; more; {
		var label string
		label, rest, more = strings.Cut(rest, ".") // U+002E only: U+3002 and the like are invalid characters of a label
		idn, invalid := parseLabel(label)
		if invalid != "" {
			return "", invalid
		}
		plain = plain && !idn
		labels++
	}
	if labels < syntax.minLabels {
		return "", TooFewLabels
	}
	name := foldASCII(s)
	if !plain {
		var invalid Invalid
		if name, invalid = canonicalIDN(name, syntax.deviations); invalid != "" {
			return "", invalid
		}
	}
	if isNumber(name[strings.LastIndexByte(name, '.')+1:]) {
		return "", NumericTLD
	}
	return name, ""
}

// parseLabel checks one label. idn means that the label is not ASCII or begins like an A-label (xn--); canonicalIDN
// must check such a label further.
func parseLabel(label string) (idn bool, _ Invalid) {
	if label == "" {
		return false, EmptyLabel
	}
	for i := range len(label) {
		switch c := label[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-':
		case c >= utf8.RuneSelf:
			idn = true
		default:
			return false, BadCharacter
		}
	}
	if label[0] == '-' || label[len(label)-1] == '-' {
		return false, BadHyphen
	}
	if idn {
		return true, "" // canonicalLabel checks the length, which is that of the A-label
	}
	if len(label) > maxLabel {
		return false, LabelTooLong
	}
	if len(label) >= 4 && label[2:4] == "--" {
		if !hasACEPrefix(label) {
			return false, BadHyphen // reserved: RFC 5890 2.3.1
		}
		return true, ""
	}
	return false, ""
}

// registrable is IDNA 2008 registration (RFC 5891 4): it maps nothing, and checks hyphens, joiners and the Bidi rule.
// The idna package's Lookup is unfit for user input: it accepts empty and overlong labels, and maps.
var registrable = idna.New(
	idna.ValidateForRegistration(), idna.StrictDomainName(true), idna.VerifyDNSLength(true),
	idna.BidiRule(), idna.CheckHyphens(true), idna.CheckJoiners(true),
)

// ToUnicode returns a canonical name with its A-labels decoded.
func ToUnicode(name string) string {
	if !strings.Contains(name, "xn--") {
		return name
	}
	if u, err := registrable.ToUnicode(name); err == nil {
		return u
	}
	return name
}

// canonicalIDN returns a name with its U-labels as A-labels. At least one label of the name is a U-label or an A-label.
func canonicalIDN(name string, deviations bool) (string, Invalid) {
	labels := strings.Split(name, ".")
	for i, label := range labels {
		if IsASCII(label) && !hasACEPrefix(label) {
			continue
		}
		a, ok := canonicalLabel(label, deviations)
		if !ok {
			return "", BadIDN
		}
		labels[i] = a
	}
	canonical := strings.Join(labels, ".")
	if len(canonical) > maxDomain {
		return "", TooLong
	}
	// The Bidi rule (RFC 5893 2) is about whole names: one right-to-left label restricts all the others.
	if a, err := registrable.ToASCII(canonical); err != nil || a != canonical {
		return "", BadIDN
	}
	return canonical, ""
}

// canonicalLabel returns the A-label of a U-label or A-label. It returns false for a label that needs any mapping,
// because programs may read such a label in different ways.
func canonicalLabel(label string, deviations bool) (string, bool) {
	u := label
	if IsASCII(label) {
		var err error
		if u, err = registrable.ToUnicode(label); err != nil || IsASCII(u) {
			return "", false
		}
	} else if !deviations && strings.ContainsFunc(label, isDeviation) {
		return "", false
	}
	if !norm.NFC.IsNormalString(u) || strings.ContainsFunc(u, notLetterOrDigit) {
		return "", false
	}
	if r := []rune(u); len(r) >= 4 && r[2] == '-' && r[3] == '-' {
		return "", false // RFC 5891 4.2.3.1 forbids hyphens as characters 3 and 4; the idna package checks bytes 3 and 4
	}
	a, err := registrable.ToASCII(u) // checks the length of the A-label, too
	if err != nil || !hasACEPrefix(a) {
		return "", false
	}
	if IsASCII(label) && a != label {
		return "", false
	}
	return a, true
}

// isDeviation reports whether a character is a deviation character of UTS #46 (section 7): IDNA 2003 maps it to other
// characters or removes it, and IDNA 2008 keeps it. A U-label with one names two different domains.
func isDeviation(r rune) bool {
	return r == '\u00df' || r == '\u03c2' || r == '\u200c' || r == '\u200d'
}

// notLetterOrDigit reports whether a character is neither one of IDNA 2008's LetterDigits (RFC 5892 2.1) nor a hyphen.
// The idna package uses the tables of UTS #46, which permit some symbols.
func notLetterOrDigit(r rune) bool {
	return r != '-' && !unicode.In(r, unicode.Ll, unicode.Lo, unicode.Lm, unicode.Mn, unicode.Mc, unicode.Nd) || unicode.Is(disallowed, r)
}

// disallowed are the letters and marks that RFC 5892 excludes: marks of symbols and of music (2.4), those that only
// stretch or repeat others (2.6), and the parts of which Hangul syllables are composed (2.9).
var disallowed = &unicode.RangeTable{R16: []unicode.Range16{
	{Lo: 0x0640, Hi: 0x0640, Stride: 1},
	{Lo: 0x07fa, Hi: 0x07fa, Stride: 1},
	{Lo: 0x1100, Hi: 0x11ff, Stride: 1},
	{Lo: 0x20d0, Hi: 0x20ff, Stride: 1},
	{Lo: 0x302e, Hi: 0x302f, Stride: 1},
	{Lo: 0x3031, Hi: 0x3035, Stride: 1},
	{Lo: 0x303b, Hi: 0x303b, Stride: 1},
	{Lo: 0xa960, Hi: 0xa97c, Stride: 1},
	{Lo: 0xd7b0, Hi: 0xd7fb, Stride: 1},
}, R32: []unicode.Range32{
	{Lo: 0x1d100, Hi: 0x1d24f, Stride: 1},
}}

// isNumber reports whether inet_aton(3) reads a label as a part of an IPv4 address: digits, or 0x and hexadecimal
// digits.
func isNumber(label string) bool {
	isDigit := func(c byte) bool { return '0' <= c && c <= '9' }
	if hex, ok := strings.CutPrefix(label, "0x"); ok {
		label, isDigit = hex, func(c byte) bool { return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' }
	}
	for i := range len(label) {
		if !isDigit(label[i]) {
			return false
		}
	}
	return true
}

func hasACEPrefix(label string) bool {
	return len(label) >= 4 && foldASCII(label[:4]) == "xn--"
}

// IsASCII reports whether s holds ASCII characters only.
func IsASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// foldASCII turns A–Z into lower case, and no other letter: strings.ToLower would also turn U+0130 and U+212A into
// ASCII letters. It allocates only if there is a capital letter.
func foldASCII(s string) string {
	for i := range len(s) {
		if 'A' <= s[i] && s[i] <= 'Z' {
			b := []byte(s)
			for j := i; j < len(b); j++ {
				if 'A' <= b[j] && b[j] <= 'Z' {
					b[j] |= 0x20
				}
			}
			return string(b)
		}
	}
	return s
}
