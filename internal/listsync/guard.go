package listsync

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// maxNamed is how many entries the guard names of one class, or of a large change: enough to see what happened, and short
// enough to read.
const maxNamed = 20

// Use is what a list is for.
type Use string

// The uses.
const (
	// Deny is the use of a list in spec.deny.lists.
	Deny Use = "deny"
	// Allow is the use of a list in spec.allow.lists.
	Allow Use = "allow"
)

// named is a domain or wildcard that a policy allows by name.
type named struct {
	entry  string // as it is written there
	policy string
	path   string
}

// change is what the guard judges: a content beside the one before it.
type change struct {
	use       Use
	old       *rules.List // nil: there is none that can be read
	now       *rules.List
	isPage    bool // the content looks like HTML
	allowed   []named
	providers []string
	maxChange float64 // percent
}

// judge returns what is to be said against a change, each class in the order of the entries' names. What the old content did
// as well is not said again: it was let pass once, by this guard or by a person.
func (c *change) judge() []Objection {
	if fault := c.now.Fault(); fault != "" {
		if c.isPage {
			fault = "it is a page of HTML; give the address of the text itself (on code hosts that of the raw file), or sign in where it is kept"
		}
		return []Objection{{Kind: NotAList, Text: "this is not a list: " + fault}}
	}
	var all []Objection
	if c.use == Deny {
		all = append(all, limited(c.deniesNamed())...)
		all = append(all, limited(c.deniesProviders())...)
		all = append(all, limited(c.deniesNearProviders())...)
		all = append(all, c.suffixes((*rules.List).Suffixes,
			" is a public suffix of a registry: whoever has a name there is shut out, a country or a sector of it")...)
	} else {
		all = append(all, c.suffixes((*rules.List).Unusable,
			" is, or covers, a public suffix: strangers can register names there, so that it allows nothing")...)
		all = append(all, limited(c.allowsProviders())...)
	}
	return append(all, c.changesMuch()...)
}

