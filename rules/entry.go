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
// what to write instead; it quotes the entry, which is a domain.
func compileAllow(entry string, suffixes bool) (_ pattern, refusal string) {
	name, below := wildcard(entry)
	if below && name == "" {
		return pattern{below: true}, ""
	}
	name, invalid := parseName(name, 1)
	switch {
	case invalid != "":
		return pattern{}, fmt.Sprintf("%q: %s", entry, mend(invalid))
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

// compileDeny compiles a deny entry into every name it can be read as.
//
// A deny entry is treated the other way round than an address: an address that needs mapping is invalid and so denied
// anyway, hence it is enough to deny the names to which mapping takes the entry, by either reading of the deviation
// characters. No reading at all means that no valid address could match; the refusal says so, and nothing is widened.
func compileDeny(entry string) (_ []pattern, refusal string) {
	name, below := wildcard(entry)
	if below && name == "" {
		return []pattern{{below: true}}, ""
	}
	readings, invalid := readings(name, 1)
	if len(readings) == 0 {
		return nil, fmt.Sprintf("%q: no address can have this domain: %s", entry, mend(invalid))
	}
	patterns := make([]pattern, len(readings))
	for i, reading := range readings {
		patterns[i] = pattern{name: reading, self: !below, below: true}
	}
	return patterns, ""
}

// compileAddress returns the key of an allowed address. The text of a refusal never quotes the entry.
func compileAddress(entry string) (key, refusal string) {
	a, invalid := parseAddress(entry)
	if invalid != "" {
		return "", mend(invalid)
	}
	return a.key(), ""
}

// compileDenyAddress returns the keys of every address that a deny entry can be read as, like compileDeny.
func compileDenyAddress(entry string) (keys []string, refusal string) {
	local, domain, found := strings.Cut(entry, "@")
	if !found {
		return nil, "no address can be this: " + mend(NoAtSign)
	}
	if invalid := checkLocalPart(local); invalid != "" {
		return nil, "no address can be this: " + mend(invalid)
	}
	names, invalid := readings(domain, 2)
	if len(names) == 0 {
		return nil, "no address can be this: " + mend(invalid)
	}
	for _, name := range names {
		keys = append(keys, Address{local, Domain{name}}.key())
	}
	return keys, ""
}

// The two readings of UTS #46: with the deviation characters as IDNA 2008 has them, and as IDNA 2003 mapped them.
var mappings = []*idna.Profile{
	idna.New(idna.MapForLookup(), idna.Transitional(false)),
	idna.New(idna.MapForLookup(), idna.Transitional(true)),
}

// readings returns every canonical name that some program may take name for: the strict one, or those of mapping. The
// Invalid is that of the strict reading.
func readings(name string, minLabels int) ([]string, Invalid) {
	strict, invalid := parseName(name, minLabels)
	if invalid == "" && isASCII(name) {
		return []string{strict}, ""
	}
	var names []string
	if invalid == "" {
		names = append(names, strict)
	}
	for _, mapping := range mappings {
		mapped, err := mapping.ToASCII(name)
		if err != nil {
			continue
		}
		if mapped, bad := parseName(mapped, minLabels); bad == "" && !slices.Contains(names, mapped) {
			names = append(names, mapped)
		}
	}
	return names, invalid
}

// mend says what an author should write instead.
func mend(invalid Invalid) string {
	switch invalid {
	case TooLong:
		return "it is too long; an address has at most 254 octets, 64 of them before the @, and a domain at most 253"
	case NotUTF8:
		return "it is not valid UTF-8"
	case NoAtSign:
		return "it has no @; write a whole address, or move a domain to the list of domains"
	case ManyAtSigns:
		return "it has more than one @; write one plain address"
	case BadLocalPart:
		return "what is before the @ must be plain: ASCII letters, digits, single inner dots and #$&'*+-/=?^_{|}~, without quotes, comments or =?"
	case EmptyLabel:
		return "a label is empty; write the domain without leading, trailing or doubled dots"
	case LabelTooLong:
		return "a label has over 63 octets"
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
