package policies

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/api/v1alpha1"
)

// The values in random policies. Calls use the same values, so that each change of a policy affects some calls.
var (
	domains   = []string{"alpha.example", "beta.example", "gamma.example", "delta.example", "sub.alpha.example", "deep.sub.beta.example"}
	people    = []string{"jo", "mia", "eve"}
	listNames = []string{"list-a", "list-b"}
)

// allowList and denyList are indexes in listNames: policies allow the entries of the first list, and deny those of the
// second.
const allowList, denyList = 0, 1

func pick[T any](chance *rand.Rand, from []T) T { return from[chance.IntN(len(from))] }

// pickSome returns between one and limit random elements, without repetition.
func pickSome[T any](chance *rand.Rand, from []T, limit int) []T {
	shuffled := slices.Clone(from)
	chance.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
	return shuffled[:1+chance.IntN(min(limit, len(shuffled)))]
}

// randomSpec returns a spec that is unique in its namespace, because its message has the number. If scope is not nil,
// most specs name exactly the Okta sources in it. A few name no sources: the operator restricts them to the scope, and
// sets Accepted to False.
func randomSpec(chance *rand.Rand, scope []string, bothLists bool, number int) v1alpha1.RegistrationPolicySpec {
	one := func(in int) bool { return chance.IntN(in) == 0 }
	spec := v1alpha1.RegistrationPolicySpec{Mode: v1alpha1.ModeEnforce, Message: v1alpha1.Message(fmt.Sprintf("Change %d.", number))}
	if one(8) {
		spec.Mode = v1alpha1.ModeAudit
	}
	switch {
	case scope == nil && one(3):
		spec.AppliesTo = &v1alpha1.AppliesTo{Sources: sourcesOf(pickSome(chance, ownSources, 2))}
	case scope != nil && !one(8):
		spec.AppliesTo = &v1alpha1.AppliesTo{Sources: sourcesOf(scope)}
	}
	allow, deny := &v1alpha1.Allow{}, &v1alpha1.Deny{}
	for _, domain := range pickSome(chance, domains, 3) {
		if one(4) {
			domain = "*." + domain
		}
		allow.Domains = append(allow.Domains, v1alpha1.AllowDomain(domain))
	}
	if one(10) {
		allow.Domains = append(allow.Domains, "*")
	}
	if one(3) {
		allow.Addresses = append(allow.Addresses, v1alpha1.MailAddress(pick(chance, people)+"@"+pick(chance, domains)))
	}
	if one(3) {
		deny.Domains = append(deny.Domains, v1alpha1.DenyDomain(pick(chance, domains)))
	}
	if one(3) {
		deny.Addresses = append(deny.Addresses, v1alpha1.MailAddress(pick(chance, people)+"@"+pick(chance, domains)))
	}
	if bothLists || one(4) {
		allow.Lists = append(allow.Lists, listReference(listNames[allowList], false))
	}
	if bothLists || one(6) {
		deny.Lists = append(deny.Lists, listReference(listNames[denyList], !one(4)))
	}
	spec.Allow = allow
	if len(deny.Domains)+len(deny.Addresses)+len(deny.Lists) > 0 {
		spec.Deny = deny
	}
	if one(3) {
		value, _ := v1alpha1.NewJSONValue(fmt.Sprintf("Kind%d", chance.IntN(3)))
		spec.Profile = []v1alpha1.ProfileAttribute{{Attribute: "userType", Value: value}}
	}
	return spec
}

// floodSpec returns the spec of one of many small policies that together exceed a budget. It is unique in its
// namespace.
func floodSpec(scope []string, number int) v1alpha1.RegistrationPolicySpec {
	return v1alpha1.RegistrationPolicySpec{
		Mode: v1alpha1.ModeEnforce, Message: v1alpha1.Message(fmt.Sprintf("Change %d.", number)),
		AppliesTo: &v1alpha1.AppliesTo{Sources: sourcesOf(scope)},
		Allow:     &v1alpha1.Allow{Domains: []v1alpha1.AllowDomain{v1alpha1.AllowDomain(fmt.Sprintf("flood-%d.example", number))}},
	}
}

func sourcesOf(names []string) (sources []v1alpha1.Source) {
	for _, name := range names {
		sources = append(sources, v1alpha1.Source(name))
	}
	return sources
}

func listReference(name string, optional bool) v1alpha1.ListReference {
	reference := v1alpha1.ListReference{ConfigMap: v1alpha1.ConfigMapList{Name: v1alpha1.ObjectName(name)}}
	if optional {
		reference.Optional = new(true)
	}
	return reference
}

// randomList returns the text of a list that is unique in the run.
func randomList(chance *rand.Rand, number int) string {
	entries := append(pickSome(chance, domains, 3), fmt.Sprintf("change-%d.example", number))
	return strings.Join(entries, "\n") + "\n"
}

// bigList returns the text of a list with a number of lines that is unique in the run.
func bigList(number, lines int) string {
	var text strings.Builder
	for i := range lines {
		fmt.Fprintf(&text, "entry-%d-of-change-%d.example\n", i, number)
	}
	return text.String()
}
