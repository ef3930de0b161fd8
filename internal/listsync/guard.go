package listsync

import (
	"fmt"
	"iter"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// maxReported is how many refusals of one kind are listed, and how many entries the text of a large change names. More
// would be too long to read.
const maxReported = 20

// htmlPrefixBytes is the number of bytes at the start of a text in which isHTML looks for HTML.
const htmlPrefixBytes = 1024

// Use says whether policies allow or deny by a list.
type Use string

// The uses of a list.
const (
	// Deny is the use of a list in spec.deny.lists.
	Deny Use = "deny"
	// Allow is the use of a list in spec.allow.lists.
	Allow Use = "allow"
)

// allowedEntry is a domain, wildcard or address that a policy allows by name.
type allowedEntry struct {
	text   string // in canonical form
	policy string // NAMESPACE/NAME
	path   string // of the entry in the policy
}

// change is a change of a list's content for the guard to check.
type change struct {
	use       Use
	oldList   *rules.List // nil if there is none, or it cannot be read
	newList   *rules.List
	isHTML    bool // the new content looks like HTML
	allowed   []allowedEntry
	providers []string
	maxChange float64 // percent
}

// refusals returns the reasons against a change. It leaves out effects that the old content has too, because the guard
// or a person accepted those before.
func (c *change) refusals() []Refusal {
	if fault := c.newList.Fault(); fault != "" {
		if c.isHTML {
			fault = "it is an HTML page: give the URL of the text itself (on code hosts, of the raw file), and check that it needs no sign-in"
		}
		return []Refusal{{Kind: NotAList, Text: "this is not a list: " + fault}}
	}
	var all []Refusal
	if c.use == Deny {
		all = append(all, truncated(c.deniesAllowedNames())...)
		all = append(all, truncated(c.deniesProviders())...)
		all = append(all, truncated(c.deniesBelowProviders())...)
		all = append(all, c.suffixes((*rules.List).Suffixes,
			" is a public suffix of a registry: all names of a country or sector below it would be denied")...)
	} else {
		all = append(all, c.suffixes((*rules.List).Unusable,
			" is, or covers, a public suffix: anybody can register names there, so the entry allows nothing")...)
		all = append(all, truncated(c.allowsProviders())...)
	}
	return append(all, c.changesTooMuch()...)
}

// truncated replaces the refusals beyond maxReported by one that counts them.
func truncated(found []Refusal) []Refusal {
	if more := len(found) - maxReported; more > 0 {
		found = append(found[:maxReported], Refusal{Kind: found[0].Kind, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}

// deniesAllowedNames finds entries of policies in the namespace that the new content would deny. A policy's own allow
// entry takes precedence over its own list, but another policy may name the list too.
func (c *change) deniesAllowedNames() []Refusal {
	var found []Refusal
	wildcards := map[string]allowedEntry{} // by the name after "*."
	for _, allowed := range c.allowed {
		name, wildcard := strings.CutPrefix(allowed.text, "*.")
		_, domain, isAddress := strings.Cut(allowed.text, "@")
		switch {
		case isAddress:
			if entry := c.newlyDenies(domain); entry != "" {
				found = append(found, allowedByNameRefusal(entry, "@"+domain, allowed))
			} else if c.newlyHas(allowed.text) {
				found = append(found, allowedByNameRefusal(allowed.text, "@"+domain, allowed))
			}
		case wildcard:
			if _, is := wildcards[name]; !is {
				wildcards[name] = allowed
			}
			if entry := c.newlyDeniesBelow(name); entry != "" {
				found = append(found, allowedByNameRefusal(entry, allowed.text, allowed))
			}
		default:
			if entry := c.newlyDenies(name); entry != "" {
				found = append(found, allowedByNameRefusal(entry, allowed.text, allowed))
			}
		}
	}
	// An entry below a wildcard denies a part of what the wildcard allows.
	var belowWildcards []Refusal
	for entry := range c.added() {
		name := strings.TrimPrefix(entry, "*.")
		if strings.Contains(name, "@") || len(wildcards) == 0 {
			continue
		}
		for parent := range parents(name) {
			if allowed, is := wildcards[parent]; is && !deniesName(c.oldList, name) {
				belowWildcards = append(belowWildcards, allowedByNameRefusal(entry, allowed.text, allowed))
				break
			}
		}
	}
	slices.SortFunc(belowWildcards, func(a, b Refusal) int { return strings.Compare(a.Entry, b.Entry) })
	return append(found, belowWildcards...)
}

func allowedByNameRefusal(entry, affected string, allowed allowedEntry) Refusal {
	shown := withoutLocalPart(entry)
	return Refusal{
		Kind: AllowedByName, Entry: shown, Affects: affected, Policy: allowed.policy, Path: allowed.path,
		Text: fmt.Sprintf("%s denies %s, which %s allows by name (%s)", shown, affected, allowed.policy, allowed.path),
	}
}

func deniesProvider(entry, provider string) string {
	if entry == provider {
		return fmt.Sprintf("%s is %s", entry, providerKind(provider))
	}
	return fmt.Sprintf("%s denies %s, %s", entry, provider, providerKind(provider))
}

// deniesProviders finds mailbox providers and privacy relays that the new content would deny.
func (c *change) deniesProviders() []Refusal {
	var found []Refusal
	for _, provider := range c.providers {
		if entry := c.newlyDenies(provider); entry != "" {
			found = append(found, Refusal{
				Kind: MailboxProvider, Entry: entry, Affects: provider,
				Text: deniesProvider(entry, provider),
			})
		}
	}
	return found
}

// allowsProviders finds mailbox providers that the new content would allow.
func (c *change) allowsProviders() []Refusal {
	var found []Refusal
	for _, provider := range c.providers {
		for _, entry := range []string{provider, "*." + provider} {
			if c.newlyHas(entry) {
				found = append(found, Refusal{
					Kind: MailboxProvider, Entry: entry, Affects: provider,
					Text: fmt.Sprintf("%s allows %s: anybody can get an address there", entry, providerKind(provider)),
				})
			}
		}
	}
	return found
}

// providerKind returns "a mailbox provider" or "a privacy relay".
func providerKind(provider string) string {
	if domain, err := rules.ParseDomain(provider); err == nil {
		if kind, is := lint.MailboxProvider(domain); is {
			return "a " + kind
		}
	}
	return "a mailbox provider"
}

// suffixes returns a refusal with the text for each added entry whose line find returns. In a list that allows, such an
// entry has no effect, but its author expects one, or somebody tampered with the list.
func (c *change) suffixes(find func(*rules.List) (int, []int), text string) []Refusal {
	added := slices.Sorted(c.added())
	count, lines := find(rules.CompileList([]byte(strings.Join(added, "\n"))))
	var found []Refusal
	for _, line := range lines {
		entry := withoutLocalPart(added[line-1])
		found = append(found, Refusal{Kind: PublicSuffix, Entry: entry, Text: entry + text})
	}
	if more := count - len(lines); more > 0 {
		found = append(found, Refusal{Kind: PublicSuffix, Text: fmt.Sprintf("and %d more of this kind", more)})
	}
	return found
}

// deniesBelowProviders finds names below mailbox providers and addresses at them. It ignores addresses if the old
// content had any, such as in a list of persons. In a list of domains they are a mistake or an attack.
func (c *change) deniesBelowProviders() []Refusal {
	var found []Refusal
	addresses := map[string]int{} // by provider
	for entry := range c.added() {
		local, domain, isAddress := strings.Cut(entry, "@")
		if isAddress {
			if local != "" && slices.Contains(c.providers, domain) && !hasAddresses(c.oldList) {
				addresses[domain]++
			}
			continue
		}
		for parent := range parents(strings.Replace(entry, "*.", "x.", 1)) {
			if parent != entry && slices.Contains(c.providers, parent) {
				found = append(found, Refusal{
					Kind: MailboxProvider, Entry: entry, Affects: parent,
					Text: fmt.Sprintf("%s denies names below %s, %s", entry, parent, providerKind(parent)),
				})
				break
			}
		}
	}
	for domain, count := range addresses {
		words := "an address"
		if count > 1 {
			words = fmt.Sprintf("%d addresses", count)
		}
		found = append(found, Refusal{
			Kind: MailboxProvider, Entry: "@" + domain, Affects: domain,
			Text: fmt.Sprintf("%s at %s, %s, in a list that had no addresses: these persons would be denied",
				words, domain, providerKind(domain)),
		})
	}
	slices.SortFunc(found, func(a, b Refusal) int { return strings.Compare(a.Text, b.Text) })
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

// changesTooMuch returns a refusal if added and removed entries together are more than maxChange percent of the old
// content.
func (c *change) changesTooMuch() []Refusal {
	if c.oldList == nil || c.oldList.Entries() == 0 {
		return nil
	}
	added, removed := c.countChanges()
	percent := 100 * float64(added+removed) / float64(c.oldList.Entries())
	if percent <= c.maxChange {
		return nil
	}
	text := fmt.Sprintf("%d added and %d removed, of %s: %.1f %%, more than --max-change allows (%g %%)",
		added, removed, entries(c.oldList.Entries()), percent, c.maxChange)
	if added > 0 {
		text += "; added: " + firstEntries(c.added(), added)
	}
	if removed > 0 {
		text += "; removed: " + firstEntries(entriesNotIn(c.oldList, c.newList), removed)
	}
	return []Refusal{{Kind: TooMuchChange, Text: text}}
}

// firstEntries lists the first entries by name, and counts the rest.
func firstEntries(entries iter.Seq[string], count int) string {
	names := slices.Compact(slices.Sorted(func(yield func(string) bool) {
		for entry := range entries {
			if !yield(withoutLocalPart(entry)) {
				return
			}
		}
	}))
	if len(names) <= maxReported {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:maxReported], ", ") + fmt.Sprintf(" and %d more", max(count, len(names))-maxReported)
}

// countChanges returns the numbers of added and removed entries.
func (c *change) countChanges() (added, removed int) {
	for range c.added() {
		added++
	}
	for range entriesNotIn(c.oldList, c.newList) {
		removed++
	}
	return added, removed
}

// added yields the entries that the old content does not have.
func (c *change) added() iter.Seq[string] { return entriesNotIn(c.newList, c.oldList) }

// entriesNotIn yields the entries of list that other does not have. Either may be nil.
func entriesNotIn(list, other *rules.List) iter.Seq[string] {
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

// newlyHas reports whether only the new content has an entry.
func (c *change) newlyHas(entry string) bool {
	return c.newList.Has(entry) && (c.oldList == nil || !c.oldList.Has(entry))
}

// newlyDenies returns the entry by which the new content denies a name, or "" if it does not, or the old content did
// too.
func (c *change) newlyDenies(name string) string {
	if !deniesName(c.newList, name) || deniesName(c.oldList, name) {
		return ""
	}
	return c.denyingEntry(name)
}

// newlyDeniesBelow is newlyDenies for all names below a name.
func (c *change) newlyDeniesBelow(name string) string {
	if !deniesBelow(c.newList, name) || deniesBelow(c.oldList, name) {
		return ""
	}
	if wildcard := "*." + name; c.newList.Has(wildcard) {
		return wildcard
	}
	return c.denyingEntry(name)
}

// denyingEntry returns the entry of the new content that denies a name.
func (c *change) denyingEntry(name string) string {
	if c.newList.Has(name) {
		return name
	}
	for parent := range parents(name) {
		for _, entry := range []string{parent, "*." + parent} {
			if c.newList.Has(entry) {
				return entry
			}
		}
	}
	return name
}

// deniesName reports whether a list denies a name.
func deniesName(list *rules.List, name string) bool {
	if list == nil {
		return false
	}
	if domain, err := rules.ParseDomain(name); err == nil {
		return list.Denies(domain)
	}
	return list.Has(name) // one label, such as a public suffix in a policy: not a domain that an address can have
}

// deniesBelow reports whether a list denies all names below a name.
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

// withoutLocalPart removes the local part of an address. It returns any other entry unchanged.
func withoutLocalPart(entry string) string {
	if _, domain, isAddress := strings.Cut(entry, "@"); isAddress {
		return "@" + domain
	}
	return entry
}

// isHTML reports whether a text looks like an HTML page. Many sites send one if a list has moved or needs a sign-in.
func isHTML(text []byte) bool {
	begin := strings.ToLower(strings.TrimLeft(string(text[:min(len(text), htmlPrefixBytes)]), " \t\r\n\ufeff"))
	return strings.HasPrefix(begin, "<!doctype html") || strings.HasPrefix(begin, "<html") || strings.HasPrefix(begin, "<head")
}
