package suffix_test

import (
	"testing"

	"registrationpolicy.dev/operator/rules/internal/suffix"
)

func TestKindsOfNames(t *testing.T) {
	type kinds struct{ public, shared, unlisted, registry, coversPublic bool }
	for sentence, test := range map[string]struct {
		name string
		want kinds
	}{
		"a top-level domain":                         {"com", kinds{public: true, registry: true}},
		"a top-level domain that is not on the list": {"globex", kinds{public: true, unlisted: true, registry: true}},
		"a name below a top-level domain not listed": {"acme.globex", kinds{}},
		"a suffix of a country":                      {"co.uk", kinds{public: true, registry: true}},
		"a name below which a registry has suffixes": {"kawasaki.jp", kinds{registry: true, coversPublic: true}},
		"a suffix of a company":                      {"github.io", kinds{public: true}},
		"a name below which a company has suffixes":  {"compute.amazonaws.com", kinds{coversPublic: true}},
		"a company with suffixes of its own":         {"amazonaws.com", kinds{coversPublic: true}},
		"a product with names for its customers":     {"onmicrosoft.com", kinds{public: true, shared: true}},
		"a company with such a product":              {"salesforce.com", kinds{coversPublic: true}},
		"a name that only ends like a product's":     {"notzendesk.com", kinds{}},
		"a customer's name":                          {"acme.onmicrosoft.com", kinds{}},
		"a domain":                                   {"acme.com", kinds{}},
		"a domain below a country's suffix":          {"acme.co.uk", kinds{}},
	} {
		got := kinds{
			suffix.IsPublic(test.name), suffix.IsShared(test.name), suffix.IsUnlistedTLD(test.name), suffix.IsRegistry(test.name), false,
		}
		if !got.public {
			got.coversPublic = suffix.CoversPublic(test.name)
		}
		if got != test.want {
			t.Errorf("%s: %s is %+v, want %+v", sentence, test.name, got, test.want)
		}
	}
}

func TestTheRegistrablePartOfAName(t *testing.T) {
	for name, want := range map[string]string{
		"acme.com":               "acme.com",
		"a.b.acme.com":           "acme.com",
		"mail.acme.co.uk":        "acme.co.uk",
		"acme.globex":            "acme.globex",
		"mail.acme.zendesk.com":  "acme.zendesk.com",
		"acme.my.salesforce.com": "acme.my.salesforce.com",
		"mail.notzendesk.com":    "notzendesk.com",
		"com":                    "",
		"co.uk":                  "",
		"globex":                 "",
		"zendesk.com":            "",
	} {
		if got := suffix.Registrable(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}
