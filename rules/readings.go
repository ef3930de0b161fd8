package rules

import "iter"

// Reading is one domain or address that an entry in force can mean. An allow entry has one reading. A deny entry may
// have several: an internationalized domain can be two names, by IDNA 2003 and by IDNA 2008.
type Reading struct {
	Entry
	// Self: the entry matches the domain itself, or the address. Below: the entry matches the names below the domain.
	Self, Below bool

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
			if !yield(Reading{rule.entry(), rule.traits&matchesSelf != 0, rule.traits&matchesBelow != 0, rule.key}) {
				return
			}
		}
	}
}

// Profile returns the policy's profile attributes with their canonical values, sorted by name. The value is "" for an
// attribute that Okta never gets, because its value is not valid or it has several values. The caller must not change
// the result.
func (c *Compiled) Profile() []ProfileAttribute { return c.profile }
