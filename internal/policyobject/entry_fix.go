package policyobject

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

var (
	// entryDomain is the shape of a domain in an entry, and entryLabel that of its labels.
	entryDomain      = regexp.MustCompile(`^(` + entryLabel + `\.)*` + entryLabel + `$`)
	urlScheme        = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	urlRest          = regexp.MustCompile(`[/?#].*$`)
	urlPort          = regexp.MustCompile(`:[0-9]*$`)
	looseWildcard    = regexp.MustCompile(`^\*+\.?`)
	numberAtTheEnd   = regexp.MustCompile(`(^|\.)[0-9]+$`)
	severalSeparated = regexp.MustCompile(`[,;|]`)
	domainCharacters = regexp.MustCompile(`^[\p{L}\p{M}\p{Nd}._-]+$`)
)

const entryLabel = `[\p{L}\p{M}\p{Nd}]([\p{L}\p{M}\p{Nd}-]{0,61}[\p{L}\p{M}\p{Nd}])?`

// atSigns are what a reader may take for an @: before one stands a local part, which no message may quote.
var atSigns = []string{"@", "\uff20", "\ufe6b", "%40", "(at)", "[at]", " at "}

// Quotable says whether a value of a file may stand in a message: it is short, and no part of it can be a local part.
func Quotable(value string) bool {
	const longest = 80 // a line of a log is read by people
	return value != "" && len(value) <= longest &&
		!slices.ContainsFunc(atSigns, func(at string) bool { return strings.Contains(value, at) })
}

// InOneWord says whether a value has blanks at its ends at most.
func InOneWord(value string) bool {
	return !strings.ContainsFunc(strings.TrimFunc(value, rules.IsBlank), rules.IsBlank)
}

// EntryFix returns what is wrong with a value that the schema refuses as an entry, and what to write instead; "" where it has no
// better words than the schema. It never quotes a local part.
func EntryFix(path, value string) string {
	side, in, isEntry := EntryAt(path)
	switch {
	case !isEntry || value == "":
		return ""
	case in == "addresses":
		return addressFix(side, value)
	default:
		return domainFix(side, value)
	}
}

func domainFix(side, value string) string {
	if at := strings.LastIndex(value, "@"); at >= 0 {
		domain, _ := cleanDomain(value[at+1:])
		switch {
		case !strings.Contains(domain, "."):
			return ""
		case strings.Trim(value[:at], "*?.") == "":
			return fmt.Sprintf("%q has an @, which no domain has: write %s", value, domain)
		default:
			return fmt.Sprintf("\"…@%s\" is an address: move it to spec.%s.addresses, or write %s for all of that domain", domain, side, domain)
		}
	}
	if severalSeparated.MatchString(value) {
		return "it holds several domains: write each as an item of its own"
	}
	if !Quotable(value) || !InOneWord(value) {
		return ""
	}
	if _, err := netip.ParseAddr(strings.Trim(value, "[]")); err == nil {
		return fmt.Sprintf("%q is an IP address: write the domain that stands behind the @ of addresses", value)
	}
	wildcard, name := "", value
	if rest := looseWildcard.ReplaceAllString(value, ""); rest != value {
		wildcard, name = "*.", rest
	}
	domain, fault := cleanDomain(name)
	switch {
	case fault == "" && wildcard != "" && domain != "" && value != wildcard+domain:
		fault = "has its * in another place than before the first dot"
	case fault == "" && numberAtTheEnd.MatchString(domain):
		return fmt.Sprintf("%q ends in a number, as no domain of addresses does: write the whole name, as in acme.com", value)
	case fault == "" && strings.Contains(domain, "_"):
		return fmt.Sprintf("%q has an underscore, as no domain of addresses has: write what stands behind the @ of addresses", value)
	case fault == "" && strings.Contains(domain, "*"):
		return fmt.Sprintf("%q has a * behind its beginning: write each domain that you mean; all that is below acme.com is \"*.acme.com\"", value)
	}
	if fault == "" || !entryDomain.MatchString(domain) {
		return ""
	}
	if strings.HasPrefix(value, ".") {
		return fmt.Sprintf("%q begins with a dot: write \"*.%s\" for all that is below %s, or %s", value, domain, domain, domain)
	}
	write := domain
	if wildcard != "" {
		write = `"*.` + domain + `"` // to YAML, a * without quotes is an alias
	}
	return fmt.Sprintf("%q %s: write %s", value, fault, write)
}

// cleanDomain returns what is left of a name without what does not belong to a domain, and the first such thing.
func cleanDomain(name string) (domain, fault string) {
	for _, step := range []struct {
		fault string
		clean func(string) string
	}{
		{"has a space or an invisible character", func(s string) string {
			return strings.Map(func(r rune) rune {
				if rules.IsBlank(r) {
					return -1
				}
				return r
			}, s)
		}},
		{"is a URL", func(s string) string { return urlScheme.ReplaceAllString(s, "") }},
		{"has a path", func(s string) string { return urlRest.ReplaceAllString(s, "") }},
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
		if cleaned != name && fault == "" {
			fault = step.fault
		}
		name = cleaned
	}
	return name, fault
}

// addressFix shows of an address only what stands behind its @.
func addressFix(side, value string) string {
	at := strings.LastIndex(value, "@")
	if at < 0 {
		return fmt.Sprintf("it has no @: write a whole address; a domain goes to spec.%s.domains", side)
	}
	local := value[:at]
	domain, fault := cleanDomain(value[at+1:])
	switch {
	case !strings.Contains(domain, ".") || !entryDomain.MatchString(domain):
		return ""
	case numberAtTheEnd.MatchString(domain):
		return "what stands behind its @ ends in a number: write the name of a domain"
	}
	shown := `"…@` + domain + `"`
	wholeDomain := func(domain string) string {
		return fmt.Sprintf("%s stands for every address of the domain: write %s in spec.%s.domains", shown, domain, side)
	}
	switch {
	case severalSeparated.MatchString(value):
		return "it holds several addresses: write each as an item of its own"
	case local == "" || strings.Trim(local, "*?.%") == "":
		shown = fmt.Sprintf("%q", local+"@"+domain)
		return wholeDomain(domain)
	case strings.ContainsFunc(local, func(r rune) bool { return strings.ContainsRune(`<>"()`, r) }):
		return shown + " has a name, brackets or quotes around it: write the address alone"
	case strings.HasPrefix(local, "mailto:"):
		return shown + " begins with mailto: write the address alone"
	case strings.Contains(local, "@"):
		return shown + " has more than one @: write one address"
	case strings.ContainsFunc(value, rules.IsBlank):
		return shown + " has a space or an invisible character in it: write it again without"
	case fault != "" && domainCharacters.MatchString(value[at+1:]):
		return fmt.Sprintf("\"…@%s\" %s: write …@%s", value[at+1:], fault, domain)
	case fault != "":
		return fmt.Sprintf("what stands behind its @ %s: write …@%s", fault, domain)
	default:
		return ""
	}
}
