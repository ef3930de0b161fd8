package rules

import "registrationpolicy.dev/operator/rules/internal/address"

// Address is a mail address in the plain form that every mail system reads the same way. The zero value is invalid.
// It has no String method on purpose: a local part must not reach a log by accident.
type Address = address.Address

// Domain is a mail domain in canonical form: two or more lower-case A-labels, no trailing dot. The zero value is
// invalid.
type Domain = address.Domain

// Invalid is the class of a string that is not an address or a domain. It never holds a part of the string, so its text
// may be logged. The set of classes is closed. Package internal/address describes each of them.
type Invalid = address.Invalid

// The classes of invalid strings, in the order of the checks: NotText, TooLong, NotUTF8, NoAtSign, ManyAtSigns,
// BadLocalPart, EmptyLabel, LabelTooLong, BadCharacter, BadHyphen, BadIDN, TooFewLabels, NumericTLD. Blank is not a
// check: in a call, it replaces the class of a value that is invalid only because of blanks.
const (
	NotText      = address.NotText
	TooLong      = address.TooLong
	NotUTF8      = address.NotUTF8
	NoAtSign     = address.NoAtSign
	ManyAtSigns  = address.ManyAtSigns
	BadLocalPart = address.BadLocalPart
	EmptyLabel   = address.EmptyLabel
	LabelTooLong = address.LabelTooLong
	BadCharacter = address.BadCharacter
	BadHyphen    = address.BadHyphen
	BadIDN       = address.BadIDN
	TooFewLabels = address.TooFewLabels
	NumericTLD   = address.NumericTLD
	Blank        = address.Blank
)

// Invalids returns every class, in the order above.
func Invalids() []Invalid { return address.Invalids() }

// ParseAddress returns the address that s spells. Its error is an [Invalid].
//
// It is strict and repairs nothing: no trimming, no comments, no quotes, no display names, no literals. It does not
// check that the mailbox exists or belongs to the person.
func ParseAddress(s string) (Address, error) { return address.Parse(s) }

// ParseDomain returns the domain that s spells. Its error is an [Invalid].
//
// It is strict and repairs nothing: it accepts only what every program reads the same way. It does not check that the
// domain exists or takes mail.
func ParseDomain(s string) (Domain, error) { return address.ParseDomain(s) }

// IsBlank reports whether a character is a blank, as in [Blank]: white space, a line break, or an invisible character.
func IsBlank(r rune) bool { return address.IsBlank(r) }
