package lint

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/suffix"
)

// maxExamples is how many names a message gives as examples.
const maxExamples = 3

// warnOfLists warns of lists that allow a mailbox provider. [ListWarnings] returns the other warnings of lists.
func (p *policy) warnOfLists() {
	for _, used := range p.lists {
		if used.Entry.Field != rules.AllowLists {
			continue
		}
		if open := openNames(used.List); len(open) > 0 {
			count := "a domain at which anybody can get an address"
			if len(open) > 1 {
				count = fmt.Sprintf("%d domains at which anybody can get an address", len(open))
			}
			p.warn(AtMailboxProvider, used.Entry.String(), "list %s allows %s (%s); name single people by their addresses instead",
				used, count, examples(open))
		}
	}
}

// openNames returns the mailbox providers and privacy relays that a list allows.
func openNames(list *rules.List) []string {
	var open []string
	for _, name := range MailboxProviders() {
		if list.Has(name) || list.Has("*."+name) {
			open = append(open, name)
		}
	}
	return open
}

func examples(names []string) string {
	text := strings.Join(names[:min(len(names), maxExamples)], ", ")
	if more := len(names) - maxExamples; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// warnOfOpenEntries warns of domain entries that allow anyone, that allow nobody, or that deny nobody.
func (p *policy) warnOfOpenEntries() {
	for i := range p.entries {
		e := &p.entries[i]
		if e.effect == denyDomain {
			p.warnOfUnknownTLD(e)
		}
		if e.effect != allowDomain {
			continue
		}
		pattern := e.patterns[0]
		kind, open := MailboxProvider(address.DomainOf(pattern.Name))
		switch {
		case open:
			p.warn(AtMailboxProvider, e.String(),
				"%s is a %s: anybody can get an address there; name single people in spec.allow.addresses, and remove "+
					"this entry", pattern.Name, kind)
		case pattern.Self && !strings.Contains(pattern.Name, "."):
			p.warn(BareSuffix, e.String(), "no mail address ends in @%s, so that this allows nobody; write *.%s for everything below it",
				pattern.Name, pattern.Name)
		case pattern.Below && isOpenSuffix(pattern.Name):
			p.warn(OpenSuffix, e.String(), "anybody can have a name below %s, and then be allowed; write the names that are meant", pattern.Name)
		}
	}
}

// warnOfUnknownTLD warns of a deny entry for a top-level domain that does not exist.
func (p *policy) warnOfUnknownTLD(e *entry) {
	name := e.patterns[0].Name
	if name != "" && suffix.IsUnlistedTLD(name) && !slices.Contains(privateTLDs, name) {
		p.warn(UnknownTLD, e.String(), "%s is not a known top-level domain, so that this probably denies nobody; if its ending is missing, "+
			"write a whole domain such as %s.com", name, name)
	}
}

// privateTLDs are top-level domains that are on no public list, and that an author may deny on purpose: those of special
// use (RFC 6761, 7686, 8375, 9476), and those that private networks use.
var privateTLDs = []string{
	"alt", "corp", "example", "home", "internal", "intranet", "invalid", "lan", "local", "localdomain", "localhost", "onion",
	"private", "test",
}

// openGenericSuffixes are the large generic top-level domains under which anyone can register. Other generic ones get
// no warning, because many of them are for one company or trade. The top-level domains of countries are not in the
// list: isOpenSuffix treats every one of two letters as open.
var openGenericSuffixes = []string{
	"app", "biz", "click", "club", "cloud", "com", "dev", "email", "icu", "info", "life", "link", "live", "mobi", "name", "net",
	"online", "org", "page", "pro", "shop", "site", "space", "store", "tech", "top", "vip", "website", "work", "world", "xyz",
}

// openCountryLabels are second-level labels, such as co in co.uk, under which businesses or anyone can register
// domains. Labels for schools, authorities and the like (ac, edu, gov, sch) are not included: an author who writes
// *.ac.uk into spec.allow.publicSuffixes means all universities.
var openCountryLabels = []string{
	"biz", "co", "com", "firm", "gen", "id", "idv", "ind", "info", "me", "name", "ne", "net", "nom", "or", "org", "web",
}

// isOpenSuffix reports whether anyone can get a name below the canonical name of an allow entry.
func isOpenSuffix(name string) bool {
	if suffix.IsShared(name) {
		return true
	}
	public, icann := publicsuffix.PublicSuffix(name)
	label, parent, two := strings.Cut(name, ".")
	switch {
	case public != name:
		// The name is not a public suffix, but names below it may be. If all are, as below sch.uk, a registry assigns
		// them: that counts as not open. Otherwise they belong to a company, which gives names below them to anyone.
		below, ofRegistry := publicsuffix.PublicSuffix("x." + name)
		return suffix.CoversPublic(name) && (below != "x."+name || !ofRegistry)
	case two && !icann:
		return true // the suffix of a company, such as github.io
	case !two:
		return len(name) == 2 || slices.Contains(openGenericSuffixes, name)
	default:
		return len(parent) == 2 && slices.Contains(openCountryLabels, label)
	}
}

// warnOfUnusedParts warns of a policy that allows and denies nothing, and of a profile that Okta never gets.
func (p *policy) warnOfUnusedParts() {
	if len(p.entries)+len(p.lists) == 0 {
		p.warn(NoEffect, "spec", "as it stands, this policy allows nothing and denies nothing: none of its entries is in force; correct or "+
			"delete it")
	}
	if len(p.source.Profile) == 0 {
		return
	}
	switch {
	case !p.hasAllow:
		p.warn(UnsentProfile, "spec.profile",
			"it is sent where this policy allows, and this policy only denies; move it to the policy that allows")
	case p.requests&p.profileOn == 0:
		p.warn(UnsentProfile, "spec.profile", "it is never sent: the policy applies to %s only; write %s",
			requestWords(p.requests), "profileOn: ["+requestWords(p.requests)+"]")
	default:
		for i, request := range p.source.ProfileOn {
			if bits := requestBits(request); bits != 0 && p.requests&bits == 0 {
				p.warn(UnsentProfile, fmt.Sprintf("spec.profileOn[%d]", i), "the policy does not apply to %s; remove this, or add it to "+
					"spec.appliesTo.requestTypes", request)
			}
		}
	}
}

func requestWords(requests requestSet) string {
	if requests == profileUpdates {
		return string(rules.ProgressiveProfile)
	}
	return string(rules.SelfServiceRegistration)
}
