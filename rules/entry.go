package rules

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/idna"
)

// pattern is a compiled domain entry: it matches a canonical name itself, what is below it, or both. The name "" is the
// root: everything is below it.
type pattern struct {
	name        string
	self, below bool
}

// wildcard splits an entry into its name and whether only what is below the name is meant. "*" is a wildcard below "".
func wildcard(entry string) (name string, below bool) {
	if entry == "*" {
		return "", true
	}
	return strings.CutPrefix(entry, "*.")
}

// compileAllow compiles an allow entry. suffixes says that it may be, or cover, a public suffix. The text of a refusal says
// what to write instead; it quotes the entry only where that is a domain.
func compileAllow(entry string, suffixes bool) (_ pattern, refusal string) {
	if entry == "*" {
		return pattern{below: true}, ""
	}
	name, below := wildcard(entry)
	name, invalid := parseName(name, entryName)
	switch {
	case invalid != "":
		return pattern{}, hint(invalid) // unquoted: the entry may be an address in the wrong list
	case suffixes:
	case isPublicSuffix(name):
		return pattern{}, fmt.Sprintf("%q: strangers can register names under the public suffix %s; "+
			"write a name below it, or, if all of them are meant, move this entry to spec.allow.publicSuffixes", entry, name)
	case below && coversPublicSuffix(name):
		return pattern{}, fmt.Sprintf("%q: there are public suffixes below %s, under which strangers can register names; "+
			"write the names that you mean, or, if all of them are meant, move this entry to spec.allow.publicSuffixes", entry, name)
	}
	return pattern{name: name, self: !below, below: below}, ""
}

// denyFault is what is wrong with a deny entry.
type denyFault struct {
	text string // what to write instead; "" means that nothing is wrong
	// unknown says that it cannot be told which addresses are meant: the policy is not enforceable.
	unknown bool
}

// compileDeny compiles a deny entry into every name it can be read as.
//
// A deny entry is treated the other way round than an address: an address that needs mapping is invalid and so denied
// anyway, hence it is enough to deny the names to which mapping takes the entry, by either reading of the deviation
// characters. Without any, the fault says unknown, unless the name is ASCII: what an author means is what he wrote then,
// and every address of it is invalid.
func compileDeny(entry string) ([]pattern, denyFault) {
	if entry == "*" {
		return []pattern{{below: true}}, denyFault{}
	}
	name, below := wildcard(entry)
	readings, invalid := readings(name, entryName)
	if len(readings) == 0 {
		return nil, unreadable(name, invalid)
	}
	patterns := make([]pattern, len(readings))
	for i, reading := range readings {
		patterns[i] = pattern{name: reading, self: !below, below: true}
	}
	return patterns, denyFault{}
}

// compileDenyAddress returns the keys of every address that a deny entry can be read as, like compileDeny.
func compileDenyAddress(entry string) (keys []string, _ denyFault) {
	local, domain, found := strings.Cut(entry, "@")
	if !found {
		return nil, denyFault{hint(NoAtSign), true}
	}
	if refusal := checkPattern(local, domain); refusal != "" {
		return nil, denyFault{refusal, true}
	}
	if invalid := checkLocalPart(local); invalid != "" {
		return nil, denyFault{hint(invalid), true}
	}
	names, invalid := readings(domain, mailDomain)
	if len(names) == 0 {
		return nil, unreadable(domain, invalid)
	}
	for _, name := range names {
		if len(local)+len("@")+len(name) <= maxAddress {
			keys = append(keys, Address{local, Domain{name}}.key())
		}
	}
	if len(keys) == 0 {
		return nil, denyFault{hint(TooLong), !isASCII(domain)}
	}
	return keys, denyFault{}
}

// unreadable tells ASCII names of which every address is invalid, such as an A-label that decodes to nothing, from those
// that could stand for another one: one with a space, or with letters that some program may fold, drop or know while
// our tables do not. The text never quotes the name, which may be an address in the wrong list.
func unreadable(name string, invalid Invalid) denyFault {
	switch {
	case invalid == BadIDN && !isASCII(name):
		return denyFault{"its letters have no reading, so that it cannot be told which domain is meant; write the domain as it is " +
			"registered, or its A-label (xn--…)", true}
	case isASCII(name) && slices.Contains([]Invalid{BadIDN, TooLong, LabelTooLong}, invalid):
		return denyFault{"it denies nothing, since every address of this domain is refused as invalid: " + hint(invalid), false}
	default:
		return denyFault{hint(invalid), true}
	}
}

