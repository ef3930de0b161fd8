package violation

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

var (
	// entryDomain matches a domain without a wildcard that the schema accepts as an entry.
	entryDomain      = regexp.MustCompile(`^(` + entryLabel + `\.)*` + entryLabel + `$`)
	urlScheme        = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	urlPath          = regexp.MustCompile(`[/?#].*$`)
	urlPort          = regexp.MustCompile(`:[0-9]*$`)
	leadingWildcard  = regexp.MustCompile(`^\*+\.?`)
	numberAtTheEnd   = regexp.MustCompile(`(^|\.)[0-9]+$`)
	separator        = regexp.MustCompile(`[,;|]`)
	longLabel        = regexp.MustCompile(`[^.]{64}`)
	reservedLabel    = regexp.MustCompile(`(?i)(^|\.)([^x.][^.]|x[^n.])--`)
	domainCharacters = regexp.MustCompile(`^[\p{L}\p{M}\p{Nd}._-]+$`)
)

// entryLabel matches one label of a domain: letters with their marks, digits, and hyphens inside, at most 63
// characters.
const entryLabel = `[\p{L}\p{M}\p{Nd}]([\p{L}\p{M}\p{Nd}-]{0,61}[\p{L}\p{M}\p{Nd}])?`

// maxLocalPart is the largest number of characters before the @ of an address (RFC 5321 4.5.3.1.1).
const maxLocalPart = 64

// atSigns are the @, and texts that people write instead of it. No message quotes a value that contains one of them,
// because the text before it may be a local part.
var atSigns = []string{"@", "\uff20", "\ufe6b", "%40", "(at)", "[at]", " at "}

// quotable reports whether a message may quote a value: the value is short, and contains none of atSigns.
func quotable(value string) bool {
	const maxLength = 80 // bytes, so that a log line stays readable
	return value != "" && len(value) <= maxLength &&
		!slices.ContainsFunc(atSigns, func(at string) bool { return strings.Contains(value, at) })
}

// inOneWord reports whether a value has no blanks except at its start and end.
func inOneWord(value string) bool {
	return !strings.ContainsFunc(strings.TrimFunc(value, rules.IsBlank), rules.IsBlank)
}

// EntryFix returns what is wrong with a value that the schema refuses as an entry, and what to write instead. It
// returns "" if it knows no better text than the schema has. It never quotes a local part.
func EntryFix(path, value string) string {
	text, _ := entryFix(path, value)
	return text
}

// entryFix returns the text of EntryFix, and the corrected entry. corrected is "" if there is more than one way to
// correct the entry. Unlike text, it may have a local part.
func entryFix(path, value string) (text, corrected string) {
	side, in, isEntry := EntryAt(path)
	switch {
	case !isEntry || value == "":
		return "", ""
	case in == "addresses":
		return addressFix(side, value)
	default:
		return domainFix(side, value)
	}
}

// domainFix is entryFix for a domain. side is allow or deny.
func domainFix(side, value string) (text, corrected string) {
	if at := strings.LastIndex(value, "@"); at >= 0 {
		domain, _ := cleanDomain(value[at+1:])
		switch {
		case !strings.Contains(domain, "."):
			return "", ""
		case strings.Trim(value[:at], "*?.") == "":
			return fmt.Sprintf("%q has an @, which no domain has: write %s", value, domain), domain
		default:
			return fmt.Sprintf("\"…@%s\" is an address: move it to spec.%s.addresses, or write %s for all of that domain",
				domain, side, domain), ""
		}
	}
	if separator.MatchString(value) {
		return "it holds several domains: write each as an item of its own", ""
	}
	if !quotable(value) || !inOneWord(value) {
		return "", ""
	}
	if _, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
		return fmt.Sprintf("%q is an IP address: write the domain after the @ of addresses", value), ""
	}
	wildcard, name := "", value
	if rest := leadingWildcard.ReplaceAllString(value, ""); rest != value {
		wildcard, name = "*.", rest
	}
	domain, problem := cleanDomain(name)
	switch {
	case problem == "" && wildcard != "" && domain != "" && value != wildcard+domain:
		problem = "has a * that is not the whole first label"
	case problem == "" && numberAtTheEnd.MatchString(domain):
		return fmt.Sprintf("%q ends in a number, which no domain of an address does: write a whole name such as acme.com", value), ""
	case problem == "" && longLabel.MatchString(domain):
		return "has more than 63 characters between two dots: write the domain as in an address", ""
	case problem == "" && reservedLabel.MatchString(domain):
		return fmt.Sprintf("%q has -- as the third and fourth character of a label, which only labels with xn-- have: check its spelling",
			value), ""
	case problem == "" && strings.Contains(domain, "_"):
		return fmt.Sprintf("%q has an underscore, which the domain of an address cannot have: write the part of the address after the @",
			value), ""
	case problem == "" && strings.Contains(domain, "*"):
		return fmt.Sprintf("%q has a * that is not the whole first label, as in \"*.example.com\": write each domain", value), ""
	}
	if problem == "" || !entryDomain.MatchString(domain) {
		return "", ""
	}
	if strings.HasPrefix(value, ".") {
		return fmt.Sprintf("%q begins with a dot: write \"*.%s\" for all subdomains of %s, or %s", value, domain, domain, domain), ""
	}
	write, corrected := domain, wildcard+domain
	if wildcard != "" {
		write = `"` + corrected + `"` // in YAML, an unquoted * starts an alias
	}
	return fmt.Sprintf("%q %s: write %s", value, problem, write), corrected
}

