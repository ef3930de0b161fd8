package lint

// ID is the kind of a warning. The set is closed, and part of the interface of `regpol lint`.
type ID string

const (
	// AtMailboxProvider: an entry or a list allows a domain at which anybody can get an address.
	AtMailboxProvider ID = "mailbox-provider"
	// OpenSuffix: an entry allows everything below a suffix under which anyone can register names.
	OpenSuffix ID = "open-suffix"
	// BareSuffix: an entry allows a suffix itself, in which no address can be.
	BareSuffix ID = "bare-suffix"
	// UnknownTLD: an entry denies a top-level domain that does not exist.
	UnknownTLD ID = "unknown-tld"
	// DeniedHere: the same policy denies all that an entry or a list matches, with precedence.
	DeniedHere ID = "denied-here"
	// DeniedElsewhere: another policy denies all that an entry allows.
	DeniedElsewhere ID = "denied-elsewhere"
	// Redundant: another entry of the same policy has the same effect on all that an entry or a list matches.
	Redundant ID = "redundant"
	// InSeveralPolicies: another policy allows the same.
	InSeveralPolicies ID = "in-several-policies"
	// LookAlike: two allowed domains look alike.
	LookAlike ID = "look-alike"
	// Everybody: everything is allowed, and nothing denied.
	Everybody ID = "everybody"
	// ProfileConflict: two policies have different values for an attribute.
	ProfileConflict ID = "profile-conflict"
	// UnsentProfile: a profile, or a part of profileOn, has no effect.
	UnsentProfile ID = "unsent-profile"
	// NoEffect: a policy allows nothing and denies nothing.
	NoEffect ID = "no-effect"
	// OptionalListMissing: an optional list is missing.
	OptionalListMissing ID = "optional-list-missing"
	// SkippedLines: some lines of a list are not entries.
	SkippedLines ID = "skipped-lines"
	// SuffixInDenyList: a list denies a whole country or sector.
	SuffixInDenyList ID = "suffix-in-deny-list"
	// UnusableLines: some lines of a list allow nothing.
	UnusableLines ID = "unusable-lines"
	// UnquotedValue: YAML reads a value of the profile as something else than its text.
	UnquotedValue ID = "unquoted-value"
	// NotCompared: a policy has no warnings, because there are too many entries to compare.
	NotCompared ID = "not-compared"
	// More counts the warnings of a policy beyond those that are returned.
	More ID = "more"
)

// IDs returns all kinds of warnings.
func IDs() []ID {
	return []ID{
		AtMailboxProvider, OpenSuffix, BareSuffix, UnknownTLD, DeniedHere, DeniedElsewhere, Redundant, InSeveralPolicies, LookAlike,
		Everybody, ProfileConflict, UnsentProfile, NoEffect, OptionalListMissing, SkippedLines, SuffixInDenyList, UnusableLines,
		UnquotedValue, NotCompared, More,
	}
}