// compileAddress returns the key of an allowed address. The text of a refusal never quotes the local part.
func compileAddress(entry string) (key, refusal string) {
	if local, domain, found := strings.Cut(entry, "@"); found {
		if refusal := checkPattern(local, domain); refusal != "" {
			return "", refusal
		}
	}
	a, invalid := parseAddressAs(entry, entryAddress)
	if invalid != "" {
		return "", hint(invalid)
	}
	return a.key(), ""
}

// subAddresses ends the local part of an entry that means an address and all of its sub-addresses (RFC 5233): jo+*@x.example
// is jo@x.example, and jo+ with anything behind it. It is the only pattern in a local part that has a meaning.
const subAddresses = "+*"

// patternCharacters have a meaning in the pattern languages from which people bring entries: * and ? of globs, % of SQL's
// LIKE, {} of templates and of counts, and | ^ $ of regular expressions. RFC 5322 lets all but none of them be in a local part, and
// real mailboxes practically never have one: the mail providers do not give them out, and mail that is sent by machines
// (VERP, BATV, SRS) encodes with + = # / - _ and letters. So an entry with one of them is taken for a pattern, which
// would match nobody as a literal address. Not among them are the characters that real addresses do have: ' (O'Brien), &, #, /, =, ~, _
// and -. The brackets and backslashes of regular expressions are no characters of a plain local part anyway.
const patternCharacters = "*?{}|^$%"

// checkPattern refuses a local part in another system's pattern language. The text quotes the domain only.
func checkPattern(local, domain string) (refusal string) {
	base, isSubAddresses := strings.CutSuffix(local, subAddresses)
	switch {
	case isSubAddresses && base != "" && !strings.ContainsAny(base, patternCharacters+"+"):
		return ""
	case strings.ContainsAny(local, patternCharacters), strings.Contains(local, ".+"): // no mailbox ends in a dot
	default:
		return ""
	}
	whole := "acme.com"
	if name, invalid := parseName(domain, entryAddress); invalid == "" {
		whole = name
	}
	return fmt.Sprintf("what is before the @ is a pattern (%s), and entries are no patterns: for every address of a domain, write the "+
		"domain into domains (%s); for one address with all its sub-addresses, write jo+*@%s", patternCharacters, whole, whole)
}

// The two readings of UTS #46: with the deviation characters as IDNA 2008 has them, and as IDNA 2003 mapped them.
var mappings = []*idna.Profile{
	idna.New(idna.MapForLookup(), idna.Transitional(false)),
	idna.New(idna.MapForLookup(), idna.Transitional(true)),
}

// readings returns every canonical name that some program may take name for: the strict one, or those of mapping. The
// Invalid is that of the strict reading.
func readings(name string, syntax syntax) ([]string, Invalid) {
	strict, invalid := parseName(name, syntax)
	if invalid == "" && isASCII(name) {
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
		if mapped, bad := parseName(mapped, syntax); bad == "" && !slices.Contains(names, mapped) {
			names = append(names, mapped)
		}
	}
	return names, invalid
}

// fix says what an author should write instead.
func hint(invalid Invalid) string {
	switch invalid {
	case TooLong:
		return "it is too long; an address has at most 254 bytes, 64 of them before the @, and a domain at most 253"
	case NotUTF8:
		return "it is not valid UTF-8"
	case NoAtSign:
		return "it has no @; write a whole address, or move a domain to the list of domains"
	case ManyAtSigns:
		return "it has more than one @; write one plain address"
	case BadLocalPart:
		return "what is before the @ must be plain: ASCII letters, digits, single inner dots and #&'+-/=_~, without quotes or comments"
	case EmptyLabel:
		return "a label is empty; write the domain without leading, trailing or doubled dots"
	case LabelTooLong:
		return "a label has over 63 bytes"
	case BadCharacter:
		return "a domain has only letters, digits, dots and inner hyphens; a wildcard is written *.example.com"
	case BadHyphen:
		return "a label must not begin or end with a hyphen, nor have two hyphens in places 3 and 4 unless it is an A-label (xn--…)"
	case BadIDN:
		return "an internationalised label must be the exact A-label (xn--…), or the lower-case, composed U-label of it"
	case TooFewLabels:
		return "a mail domain has at least two labels, as in example.com"
	case NumericTLD:
		return "the last label must not be a number; an IP address is not a mail domain"
	default:
		return string(invalid)
	}
}
