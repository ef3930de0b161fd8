package rules

import (
	"fmt"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxExamples is how many names a text gives as examples.
const maxExamples = 3

// warnOfLists warns of lists that allow a mailbox provider. What else there is to say of a list, its reader says.
func (p *warnedPolicy) warnOfLists() {
	for _, rule := range p.lists {
		if rule.rung != rungAllowList {
			continue
		}
		if open := openNames(rule.list); len(open) > 0 {
			count := "a domain at which anybody can get an address"
			if len(open) > 1 {
				count = fmt.Sprintf("%d domains at which anybody can get an address", len(open))
			}
			p.warn(rule.entry.String(), "list %s allows %s (%s); name single people by their addresses instead",
				p.written.allowLists[rule.entry.Index], count, examples(open))
		}
	}
}

// openNames returns the mailbox providers and relays that a list allows.
func openNames(list *List) []string {
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

// warnOfOpenEntries warns of allow entries by which strangers come in, and of those by which nobody can.
func (p *warnedPolicy) warnOfOpenEntries() {
	for i := range p.entries {
		e := &p.entries[i]
		if e.rung != rungAllowDomain {
			continue
		}
		pattern := e.patterns[0]
		kind, open := MailboxProvider(Domain{pattern.name})
		switch {
		case open:
			p.warn(e.String(), "%s is a %s: anybody can get an address there; name single people in spec.allow.addresses, and remove "+
				"this entry", pattern.name, kind)
		case pattern.self && !strings.Contains(pattern.name, "."):
			p.warn(e.String(), "no mail address ends in @%s, so that this allows nobody; write *.%s for everything below it",
				pattern.name, pattern.name)
		case pattern.below && isOpenSuffix(pattern.name):
			p.warn(e.String(), "anybody can have a name below %s, and so come in; write the names that are meant", pattern.name)
		}
	}
}

// openGenericSuffixes are the large top-level domains under which everybody registers. The others, of which many are
// for one company or trade, are left alone. Two letters are a country's.
var openGenericSuffixes = []string{
	"app", "biz", "click", "club", "cloud", "com", "dev", "email", "icu", "info", "life", "link", "live", "mobi", "name", "net",
	"online", "org", "page", "pro", "shop", "site", "space", "store", "tech", "top", "vip", "website", "work", "world", "xyz",
}

// openCountryLabels are the second-level domains of countries that are for business, or for everybody. Those for
// schools, authorities and the like (ac, edu, gov, sch) are what spec.allow.publicSuffixes is for.
var openCountryLabels = []string{
	"biz", "co", "com", "firm", "gen", "id", "idv", "ind", "info", "me", "name", "ne", "net", "nom", "or", "org", "web",
}

// isOpenSuffix tells names, as far as an allow entry may have them, below which strangers get names. canonical.
func isOpenSuffix(name string) bool {
	if slices.Contains(sharedSuffixes, name) {
		return true
	}
	suffix, icann := publicsuffix.PublicSuffix(name)
	label, parent, two := strings.Cut(name, ".")
	switch {
	case suffix != name:
		// There are public suffixes below: those of a registry, as a whole (*.sch.uk), or somebody's.
		below, ofRegistry := publicsuffix.PublicSuffix("x." + name)
		return coversPublicSuffix(name) && (below != "x."+name || !ofRegistry)
	case two && !icann:
		return true // somebody's own, such as github.io
	case !two:
		return len(name) == 2 || slices.Contains(openGenericSuffixes, name)
	default:
		return len(parent) == 2 && slices.Contains(openCountryLabels, label)
	}
}

// warnOfIdleParts warns of a policy, or an attribute, that has no say in any call.
func (p *warnedPolicy) warnOfIdleParts() {
	if len(p.entries)+len(p.lists) == 0 {
		p.warn("spec", "as it stands, this policy allows nothing and denies nothing: none of its entries is in force; correct or "+
			"delete it")
	}
	if len(p.written.profile) == 0 {
		return
	}
	switch {
	case !p.hasAllow:
		p.warn("spec.profile", "it is sent where this policy allows, and this policy only denies; move it to the policy that allows")
	case p.requests&p.profileOn == 0:
		p.warn("spec.profile", "it is never sent: the policy applies to %s only; write %s",
			requestWords(p.requests), "profileOn: ["+requestWords(p.requests)+"]")
	default:
		for i, request := range p.written.profileOn {
			if bits := requestBits(request); p.requests&bits == 0 {
				p.warn(fmt.Sprintf("spec.profileOn[%d]", i), "the policy does not apply to %s; remove this, or add it to "+
					"spec.appliesTo.requestTypes", request)
			}
		}
	}
}

func requestBits(request RequestType) requestSet {
	if request == ProgressiveProfile {
		return profileUpdates
	}
	return signUps
}

func requestWords(requests requestSet) string {
	if requests == profileUpdates {
		return string(ProgressiveProfile)
	}
	return string(SelfServiceRegistration)
}