// cleanDomain removes from a name what a domain cannot have, such as a port. It returns the rest. problem describes the
// first thing that it removed, and is "" if it removed nothing.
func cleanDomain(name string) (domain, problem string) {
	for _, step := range []struct {
		problem string
		clean   func(string) string
	}{
		{"has a space or an invisible character", withoutBlanks},
		{"is a URL", func(s string) string { return urlScheme.ReplaceAllString(s, "") }},
		{"has a path", func(s string) string { return urlPath.ReplaceAllString(s, "") }},
		{"has a port", func(s string) string { return urlPort.ReplaceAllString(s, "") }},
		{"is in brackets", func(s string) string { return strings.Trim(s, "<>()[]\"'") }},
		{"begins with a dot", func(s string) string { return strings.TrimLeft(s, ".") }},
		{"ends in a dot", func(s string) string { return strings.TrimRight(s, ".") }},
		{"has two dots in a row", func(s string) string {
			for strings.Contains(s, "..") {
				s = strings.ReplaceAll(s, "..", ".")
			}
			return s
		}},
		{"has a dot that is not the ASCII one", func(s string) string {
			return strings.NewReplacer("\u3002", ".", "\uff0e", ".", "\uff61", ".").Replace(s)
		}},
	} {
		cleaned := step.clean(name)
		if cleaned != name && problem == "" {
			problem = step.problem
		}
		name = cleaned
	}
	return name, problem
}

// withoutBlanks returns a text without spaces and invisible characters.
func withoutBlanks(text string) string {
	return strings.Map(func(r rune) rune {
		if rules.IsBlank(r) {
			return -1
		}
		return r
	}, text)
}

// addressFix is entryFix for an address. side is allow or deny. Its texts quote only the part after the @.
func addressFix(side, value string) (text, corrected string) {
	at := strings.LastIndex(value, "@")
	if at < 0 {
		return fmt.Sprintf("it has no @: write a whole address; a domain goes to spec.%s.domains", side), ""
	}
	local := value[:at]
	domain, problem := cleanDomain(value[at+1:])
	switch {
	case strings.Contains(domain, "_"):
		return "the part after its @ has an underscore, which no domain of an address has: check its spelling", ""
	case !strings.Contains(domain, "."):
		return "the part after its @ has no dot: write a whole domain, such as acme.com", ""
	case !entryDomain.MatchString(domain):
		return "", ""
	case numberAtTheEnd.MatchString(domain):
		return "the part after its @ ends in a number: write a domain name", ""
	}
	shown := `"…@` + domain + `"`
	wholeDomain := func(domain string) string {
		return fmt.Sprintf("%s means every address of the domain: write %s in spec.%s.domains", shown, domain, side)
	}
	switch {
	case separator.MatchString(value):
		return "it holds several addresses: write each as an item of its own", ""
	case local == "" || strings.Trim(local, "*?.%") == "":
		shown = fmt.Sprintf("%q", local+"@"+domain)
		return wholeDomain(domain), ""
	case strings.ContainsFunc(local, func(r rune) bool { return strings.ContainsRune(`<>"()`, r) }):
		return shown + " has a name, brackets or quotes around it: write the address alone", ""
	case strings.HasPrefix(local, "mailto:"):
		return shown + " begins with mailto: write the address alone", strings.TrimPrefix(local, "mailto:") + "@" + domain
	case strings.Contains(local, "@"):
		return shown + " has more than one @: write one address", ""
	case strings.ContainsFunc(value, rules.IsBlank):
		return shown + " has a space or an invisible character: write it without", withoutBlanks(local) + "@" + domain
	case problem != "" && domainCharacters.MatchString(value[at+1:]):
		return fmt.Sprintf("\"…@%s\" %s: write …@%s", value[at+1:], problem, domain), local + "@" + domain
	case problem != "":
		return fmt.Sprintf("the part after its @ %s: write …@%s", problem, domain), local + "@" + domain
	case len(local) > maxLocalPart:
		return fmt.Sprintf("%s has %d characters before the @: write at most %d", shown, len(local), maxLocalPart), ""
	case strings.HasPrefix(local, "."), strings.HasSuffix(local, "."):
		return shown + " has a dot at an end of the part before the @: write it without", ""
	case strings.Contains(local, ".."):
		return shown + " has two dots in a row before the @: write one", ""
	case strings.Contains(local, ".+"):
		return shown + " has a + after a dot: write it without the dot", ""
	case strings.ContainsAny(local, "*?{}|^$%"):
		return fmt.Sprintf("%s has a character of a pattern before the @: write the whole address, or %s in spec.%s.domains "+
			"for all of that domain; only +* is one, for all sub-addresses, as in jo+*@%s", shown, domain, side, domain), ""
	default:
		return "", ""
	}
}

// hiddenLocal stands for the local part of an address.
const hiddenLocal = "(someone)"

// Shown returns the value at a path in a form that may be printed. It replaces the local part of an address. It returns
// "" for any other value that may be personal, and for a long one.
func Shown(path, value string) string {
	if strings.HasPrefix(path, "spec.profile[") && !strings.HasSuffix(path, ".attribute") {
		return "" // the value may be personal
	}
	_, _, isEntry := EntryAt(path)
	switch {
	case isAddresses(path):
		_, domain, found := strings.Cut(value, "@")
		if !found || !domainCharacters.MatchString(domain) {
			return ""
		}
		return hiddenLocal + "@" + domain
	case !quotable(value), isEntry && !inOneWord(value):
		return ""
	default:
		return value
	}
}
