package listguard

import (
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// deniesProviderText returns the text of a refusal of an entry that denies a provider.
func deniesProviderText(entry, provider string) string {
	if entry == provider {
		return fmt.Sprintf("%s is %s", entry, providerKind(provider))
	}
	return fmt.Sprintf("%s denies %s, %s", entry, provider, providerKind(provider))
}

// deniesProviders finds mailbox providers and privacy relays that the new content would deny.
func (c *Change) deniesProviders() []Refusal {
	var found []Refusal
	for _, provider := range lint.MailboxProviders() {
		if entry := c.newlyDenies(provider); entry != "" {
			found = append(found, Refusal{
				Kind: MailboxProvider, Entry: entry, Affects: provider,
				Text: deniesProviderText(entry, provider),
			})
		}
	}
	return found
}

// allowsProviders finds mailbox providers that the new content would allow.
func (c *Change) allowsProviders() []Refusal {
	var found []Refusal
	for _, provider := range lint.MailboxProviders() {
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

// deniesBelowProviders finds names below mailbox providers, and addresses at providers, that the new content would
// deny. If the old content has addresses, it is a list of persons, and new addresses are normal. In a list of domains
// they are a mistake or an attack.
func (c *Change) deniesBelowProviders() []Refusal {
	var found []Refusal
	providers := map[string]bool{}
	for _, provider := range lint.MailboxProviders() {
		providers[provider] = true
	}
	personal := hasAddresses(c.Old)
	addresses := map[string]int{} // the number of added addresses, by provider
	for entry := range c.added() {
		local, domain, isAddress := strings.Cut(entry, "@")
		if isAddress {
			if local != "" && providers[domain] && !personal {
				addresses[domain]++
			}
			continue
		}
		for parent := range parents(strings.Replace(entry, "*.", "x.", 1)) { // x stands for any name that the wildcard matches
			if parent != entry && providers[parent] {
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

// hasAddresses reports whether a list has a whole address. The list may be nil.
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
