// Package suffix reports whether anyone can register names under a given name. This holds for public suffixes, and for
// names with public suffixes below them. The package takes names in canonical form only.
package suffix

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

//go:generate go run ../gen/suffixparents

// shared are domains of products whose customers each get a sub-domain or addresses there, and which the public suffix
// list lacks. Sources: the products' own pages on tenant domains. Sorted.
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

// IsShared reports whether a name is a domain below which a product gives names to its customers, and which is not on
// the public suffix list.
func IsShared(name string) bool { return slices.Contains(shared, name) }

// IsPublic reports whether anyone can register under a name: a public suffix, also of the list's private section, any
// top-level domain that is not on the list, or a name for which [IsShared] is true.
func IsPublic(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	return suffix == name || IsShared(name)
}

// IsUnlistedTLD reports whether a name has one label and is not on the public suffix list.
func IsUnlistedTLD(name string) bool {
	_, listed := publicsuffix.PublicSuffix(name)
	return !listed && !strings.Contains(name, ".")
}

// IsRegistry reports whether a registry of domains sells or gives out the names below a name. It is true for a
// top-level domain and for a public suffix of a registry, such as com.ar or ac.uk. It is also true for a name such as
// kawasaki.jp, because every name directly below it is a public suffix of a registry.
//
// A deny of such a name denies a whole country or sector. Public suffixes of companies, such as github.io or a dynamic
// DNS, are not included: lists of disposable domains deny them on purpose.
func IsRegistry(name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	if suffix, ofRegistry := publicsuffix.PublicSuffix(name); suffix == name {
		return ofRegistry
	}
	return registryParents()[name]
}

// registryParents are names such as kawasaki.jp, for which the public suffix list has *.kawasaki.jp: the name itself is
// not a public suffix, but each name directly below it is a public suffix of a registry.
var registryParents = sync.OnceValue(func() map[string]bool {
	parents := map[string]bool{}
	for _, name := range suffixParents {
		if suffix, ofRegistry := publicsuffix.PublicSuffix("x." + name); ofRegistry && suffix == "x."+name {
			parents[name] = true
		}
	}
	return parents
})

// CoversPublic reports whether there is a public suffix below a name, or a name for which [IsShared] is true. Call it
// only for a name that is not a public suffix itself.
func CoversPublic(name string) bool {
	if _, found := slices.BinarySearch(suffixParents, name); found {
		return true
	}
	return slices.ContainsFunc(shared, func(s string) bool { return strings.HasSuffix(s, "."+name) })
}

// Registrable returns the part of a name that somebody registered: the public suffix and the label before it, such as
// acme.co.uk for mail.acme.co.uk. It returns "" for a public suffix.
func Registrable(name string) string {
	suffix := sharedSuffixOf(name)
	if suffix == "" {
		suffix, _ = publicsuffix.PublicSuffix(name)
	}
	labels, below := strings.CutSuffix(name, "."+suffix)
	if !below {
		return ""
	}
	return name[strings.LastIndexByte(labels, '.')+1:]
}

func sharedSuffixOf(name string) string {
	for _, suffix := range shared {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return suffix
		}
	}
	return ""
}
