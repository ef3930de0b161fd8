package lint

// ID is the kind of a warning. The set is closed, and part of the interface of `regpol lint`.
type ID string

const (
	// AtMailboxProvider: an entry or a list allows a domain at which anybody can get an address.
	AtMailboxProvider ID = "mailbox-provider"
	// OpenSuffix: an entry allows everything below a suffix under which anyone can register names.
	OpenSuffix ID = "open-suffix"
	// BareSuffix: an entry allows a top-level domain itself, such as com. No address ends in @com.
	BareSuffix ID = "bare-suffix"
	// UnknownTLD: an entry denies a top-level domain that does not exist.
	UnknownTLD ID = "unknown-tld"
	// DeniedHere: an entry or a list has no effect, because the same policy denies all that it matches, with precedence.
	DeniedHere ID = "denied-here"
	// DeniedElsewhere: an entry has no effect, because another policy denies all that it allows.
	DeniedElsewhere ID = "denied-elsewhere"
	// Redundant: another entry of the same policy has the same effect on all that an entry or a list matches.
	Redundant ID = "redundant"
	// InSeveralPolicies: another policy allows the same by an equal entry or list.
	InSeveralPolicies ID = "in-several-policies"
	// LookAlike: two allowed domains look alike.
	LookAlike ID = "look-alike"
	// Everybody: a policy allows "*", and for some of its calls no policy denies anything.
	Everybody ID = "everybody"
	// ProfileConflict: two policies that can allow the same address have different values for a profile attribute.
	ProfileConflict ID = "profile-conflict"
	// UnsentProfile: Okta never gets the profile of a policy, or an item of profileOn has no effect.
	UnsentProfile ID = "unsent-profile"
	// NoEffect: a policy allows nothing and denies nothing.
	NoEffect ID = "no-effect"
	// OptionalListMissing: an optional list is missing.
	OptionalListMissing ID = "optional-list-missing"
	// SkippedLines: some lines of a list are not entries.
	SkippedLines ID = "skipped-lines"
	// SuffixInDenyList: a list denies a whole country or sector, such as com.ar.
	SuffixInDenyList ID = "suffix-in-deny-list"
	// UnusableLines: some lines of a list allow nothing.
	UnusableLines ID = "unusable-lines"
	// UnquotedValue: a profile value without quotes that YAML does not read as the written text, such as 007.
	UnquotedValue ID = "unquoted-value"
	// NotCompared: a policy is not checked, because all policies together have too many entries to compare.
	NotCompared ID = "not-compared"
	// More says how many further warnings the policy has, which are not returned.
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
