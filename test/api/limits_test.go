package api

import (
	"fmt"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// For each limit, an object at the limit is admitted. An object that is one over it is refused, with an error that
// names the field.
func TestLimits(t *testing.T) {
	type spec = v1alpha1.RegistrationPolicySpec
	label := strings.Repeat("a", 63)
	cases := map[string]struct {
		limit  int
		fill   func(*spec, int)
		refuse string
	}{
		"entries in allow.domains": {
			1000, func(s *spec, n int) { s.Allow.Domains = numbered[v1alpha1.AllowDomain](n, "d%d.example") },
			"spec.allow.domains: Too many",
		},
		"entries in allow.publicSuffixes": {
			1000, func(s *spec, n int) { s.Allow.PublicSuffixes = numbered[v1alpha1.AllowDomain](n, "*.d%d.example") },
			"spec.allow.publicSuffixes: Too many",
		},
		"entries in allow.addresses": {
			1000, func(s *spec, n int) { s.Allow.Addresses = numbered[v1alpha1.MailAddress](n, "u%d@acme.com") },
			"spec.allow.addresses: Too many",
		},
		"entries in deny.domains": {
			1000, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Domains: numbered[v1alpha1.DenyDomain](n, "d%d.example")}
			},
			"spec.deny.domains: Too many",
		},
		"entries in deny.addresses": {
			1000, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Addresses: numbered[v1alpha1.MailAddress](n, "u%d@acme.com")}
			},
			"spec.deny.addresses: Too many",
		},
		"lists in allow": {
			20, func(s *spec, n int) { s.Allow.Lists = make([]v1alpha1.ListReference, n); nameAll(s.Allow.Lists) },
			"spec.allow.lists: Too many",
		},
		"lists in deny": {
			20, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Lists: make([]v1alpha1.ListReference, n)}
				nameAll(s.Deny.Lists)
			},
			"spec.deny.lists: Too many",
		},
		"characters of the name of a list": {
			253, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Lists: []v1alpha1.ListReference{
					{ConfigMap: v1alpha1.ConfigMapList{Name: v1alpha1.ObjectName(strings.Repeat("a", n))}},
				}}
			},
			"spec.deny.lists[0].configMap.name: Too long",
		},
		"characters of the name of a reference to a list": {
			63, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Lists: []v1alpha1.ListReference{
					{Name: v1alpha1.ListReferenceName(strings.Repeat("a", n)), ConfigMap: v1alpha1.ConfigMapList{Name: "list"}},
				}}
			},
			"spec.deny.lists[0].name: Too long",
		},
		"sources": {
			50, func(s *spec, n int) {
				s.AppliesTo = &v1alpha1.AppliesTo{Sources: numbered[v1alpha1.Source](n, "rul%d")}
			},
			"spec.appliesTo.sources: Too many",
		},
		"characters of a source": {
			64, func(s *spec, n int) {
				s.AppliesTo = &v1alpha1.AppliesTo{Sources: []v1alpha1.Source{v1alpha1.Source(strings.Repeat("a", n))}}
			},
			"spec.appliesTo.sources[0]: Too long",
		},
		"profile attributes": {
			50, func(s *spec, n int) {
				for _, name := range numbered[v1alpha1.AttributeName](n, "a%d") {
					s.Profile = append(s.Profile, v1alpha1.ProfileAttribute{Attribute: name, Value: value(t, true)})
				}
			},
			"spec.profile: Too many",
		},
		"characters of an attribute's name": {
			59, func(s *spec, n int) {
				s.Profile = []v1alpha1.ProfileAttribute{
					{Attribute: v1alpha1.AttributeName(strings.Repeat("a", n)), Value: value(t, true)},
				}
			},
			"spec.profile[0].attribute: Too long",
		},
		"characters of a value": {
			1000, func(s *spec, n int) {
				s.Profile = []v1alpha1.ProfileAttribute{{Attribute: "a", Value: value(t, strings.Repeat("ä", n))}}
			},
			"spec.profile[0].value: Too long",
		},
		"strings in a value": {
			100, func(s *spec, n int) {
				s.Profile = []v1alpha1.ProfileAttribute{{Attribute: "a", Value: value(t, make([]string, n))}}
			},
			"spec.profile[0].value: Too many",
		},
		"characters of a string in a value": {
			1000, func(s *spec, n int) {
				s.Profile = []v1alpha1.ProfileAttribute{{Attribute: "a", Value: value(t, []string{strings.Repeat("a", n)})}}
			},
			"spec.profile[0].value[0]: Too long",
		},
		"characters of the message": {
			300, func(s *spec, n int) { s.Message = v1alpha1.Message(strings.Repeat("ä", n)) },
			"spec.message: Too long",
		},
		"characters of an allowed domain": {
			253, func(s *spec, n int) { s.Allow.Domains = []v1alpha1.AllowDomain{v1alpha1.AllowDomain(domain(n))} },
			"spec.allow.domains[0]: Too long",
		},
		"characters of a denied domain": {
			253, func(s *spec, n int) {
				s.Deny = &v1alpha1.Deny{Domains: []v1alpha1.DenyDomain{v1alpha1.DenyDomain(domain(n))}}
			},
			"spec.deny.domains[0]: Too long",
		},
		"characters of an address": {
			254, func(s *spec, n int) {
				s.Allow.Addresses = []v1alpha1.MailAddress{v1alpha1.MailAddress("jo@" + domain(n-len("jo@")))}
			},
			"spec.allow.addresses[0]: Too long",
		},
		"characters of a label": {
			63, func(s *spec, n int) {
				s.Allow.Domains = []v1alpha1.AllowDomain{v1alpha1.AllowDomain(label[:63] + strings.Repeat("a", n-63) + ".com")}
			},
			"spec.allow.domains[0]: Invalid value",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			at := policy("limit", "acme.com")
			c.fill(&at.Spec, c.limit)
			if err := create(t, kube, at); err != nil {
				t.Errorf("at the limit of %d: %v", c.limit, err)
			}
			over := policy("limit-over", "acme.com")
			c.fill(&over.Spec, c.limit+1)
			err := create(t, kube, over)
			if err == nil || !strings.Contains(err.Error(), c.refuse) {
				t.Errorf("at %d, one over the limit: %v, want %q", c.limit+1, err, c.refuse)
			}
		})
	}
}

