// Package pattern parses the entries of policies and lists: domains and wildcards into patterns, addresses into keys.
package pattern

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/suffix"
)

// Pattern is a parsed domain entry. It matches a canonical name itself, every name below it, or both. The name "" is
// the root: everything is below it.
type Pattern struct {
	// Name is canonical.
	Name string
	// Self and Below say what it matches: the name itself, and the names below.
	Self, Below bool
}

// Any is the pattern of the entry "*".
var Any = Pattern{Below: true}

// Covers reports whether p matches every name that o matches.
func (p Pattern) Covers(o Pattern) bool {
	if p.Name == o.Name {
		return (p.Self || !o.Self) && (p.Below || !o.Below)
	}
	return p.Below && (p.Name == "" || strings.HasSuffix(o.Name, "."+p.Name))
}

// String returns the pattern as an author would write it in an allow entry.
func (p Pattern) String() string {
	switch {
	case p.Name == "":
		return "*"
	case p.Self:
		return p.Name
	default:
		return "*." + p.Name
	}
}

// CutWildcard splits an entry into its name and whether it means only what is below the name. "*" is a wildcard below
// "".
func CutWildcard(entry string) (name string, below bool) {
	if entry == "*" {
		return "", true
	}
	return strings.CutPrefix(entry, "*.")
}

// Rejection says why an entry is not in force, or not as written. The zero value means that it is accepted.
type Rejection struct {
	// Message says what is wrong and what to write instead. It quotes an entry only if that is a domain.
	Message string
	// Ambiguous says that a deny entry could mean other addresses than those that it denies, so that its policy is not
	// enforceable.
	Ambiguous bool
}

// Allow parses an allow entry. With suffixes, it may be or cover a public suffix. The rejection is "" for an accepted
// entry.
func Allow(entry string, suffixes bool) (_ Pattern, rejection string) {
	if entry == "*" {
		return Any, ""
	}
	name, below := CutWildcard(entry)
	name, invalid := address.ReadName(name, address.EntryName)
	switch {
	case invalid != "":
		return Pattern{}, fix(invalid) // unquoted: the entry may be an address in the wrong field
	case suffixes:
	case suffix.IsUnlistedTLD(name):
		return Pattern{}, fmt.Sprintf("%q: %s is not a known top-level domain; if its ending is missing, write a whole domain such as %s.com",
			entry, name, name)
	case suffix.IsPublic(name):
		return Pattern{}, fmt.Sprintf("%q: anyone can register names under the public suffix %s; "+
			"write a name below it, or, if you mean all of them, move this entry to spec.allow.publicSuffixes", entry, name)
	case below && suffix.CoversPublic(name):
		return Pattern{}, fmt.Sprintf("%q: there are public suffixes below %s, under which anyone can register names; "+
			"write the names that you mean, or, if you mean all of them, move this entry to spec.allow.publicSuffixes", entry, name)
	}
	return Pattern{Name: name, Self: !below, Below: below}, ""
}

// Deny parses a deny entry into a pattern for each name that it can be read as, the strict reading first.
//
// Unlike an address of a call, a deny entry is mapped: an address that needs mapping is invalid and so denied anyway.
// It is therefore enough to deny the names to which mapping takes the entry, with either reading of the deviation
// characters. An entry without any reading is ambiguous, unless it is ASCII: then it means what is written, and every
// address of it is invalid.
func Deny(entry string) ([]Pattern, Rejection) {
	if entry == "*" {
		return []Pattern{Any}, Rejection{}
	}
	name, below := CutWildcard(entry)
	readings, invalid := readings(name, address.EntryName)
	if len(readings) == 0 {
		return nil, unreadable(name, invalid)
	}
	patterns := make([]Pattern, len(readings))
	for i, reading := range readings {
		patterns[i] = Pattern{Name: reading, Self: !below, Below: true}
	}
	return patterns, Rejection{}
}

// DenyAddress returns the keys of every address that a deny entry can be read as, as [Deny] does for domains.
func DenyAddress(entry string) (keys []string, _ Rejection) {
	local, domain, found := strings.Cut(entry, "@")
	if !found {
		return nil, Rejection{fix(address.NoAtSign), true}
	}
	if rejection := rejectForeignPattern(local, domain); rejection != "" {
		return nil, Rejection{rejection, true}
	}
	if invalid := address.CheckLocalPart(local); invalid != "" {
		return nil, Rejection{fix(invalid), true}
	}
	names, invalid := readings(domain, address.Mail)
	if len(names) == 0 {
		return nil, unreadable(domain, invalid)
	}
	for _, name := range names {
		if len(local)+len("@")+len(name) <= address.MaxLength {
			keys = append(keys, address.KeyOf(local, name))
		}
	}
	if len(keys) == 0 {
		return nil, Rejection{fix(address.TooLong), !address.IsASCII(domain)}
	}
	return keys, Rejection{}
}

