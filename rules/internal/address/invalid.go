package address

// Invalid is the class of a string that is not an address or a domain. It never holds a part of the string, so its text
// may be logged. The set of classes is closed.
type Invalid string

// Error returns the class.
func (i Invalid) Error() string { return string(i) }

// The classes, in the order of the checks. Blank is not a check: in a call, it replaces the class of a value that is
// invalid only because of blanks.
const (
	// NotText: the attribute is not a JSON string.
	NotText Invalid = "NotText"
	// TooLong: an address over 254 bytes (RFC 3696 erratum 1690), a local part over 64 (RFC 5321 4.5.3.1.1) or a domain
	// over 253 (RFC 1035 2.3.4 as text).
	TooLong Invalid = "TooLong"
	// NotUTF8: not valid UTF-8.
	NotUTF8 Invalid = "NotUTF8"
	// NoAtSign: no @.
	NoAtSign Invalid = "NoAtSign"
	// ManyAtSigns: more than one @. Two programs may take different parts of the text for the domain.
	ManyAtSigns Invalid = "ManyAtSigns"
	// BadLocalPart: not an ASCII dot-atom (RFC 5322 3.2.3), or one with %, !, a backquote or =?, by which some mail
	// systems route or decode an address.
	BadLocalPart Invalid = "BadLocalPart"
	// EmptyLabel: an empty label, a leading dot or a trailing dot included.
	EmptyLabel Invalid = "EmptyLabel"
	// LabelTooLong: a label over 63 bytes (RFC 1035 2.3.4).
	LabelTooLong Invalid = "LabelTooLong"
	// BadCharacter: a character that no host name has (RFC 1123 2.1).
	BadCharacter Invalid = "BadCharacter"
	// BadHyphen: a label that begins or ends with a hyphen, or has two in places 3 and 4 without being an A-label.
	BadHyphen Invalid = "BadHyphen"
	// BadIDN: an internationalized label that is not an A-label or U-label of IDNA 2008 (RFC 5890 2.3.2.1), or that
	// programs may read in different ways.
	BadIDN Invalid = "BadIDN"
	// TooFewLabels: a single label. Mail to a top-level domain is not deliverable everywhere (RFC 7085).
	TooFewLabels Invalid = "TooFewLabels"
	// NumericTLD: a last label that is a number: some programs read the name as an IPv4 address (RFC 3696 2).
	NumericTLD Invalid = "NumericTLD"
	// Blank: an attribute of a call that would be an address, or a user name, without its blanks. A blank is a
	// space, a line break, or an invisible character such as a zero-width space (U+200B).
	Blank Invalid = "Blank"
)

// Invalids returns every class, in the order above.
func Invalids() []Invalid {
	return []Invalid{
		NotText, TooLong, NotUTF8, NoAtSign, ManyAtSigns, BadLocalPart,
		EmptyLabel, LabelTooLong, BadCharacter, BadHyphen, BadIDN, TooFewLabels, NumericTLD, Blank,
	}
}
