package rules

import (
	"slices"
	"strings"
	"sync"

	"golang.org/x/net/publicsuffix"
)

// sharedSuffixes are names under which strangers get sub-domains, or addresses, and which the public suffix list lacks.
// Sources: the products' own pages on tenant domains. Sorted.
var sharedSuffixes = []string{
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

// isPublicSuffix tells names under which strangers can register: the public suffix list, its private section and its
// default rule (an unlisted top-level domain is one) included, and sharedSuffixes. name is canonical.
func isPublicSuffix(name string) bool {
	suffix, _ := publicsuffix.PublicSuffix(name)
	return suffix == name || slices.Contains(sharedSuffixes, name)
}

// isRegistrySuffix tells the suffixes of registries: a top-level domain, com.ar, ac.uk, and the names of which everything below is one
// (kawasaki.jp). Who denies it denies a country, or a whole sector of it. Those of companies, such as github.io or
// a dynamic DNS, are not among them: lists deny them on purpose. name is canonical.
func isRegistrySuffix(name string) bool {
	if !strings.Contains(name, ".") {
		return true
	}
	if suffix, ofRegistry := publicsuffix.PublicSuffix(name); suffix == name {
		return ofRegistry
	}
	return registryParents()[name]
}

// registryParents are the names that are no public suffix while everything right below is one of a registry.
var registryParents = sync.OnceValue(func() map[string]bool {
	parents := map[string]bool{}
	for _, name := range suffixParents {
		if suffix, ofRegistry := publicsuffix.PublicSuffix("x." + name); ofRegistry && suffix == "x."+name {
			parents[name] = true
		}
	}
	return parents
})

// coversPublicSuffix tells names below which a public suffix lies.
func coversPublicSuffix(name string) bool {
	if _, found := slices.BinarySearch(suffixParents, name); found {
		return true
	}
	return slices.ContainsFunc(sharedSuffixes, func(s string) bool { return strings.HasSuffix(s, "."+name) })
}
