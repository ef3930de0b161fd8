package rules

import "iter"

// Reading is one domain or address that an entry in force can be read as. An allow entry has one reading; a deny entry
// may have several.
type Reading struct {
	Entry
	// Self and Below say what the entry matches of a domain: the name itself, and the names below. For an address, Self
	// is set.
	Self, Below bool

	key []byte
}

// Key returns the canonical domain, "" for the entry "*", or the form of the address by which addresses are compared.
// The latter holds a local part.
func (r *Reading) Key() string { return string(r.key) }

// Readings yields the readings of the policy's own entries: those of addresses first, all of one entry in a row. The
// entries of lists are not included. A policy that is not enforceable has none.
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
// attribute that is never sent, because it has an unusable value or several values. The result must not be changed.
func (c *Compiled) Profile() []ProfileAttribute { return c.profile }