// unreadable rejects a name without a reading. An ASCII name of which every address is invalid denies nothing, such as
// an A-label that decodes to nothing. Any other is ambiguous: one with a space, or with letters that another program
// may fold, drop or know, while the tables here do not. The message never quotes the name, which may be an address in
// the wrong field.
func unreadable(name string, invalid address.Invalid) Rejection {
	ascii := address.IsASCII(name)
	switch {
	case invalid == address.BadIDN && !ascii:
		return Rejection{"its letters have no reading as a domain; write the domain as it is registered, or its A-label (xn--…)", true}
	case ascii && slices.Contains([]address.Invalid{address.BadIDN, address.TooLong, address.LabelTooLong}, invalid):
		return Rejection{"it denies nothing, since every address of this domain is invalid: " + fix(invalid), false}
	default:
		return Rejection{fix(invalid), true}
	}
}

// AllowAddress returns the key of an allowed address. The rejection is "" for an accepted entry.
func AllowAddress(entry string) (key, rejection string) {
	if local, domain, found := strings.Cut(entry, "@"); found {
		if rejection := rejectForeignPattern(local, domain); rejection != "" {
			return "", rejection
		}
	}
	a, invalid := address.Read(entry, address.EntryAddress)
	if invalid != "" {
		return "", fix(invalid)
	}
	return address.Key(a), ""
}

// foreignPatternCharacters have a meaning in the pattern languages from which people bring entries: * and ? in globs, %
// in SQL's LIKE, {} in templates and counts, and | ^ $ in regular expressions. RFC 5322 permits each of them in a local
// part, but real mailboxes practically never have one: mail providers do not give them out, and mail sent by machines
// (VERP, BATV, SRS) uses + = # / - _ and letters. So an entry with one of them is taken for a pattern, which would
// match no address literally. Characters of real addresses are not included: ' (O'Brien), &, #, /, =, ~, _ and -. A
// plain local part cannot have the brackets and backslashes of regular expressions anyway.
const foreignPatternCharacters = "*?{}|^$%"

// rejectForeignPattern rejects a local part in another system's pattern language. The message quotes the domain only.
func rejectForeignPattern(local, domain string) (rejection string) {
	base, isSubAddresses := strings.CutSuffix(local, address.SubAddresses)
	switch {
	case isSubAddresses && base != "" && !strings.ContainsAny(base, foreignPatternCharacters+"+"):
		return ""
	case strings.ContainsAny(local, foreignPatternCharacters), strings.Contains(local, ".+"): // no mailbox ends in a dot
	default:
		return ""
	}
	whole := "acme.com"
	if name, invalid := address.ReadName(domain, address.EntryAddress); invalid == "" {
		whole = name
	}
	return fmt.Sprintf("the part before the @ is a pattern (%s), which has no meaning here: for every address of a domain, write the "+
		"domain into domains (%s); for one address with all its sub-addresses, write jo+*@%s", foreignPatternCharacters, whole, whole)
}

// mappings are the two readings of UTS #46: with the deviation characters as in IDNA 2008, and as IDNA 2003 mapped
// them.
var mappings = []*idna.Profile{
	idna.New(idna.MapForLookup(), idna.Transitional(false)),
	idna.New(idna.MapForLookup(), idna.Transitional(true)),
}

// readings returns every canonical name that some program may take name for: the strict reading first, and those of
// mapping. The Invalid is that of the strict reading.
func readings(name string, syntax address.Syntax) ([]string, address.Invalid) {
	strict, invalid := address.ReadName(name, syntax)
	if invalid == "" && address.IsASCII(name) {
		return []string{strict}, ""
	}
	var names []string
	if invalid == "" {
		names = append(names, strict)
	}
	for _, mapping := range mappings {
		mapped, err := mapping.ToASCII(strings.ReplaceAll(name, "\u1e9e", "ß")) // newer tables than idna's map it so
		if err != nil {
			continue
		}
		if mapped, bad := address.ReadName(mapped, syntax); bad == "" && !slices.Contains(names, mapped) {
			names = append(names, mapped)
		}
	}
	return names, invalid
}

// fix says what is wrong with an entry, and what to write instead.
func fix(invalid address.Invalid) string {
	switch invalid {
	case address.TooLong:
		return "it is too long; an address has at most 254 bytes, 64 of them before the @, and a domain at most 253"
	case address.NotUTF8:
		return "it is not valid UTF-8"
	case address.NoAtSign:
		return "it has no @; write a whole address, or move a domain to the list of domains"
	case address.ManyAtSigns:
		return "it has more than one @; write one plain address"
	case address.BadLocalPart:
		return "the part before the @ must be plain: ASCII letters, digits, single inner dots and #&'+-/=_~, without quotes or comments"
	case address.EmptyLabel:
		return "a label is empty; write the domain without leading, trailing or doubled dots"
	case address.LabelTooLong:
		return "a label has over 63 bytes"
	case address.BadCharacter:
		return "a domain has only letters, digits, dots and inner hyphens; a wildcard is written *.example.com"
	case address.BadHyphen:
		return "a label must not begin or end with a hyphen, nor have two hyphens in places 3 and 4 unless it is an A-label (xn--…)"
	case address.BadIDN:
		return "an internationalised label must be the exact A-label (xn--…), or the lower-case, composed U-label of it"
	case address.TooFewLabels:
		return "a mail domain has at least two labels, as in example.com"
	case address.NumericTLD:
		return "the last label must not be a number; an IP address is not a mail domain"
	default:
		return string(invalid)
	}
}