// The API server limits the total cost of an object's CEL rules. The largest policy that the documented limits allow
// must stay below that. Otherwise it could not be stored.
func TestTheLargestPolicyFitsTheRulesBudget(t *testing.T) {
	const entries = 1000
	largest := policy("largest", "acme.com")
	tail := domain(240)
	largest.Spec.Allow = &v1alpha1.Allow{
		Domains:        numbered[v1alpha1.AllowDomain](entries, "a%04d."+tail),
		PublicSuffixes: numbered[v1alpha1.AllowDomain](entries, "s%04d."+tail),
		Addresses:      numbered[v1alpha1.MailAddress](entries, "a%04d@"+tail),
	}
	largest.Spec.Deny = &v1alpha1.Deny{
		Domains:   numbered[v1alpha1.DenyDomain](entries, "d%04d."+tail),
		Addresses: numbered[v1alpha1.MailAddress](entries, "d%04d@"+tail),
	}
	if err := create(t, kube, largest); err != nil {
		t.Errorf("%.500s", err.Error())
	}
}

// policy returns a policy that allows the domains.
func policy(name string, domains ...v1alpha1.AllowDomain) *v1alpha1.RegistrationPolicy {
	policy := &v1alpha1.RegistrationPolicy{}
	policy.Namespace, policy.Name = namespace, name
	policy.Spec.Allow = &v1alpha1.Allow{Domains: domains}
	return policy
}

// numbered returns n different strings of a format.
func numbered[T ~string](n int, format string) []T {
	all := make([]T, n)
	for i := range all {
		all[i] = T(fmt.Sprintf(format, i))
	}
	return all
}

// domain returns a domain of n characters.
func domain(n int) string {
	const label = "abcdefghi."
	name := strings.Repeat(label, n/len(label)+1)[:n]
	return name[:n-1] + "x" // so that it does not end in a dot
}

func value[T string | bool | int | int64 | float64 | []string](t *testing.T, v T) v1alpha1.JSONValue {
	t.Helper()
	value, err := v1alpha1.NewJSONValue(v)
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func nameAll(lists []v1alpha1.ListReference) {
	for i := range lists {
		lists[i].Name, lists[i].ConfigMap.Name = v1alpha1.ListReferenceName(fmt.Sprintf("list%d", i)), "list"
	}
}
