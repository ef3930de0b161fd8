// Package suffix knows the names under which anyone can register: public suffixes, and names that cover some.
// All names are canonical.
package suffix

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

//go:generate go run ../gen/suffixparents

// shared are names under which anyone gets sub-domains or addresses, and which the public suffix list lacks.
// Sources: the products' own pages on tenant domains. Sorted.
var shared = []string{
	"atlassian.net",
	"freshdesk.com",
	"helpscoutapp.com",
	"intercom-mail.com",
	"mailgun.org",
	"mcsv.net",
	"my.salesforce.com",
	"onmicrosoft.com",
	"onmicrosoft.us",
	"sendgrid.net",
	"sharepoint.com",
	"zendesk.com",
}

// IsShared reports whether a name belongs to a product whose tenants get names below it, and is not on the public
// suffix list.
func IsShared(name string) bool { return slices.Contains(shared, name) }

// IsPublic reports whether anyone can register under a name: one of the public suffix list, with its private section
// and its default rule (an unlisted top-level domain is one), or one of [IsShared].
func IsPublic(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	return suffix == name || IsShared(name)
}

// IsUnlistedTLD reports whether a name has one label and is not on the public suffix list.
func IsUnlistedTLD(name string) bool {
	_, listed := publicsuffix.PublicSuffix(name)
	return !listed && !strings.Contains(name, ".")
}

// IsRegistry reports whether a name is the suffix of a registry: a top-level domain, com.ar, ac.uk, or a name of which
// everything below is one (kawasaki.jp). A deny of it denies a country or a whole sector of it. Suffixes of companies,
// such as github.io or a dynamic DNS, are not included: lists deny them on purpose.
func IsRegistry(name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	if suffix, ofRegistry := publicsuffix.PublicSuffix(name); suffix == name {
		return ofRegistry
	}
	return registryParents()[name]
}

// registryParents are the names that are no public suffix, but everything directly below is one of a registry.
var registryParents = sync.OnceValue(func() map[string]bool {
	parents := map[string]bool{}
	for _, name := range suffixParents {
		if suffix, ofRegistry := publicsuffix.PublicSuffix("x." + name); ofRegistry && suffix == "x."+name {
			parents[name] = true
		}
	}
	return parents
})

// CoversPublic reports whether there is a public suffix below a name.
func CoversPublic(name string) bool {
	if _, found := slices.BinarySearch(suffixParents, name); found {
		return true
	}
	return slices.ContainsFunc(shared, func(s string) bool { return strings.HasSuffix(s, "."+name) })
}

// Registrable returns the part of a name that somebody registered: the public suffix and one label. It is "" for a
// public suffix.
func Registrable(name string) string {
	suffix := sharedSuffixOf(name)
	if suffix == "" {
		suffix, _ = publicsuffix.PublicSuffix(name)
	}
	rest := len(name) - len(suffix) - len(".")
	if rest <= 0 {
		return ""
	}
	return name[strings.LastIndexByte(name[:rest], '.')+1:]
}

func sharedSuffixOf(name string) string {
	for _, suffix := range shared {
		if strings.HasSuffix(name, suffix) && (len(name) == len(suffix) || name[len(name)-len(suffix)-1] == '.') {
			return suffix
		}
	}
	return ""
}
