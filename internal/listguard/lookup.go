package listguard

import (
	"iter"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

// newlyHas reports whether only the new content has an entry.
func (c *Change) newlyHas(entry string) bool {
	return c.New.Has(entry) && (c.Old == nil || !c.Old.Has(entry))
}

// newlyDenies returns the entry by which the new content denies a name. It returns "" if the new content does not deny
// the name, or the old content denies it too.
func (c *Change) newlyDenies(name string) string {
	if !deniesName(c.New, name) || deniesName(c.Old, name) {
		return ""
	}
	return c.denyingEntry(name)
}

// newlyDeniesBelow returns the entry by which the new content denies all names below a name. It returns "" if the new
// content does not deny all of them, or the old content denies them all too.
func (c *Change) newlyDeniesBelow(name string) string {
	if !deniesBelow(c.New, name) || deniesBelow(c.Old, name) {
		return ""
	}
	if wildcard := "*." + name; c.New.Has(wildcard) {
		return wildcard
	}
	return c.denyingEntry(name)
}

// denyingEntry returns the entry of the new content that denies a name.
func (c *Change) denyingEntry(name string) string {
	if c.New.Has(name) {
		return name
	}
	for parent := range parents(name) {
		for _, entry := range []string{parent, "*." + parent} {
			if c.New.Has(entry) {
				return entry
			}
		}
	}
	return name
}

// deniesName reports whether a list, which may be nil, denies a name.
func deniesName(list *rules.List, name string) bool {
	if list == nil {
		return false
	}
	if domain, err := rules.ParseDomain(name); err == nil {
		return list.Denies(domain)
	}
	// An entry of a policy may be a single label such as com, which ParseDomain refuses. Such a name has no parents
	// whose entries could deny it, so only an equal entry of the list does.
	return list.Has(name)
}

// deniesBelow reports whether a list, which may be nil, denies all names below a name.
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
