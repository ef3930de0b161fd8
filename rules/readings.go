package rules

import "iter"

// Reading is one domain or address that an entry in force can mean. An allow entry has one reading. A deny entry may
// have several: an internationalized domain can be two names, by IDNA 2003 and by IDNA 2008.
type Reading struct {
	Entry
	// Self: the entry matches the domain itself, or the address. Below: the entry matches the names below the domain.
	Self, Below bool
	// Denies: the entry denies what it matches. Otherwise it allows it.
	Denies bool
	// Precedence orders the entries of one policy that match an address: the lowest gives the policy's verdict.
	Precedence int

	key []byte
}

// Key returns the canonical domain, "" for the entry "*", or the canonical address, in which A–Z of the local part are
// lower case. The caller must not log the key of an address, since it holds a local part.
func (r *Reading) Key() string { return string(r.key) }

// Readings yields the readings of the entries that stand in the policy itself, not in a list: addresses before domains,
// and all readings of one entry in a row. A policy that is not enforceable has no readings.
func (c *Compiled) Readings() iter.Seq[Reading] {
	return func(yield func(Reading) bool) {
		for rule := range c.rules.all {
			precedence := rule.traits.precedence()
			reading := Reading{
				Entry: rule.entry(), Self: rule.traits&matchesSelf != 0, Below: rule.traits&matchesBelow != 0,
				Denies: precedence.denies(), Precedence: int(precedence), key: rule.key,
			}
			if !yield(reading) {
				return
			}
		}
	}
}

// Profile returns the policy's profile attributes with their canonical values, sorted by name. The value is "" for an
// attribute that Okta never gets, because its value is not valid or the policy gives it several values. The caller must
// not change the result.
func (c *Compiled) Profile() []ProfileAttribute { return c.profile }

// ListInForce is a list that an enforceable policy uses.
type ListInForce struct {
	// Entry names the list in the policy, and List is what it was compiled to.
	Entry
	List *List
	// Denies and Precedence are as in [Reading].
	Denies     bool
	Precedence int
}

// ListsInForce yields the lists that the policy uses. Missing and unusable ones are not included.
func (c *Compiled) ListsInForce() iter.Seq[ListInForce] {
	return func(yield func(ListInForce) bool) {
		for _, rule := range c.lists {
			if !yield(ListInForce{rule.entry, rule.list, rule.precedence.denies(), int(rule.precedence)}) {
				return
			}
		}
	}
}

// AppliesTo returns the request types and the sources that the policy applies to. No sources means every source.
func (c *Compiled) AppliesTo() (requests []RequestType, sources []string) {
	if c.requests&signUps != 0 {
		requests = append(requests, SelfServiceRegistration)
	}
	if c.requests&profileUpdates != 0 {
		requests = append(requests, ProgressiveProfile)
	}
	return requests, c.sources
}

// Mode returns the mode of the policy.
func (c *Compiled) Mode() Mode { return c.mode }

// HasAllow reports whether the policy has an entry that allows, in force or not. If it is the only such policy in
// mode Enforce that applies to a call, a person whose address no policy allows gets its message.
func (c *Compiled) HasAllow() bool { return c.hasAllow }

// Message returns the policy's text for a person whose call it denies; "" means the built-in text.
func (c *Compiled) Message() string { return c.message }
