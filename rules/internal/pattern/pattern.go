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
	// Self: the pattern matches the name itself. Below: it matches the names below the name, at any depth.
	Self, Below bool
}

// Any is the pattern of the entry "*": everything below the root.
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

// CutWildcard splits an entry into its name and whether it is a wildcard: *.acme.com into acme.com and true. "*" is a
// wildcard with the name "".
func CutWildcard(entry string) (name string, below bool) {
	if entry == "*" {
		return "", true
	}
	return strings.CutPrefix(entry, "*.")
}

// Rejection says why an entry is not in force. The zero value means that the entry is accepted.
type Rejection struct {
	// Message says what is wrong and what to write instead. It quotes an entry only if that is a domain.
	Message string
	// Ambiguous: the author of a rejected deny entry may have meant valid addresses, which the policy would then let in.
	// The caller must therefore make the policy not enforceable, so that its calls are denied.
	Ambiguous bool
}

// Allow parses an allow entry. It accepts a public suffix, or a wildcard above one, only if suffixes is true, as in
// spec.allow.publicSuffixes. The rejection is "" for an accepted entry.
func Allow(entry string, suffixes bool) (_ Pattern, rejection string) {
	if entry == "*" {
		return Any, ""
	}
	name, below := CutWildcard(entry)
	name, invalid := address.ReadName(name, address.EntryName)
	switch {
	case invalid != "":
		return Pattern{}, fix(invalid) // does not quote the entry, which may be an address in the wrong field
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

// Deny parses a deny entry into a pattern for each name that the entry can mean. It rejects an entry without a valid
// name: see unreadable.
//
// IDNA programs map characters of a name to others, such as upper case to lower case, and differ in the mapping of a
// few, such as ß (the deviation characters of UTS #46). Deny returns the names of both mappings. If the entry is also
// valid as written, without mapping, that name is the first. Addresses that need mapping do not have to be denied: they
// are invalid in a call.
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

// DenyAddress returns the keys of every address that a deny entry can mean: its domain may have several names, as in
// [Deny].
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

// unreadable rejects the name of a deny entry that means no valid domain. An ASCII name such as an undecodable A-label
// is not ambiguous: every address of it is invalid, so it denies nothing. Any other name is ambiguous: another program
// may drop its spaces, or know letters that are newer than the tables here. The message never quotes the name, which
// may be an address in the wrong field.
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

// AllowAddress returns the key of an allowed address, for comparison with address.Key. The rejection is "" for an
// accepted entry.
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

// foreignPatternCharacters are characters of the pattern languages from which people copy entries: * and ? of globs, %
// of SQL's LIKE, {} of templates and counts, and | ^ $ of regular expressions. An entry with one of them in its local
// part is rejected: its author means a pattern, and as a literal address it would match nobody.
//
// RFC 5322 permits these characters in a local part, but mail providers do not give them out, and mail sent by machines
// (VERP, BATV, SRS) uses + = # / - _ and letters. Characters of real addresses are not included: ' (O'Brien), &, #, /,
// =, ~, _ and -. The brackets and backslashes of regular expressions are not valid in a local part anyway.
const foreignPatternCharacters = "*?{}|^$%"

// rejectForeignPattern rejects a local part that is a pattern of another system. The only such form with a meaning here
// is jo+*, an address with its sub-addresses. The message quotes the domain only.
func rejectForeignPattern(local, domain string) (rejection string) {
	base, isSubAddresses := strings.CutSuffix(local, address.SubAddresses)
	switch {
	case isSubAddresses && base != "" && !strings.ContainsAny(base, foreignPatternCharacters+"+"):
		return ""
	// ".+" is from a regular expression. In a sub-address, the mailbox precedes the +, and its name cannot end in a dot.
	case strings.ContainsAny(local, foreignPatternCharacters), strings.Contains(local, ".+"):
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

// mappings are the two mappings of UTS #46: nontransitional, which keeps the deviation characters as IDNA 2008 does,
// and transitional, which maps them as IDNA 2003 did (ß to ss).
var mappings = []*idna.Profile{
	idna.New(idna.MapForLookup(), idna.Transitional(false)),
	idna.New(idna.MapForLookup(), idna.Transitional(true)),
}

// readings returns every canonical name for which some program may take the text of an entry. The first is the text
// itself if it is valid without mapping; then come the results of the two mappings. The Invalid says why the text is
// not valid without mapping.
func readings(text string, syntax address.Syntax) ([]string, address.Invalid) {
	strict, invalid := address.ReadName(text, syntax)
	if invalid == "" && address.IsASCII(text) {
		return []string{strict}, ""
	}
	var names []string
	if invalid == "" {
		names = append(names, strict)
	}
	for _, mapping := range mappings {
		mapped, err := mapping.ToASCII(strings.ReplaceAll(text, "\u1e9e", "ß")) // as newer versions of Unicode map ẞ
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
