package policyobject

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/lint"
)

// Scopes maps a namespace to the sources, as in the `source` of Okta's call, to which its policies are bounded: they
// take part in no other call, even if they name other sources. A namespace without an entry is not bounded.
type Scopes map[string][]string

// sourceID matches an id that Okta assigns, for example rul1bufGk5dJdRYw50g4. Anything else is a typing error, which
// would bound the namespace to the wrong sources.
var sourceID = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// ParseScopes reads entries of the form namespace=source,source. The error names every bad entry, in one line.
func ParseScopes(entries []string) (Scopes, error) {
	scopes := Scopes{}
	var problems []string
	for _, entry := range entries {
		namespace, list, found := strings.Cut(entry, "=")
		if !found {
			problems = append(problems, fmt.Sprintf("%q: write namespace=source,source", entry))
			continue
		}
		if reasons := validation.IsDNS1123Label(namespace); len(reasons) > 0 {
			problems = append(problems, fmt.Sprintf("%q is not the name of a namespace: %s", namespace, reasons[0]))
		}
		if _, twice := scopes[namespace]; twice {
			problems = append(problems, fmt.Sprintf("%q is given twice; write all of its sources at once, with commas between", namespace))
		}
		sources := strings.Split(list, ",")
		if list == "" {
			problems = append(problems, fmt.Sprintf("%q: no source; to let a namespace decide nothing, do not watch it", namespace))
			sources = nil
		}
		for _, source := range sources {
			if !sourceID.MatchString(source) {
				problems = append(problems, fmt.Sprintf("%q: %q is not the id of an enrolment policy or rule, which is "+
					"1 to 64 letters and digits, as in rul1bufGk5dJdRYw50g4", namespace, source))
			}
		}
		slices.Sort(sources)
		scopes[namespace] = slices.Compact(sources)
	}
	if len(problems) > 0 {
		return nil, errors.New(strings.Join(problems, "; "))
	}
	return scopes, nil
}

// Namespaces returns the bounded namespaces, sorted.
func (s Scopes) Namespaces() []string { return slices.Sorted(maps.Keys(s)) }

// Bound limits a policy to the scope of its namespace, and returns the parts of its appliesTo that are outside. A
// policy that names no source gets all sources of the scope. If ok is false, nothing is within the scope; the caller
// must not compile the policy, since a policy without sources applies to every call.
//
// A policy that is not understood is limited in the same way, so that it denies no calls of other namespaces. Its
// outside parts are not returned, since they may have been misread.
func (s Scopes) Bound(policy rules.Policy) (within rules.Policy, outside []rules.Rejection, ok bool) {
	scope, bounded := s[policy.Namespace]
	if !bounded {
		return policy, nil, true
	}
	const path = "spec.appliesTo.sources"
	limits := fmt.Sprintf("policies of namespace %s decide calls of %s only (--namespace-sources)", policy.Namespace, JoinSources(scope))
	reject := func(path, message string) {
		if policy.NotUnderstood == "" {
			outside = append(outside, rules.Rejection{Policy: policy.PolicyName, Path: path, Message: message})
		}
	}
	within = policy
	if len(policy.Sources) == 0 {
		within.Sources = slices.Clone(scope)
		reject(path, "missing, which means every source, and "+limits+"; write one or more of these")
		return within, outside, len(scope) > 0
	}
	within.Sources = nil
	for i, source := range policy.Sources {
		if slices.Contains(scope, source) {
			within.Sources = append(within.Sources, source)
			continue
		}
		reject(fmt.Sprintf("%s[%d]", path, i), limits+"; write one of these, or remove it")
	}
	if len(within.Sources) == 0 {
		return rules.Policy{}, outside, false
	}
	return within, outside, true
}

// BoundAll calls Bound for each policy, and drops policies that are entirely outside of their scope.
func (s Scopes) BoundAll(policies []rules.Policy) (within []rules.Policy, outside []rules.Rejection) {
	within = make([]rules.Policy, 0, len(policies))
	for _, policy := range policies {
		bounded, rejected, ok := s.Bound(policy)
		outside = append(outside, rejected...)
		if ok {
			within = append(within, bounded)
		}
	}
	return within, outside
}

// Warnings returns the warnings about policies, which have their lists, within their scopes: sorted by policy, those
// about lists first. If a policy has a Compiled, it must be that of the policy within its scope.
func (s Scopes) Warnings(policies []lint.Policy) []lint.Warning {
	within := make([]lint.Policy, 0, len(policies))
	var warnings []lint.Warning
	for i := range policies {
		if bounded, _, ok := s.Bound(policies[i].Policy); ok {
			within = append(within, lint.Policy{Policy: bounded, Compiled: policies[i].Compiled})
			warnings = append(warnings, lint.ListWarnings(&bounded)...)
		}
	}
	warnings = append(warnings, lint.Warnings(within)...)
	slices.SortStableFunc(warnings, func(a, b lint.Warning) int { return a.Policy.Compare(b.Policy) })
	return warnings
}

// maxListed is how many sources a message names.
const maxListed = 10

// JoinSources joins sources for a message, and counts those beyond the first ten.
func JoinSources(sources []string) string {
	text := strings.Join(sources[:min(len(sources), maxListed)], ", ")
	if more := len(sources) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
