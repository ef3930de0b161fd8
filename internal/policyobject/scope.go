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

// Scopes limits the policies of a namespace to the calls from some sources (--namespace-sources). A source is the id of
// an enrollment policy or rule in Okta, the member `source` of a call. Scopes maps a namespace to its sources, here
// called its scope: its policies take part in no other call, even if they name other sources. A namespace without an
// entry is not limited.
type Scopes map[string][]string

// sourceID matches an id that Okta assigns, for example rul1bufGk5dJdRYw50g4. Anything else is a typing error, with
// which the policies of the namespace would take part in no call.
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

// Namespaces returns the namespaces that have a scope, sorted.
func (s Scopes) Namespaces() []string { return slices.Sorted(maps.Keys(s)) }

// Bound limits a policy to the scope of its namespace. within is the policy with only those of its sources that are in
// the scope, or with all sources of the scope if the policy names none. outside has a rejection for each source that is
// not in the scope, or one because the policy names no source. ok is false if no source is left. The caller must then
// not compile the policy: a policy without sources applies to every call.
//
// Bound also limits a policy with NotUnderstood, which would otherwise deny calls outside of the scope of its
// namespace. outside is empty for such a policy: its sources may be in the part that is not understood.
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

// BoundAll calls [Scopes.Bound] for each policy. It drops a policy of which no source is in the scope.
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

// Warnings returns the warnings about policies as limited by their scopes. They are sorted by policy; for each policy,
// those about its lists come first.
//
// In each policy, [rules.ListUse].List must be set for every list that exists. The field Compiled is optional. If it is
// set, it must be the compiled form of the limited policy, which [Scopes.Bound] returns.
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

// maxListed is how many sources a message names at most.
const maxListed = 10

// JoinSources returns the first ten sources with commas between, for a message, and the number of further ones.
func JoinSources(sources []string) string {
	text := strings.Join(sources[:min(len(sources), maxListed)], ", ")
	if more := len(sources) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