// limited leaves what is too much to read to one last objection.
func limited(found []Objection) []Objection {
	if more := len(found) - maxNamed; more > 0 {
		found = append(found[:maxNamed], Objection{Kind: found[0].Kind, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}

// deniesNamed finds what a policy of the namespace allows by name and the content denies. That a policy's own allow beats its
// own list does not help where another policy names the list.
func (c *change) deniesNamed() []Objection {
	var found []Objection
	below := map[string]named{} // the wildcards, by the name that they are below
	for _, allowed := range c.allowed {
		name, wildcard := strings.CutPrefix(allowed.entry, "*.")
		_, domain, isAddress := strings.Cut(allowed.entry, "@")
		switch {
		case isAddress:
			if entry := c.denying(domain); entry != "" {
				found = append(found, objectionTo(entry, "@"+domain, allowed))
			} else if c.isNew(allowed.entry) {
				found = append(found, objectionTo(allowed.entry, "@"+domain, allowed))
			}
		case wildcard:
			if _, is := below[name]; !is {
				below[name] = allowed
			}
			if entry := c.denyingBelow(name); entry != "" {
				found = append(found, objectionTo(entry, allowed.entry, allowed))
			}
		default:
			if entry := c.denying(name); entry != "" {
				found = append(found, objectionTo(entry, allowed.entry, allowed))
			}
		}
	}
	// An entry below a wildcard takes a part of what is allowed.
	var parts []Objection
	for entry := range c.added() {
		name := strings.TrimPrefix(entry, "*.")
		if strings.Contains(name, "@") || len(below) == 0 {
			continue
		}
		for parent := range parents(name) {
			if allowed, is := below[parent]; is && !deniesName(c.old, name) {
				parts = append(parts, objectionTo(entry, allowed.entry, allowed))
				break
			}
		}
	}
	slices.SortFunc(parts, func(a, b Objection) int { return strings.Compare(a.Entry, b.Entry) })
	return append(found, parts...)
}

func objectionTo(entry, of string, allowed named) Objection {
	shown := withoutLocalPart(entry)
	return Objection{
		Kind: AllowedByName, Entry: shown, Of: of, Policy: allowed.policy, Path: allowed.path,
		Text: fmt.Sprintf("%s denies %s, which %s allows by name (%s)", shown, of, allowed.policy, allowed.path),
	}
}

// deniesProviders finds mailbox providers and privacy relays that the content denies.
func (c *change) deniesProviders() []Objection {
	var found []Objection
	for _, provider := range c.providers {
		if entry := c.denying(provider); entry != "" {
			found = append(found, Objection{
				Kind: MailboxProvider, Entry: entry, Of: provider,
				Text: fmt.Sprintf("%s denies %s, %s", entry, provider, inWords(provider)),
			})
		}
	}
	return found
}

// allowsProviders finds those that the content allows: everybody can get an address there.
func (c *change) allowsProviders() []Objection {
	var found []Objection
	for _, provider := range c.providers {
		for _, entry := range []string{provider, "*." + provider} {
			if c.isNew(entry) {
				found = append(found, Objection{
					Kind: MailboxProvider, Entry: entry, Of: provider,
					Text: fmt.Sprintf("%s is allowed, %s: everybody can get an address there", entry, inWords(provider)),
				})
			}
		}
	}
	return found
}

func inWords(provider string) string {
	if domain, err := rules.ParseDomain(provider); err == nil {
		if kind, is := lint.MailboxProvider(domain); is {
			return "a " + kind
		}
	}
	return "a mailbox provider"
}

// suffixes finds what of the new entries is counted by of, and says it of each. An allow entry of that sort allows nothing; but
// whoever wrote it expects something, or somebody else wrote it.
func (c *change) suffixes(of func(*rules.List) (int, []int), text string) []Objection {
	added := slices.Sorted(c.added())
	count, lines := of(rules.CompileList([]byte(strings.Join(added, "\n"))))
	var found []Objection
	for _, line := range lines {
		entry := withoutLocalPart(added[line-1])
		found = append(found, Objection{Kind: PublicSuffix, Entry: entry, Text: entry + text})
	}
	if more := count - len(lines); more > 0 {
		found = append(found, Objection{Kind: PublicSuffix, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}

// deniesNearProviders finds names below mailbox providers, and addresses at them. Addresses are as usual where the old content had
// some, such as in a list of persons; in a list of domains they are somebody's slip, or worse.
func (c *change) deniesNearProviders() []Objection {
	var found []Objection
	persons := map[string]int{}
	for entry := range c.added() {
		local, domain, isAddress := strings.Cut(entry, "@")
		if isAddress {
			if local != "" && slices.Contains(c.providers, domain) && !hasAddresses(c.old) {
				persons[domain]++
			}
			continue
		}
		for parent := range parents(strings.Replace(entry, "*.", "x.", 1)) {
			if parent != entry && slices.Contains(c.providers, parent) {
				found = append(found, Objection{
					Kind: MailboxProvider, Entry: entry, Of: parent,
					Text: fmt.Sprintf("%s denies names below %s, %s", entry, parent, inWords(parent)),
				})
				break
			}
		}
	}
	for domain, count := range persons {
		words := "an address"
		if count > 1 {
			words = fmt.Sprintf("%d addresses", count)
		}
		found = append(found, Objection{
			Kind: MailboxProvider, Entry: "@" + domain, Of: domain,
			Text: fmt.Sprintf("%s at %s, %s, in a list that had no addresses: whole persons are denied", words, domain, inWords(domain)),
		})
	}
	slices.SortFunc(found, func(a, b Objection) int { return strings.Compare(a.Text, b.Text) })
	return found
}

func hasAddresses(list *rules.List) bool {
	if list == nil {
		return false
	}
	for entry := range list.All() {
		if strings.Contains(entry, "@") {
			return true
		}
	}
	return false
}

// changesMuch compares the number of entries that come and go with that of the old content.
func (c *change) changesMuch() []Objection {
	if c.old == nil || c.old.Entries() == 0 {
		return nil
	}
	added, removed := c.count()
	percent := 100 * float64(added+removed) / float64(c.old.Entries())
	if percent <= c.maxChange {
		return nil
	}
	text := fmt.Sprintf("%d added and %d removed, of %s: %.1f %%, more than --max-change lets pass (%g %%)",
		added, removed, entries(c.old.Entries()), percent, c.maxChange)
	if added > 0 {
		text += "; added: " + some(c.added(), added)
	}
	if removed > 0 {
		text += "; removed: " + some(without(c.old, c.now), removed)
	}
	return []Objection{{Kind: TooMuchChange, Text: text}}
}

// some names the first few entries.
func some(entries iter.Seq[string], count int) string {
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for entry := range entries {
			if !yield(withoutLocalPart(entry)) {
				return
			}
		}
	}))
	if len(names) <= maxNamed {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxNamed], ", ") + fmt.Sprintf(" and %d more", max(count, len(names))-maxNamed)
}

// count returns how many entries come and go.
func (c *change) count() (added, removed int) {
	for range c.added() {
		added++
	}
	for range without(c.old, c.now) {
		removed++
	}
	return added, removed
}

// added yields the entries that the old content does not have.
func (c *change) added() iter.Seq[string] { return without(c.now, c.old) }

// without yields the entries of a list that another does not have; either may be nil.
func without(list, other *rules.List) iter.Seq[string] {
	return func(yield func(string) bool) {
		if list == nil {
			return
		}
		for entry := range list.All() {
			if (other == nil || !other.Has(entry)) && !yield(entry) {
				return
			}
		}
	}
}

// isNew says whether the new content alone has an entry.
func (c *change) isNew(entry string) bool {
	return c.now.Has(entry) && (c.old == nil || !c.old.Has(entry))
}

// denying returns the entry by which the new content denies a name and the old one did not, or "".
func (c *change) denying(name string) string {
	if !deniesName(c.now, name) || deniesName(c.old, name) {
		return ""
	}
	return c.by(name)
}

// denyingBelow is denying for all that is below a name.
func (c *change) denyingBelow(name string) string {
	if !deniesBelow(c.now, name) || deniesBelow(c.old, name) {
		return ""
	}
	if wildcard := "*." + name; c.now.Has(wildcard) {
		return wildcard
	}
	return c.by(name)
}

// by returns the entry of the new content that denies a name.
func (c *change) by(name string) string {
	if c.now.Has(name) {
		return name
	}
	for parent := range parents(name) {
		for _, entry := range []string{parent, "*." + parent} {
			if c.now.Has(entry) {
				return entry
			}
		}
	}
	return name
}

// deniesName says whether a list denies a name.
func deniesName(list *rules.List, name string) bool {
	if list == nil {
		return false
	}
	if domain, err := rules.ParseDomain(name); err == nil {
		return list.Denies(domain)
	}
	return list.Has(name) // of one label, as a policy may name a public suffix; no address has it
}

// deniesBelow says whether a list denies all that is below a name.
func deniesBelow(list *rules.List, name string) bool {
	return list != nil && (deniesName(list, name) || list.Has("*."+name))
}

// parents yields the names above a name, nearest first.
func parents(name string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for {
			_, above, more := strings.Cut(name, ".")
			if !more || !yield(above) {
				return
			}
			name = above
		}
	}
}

// withoutLocalPart returns an entry as people may see it.
func withoutLocalPart(entry string) string {
	if _, domain, isAddress := strings.Cut(entry, "@"); isAddress {
		return "@" + domain
	}
	return entry
}
