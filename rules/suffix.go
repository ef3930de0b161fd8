package rules

import (
	"slices"
	"strings"

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

// coversPublicSuffix tells names below which a public suffix lies.
func coversPublicSuffix(name string) bool {
	if _, found := slices.BinarySearch(suffixParents, name); found {
		return true
	}
	return slices.ContainsFunc(sharedSuffixes, func(s string) bool { return strings.HasSuffix(s, "."+name) })
}
