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

// Scopes bounds namespaces to the calls of some sources: a policy of such a namespace takes part in no other call,
// whatever it says. The keys are namespaces, the values Okta's `source`s. A namespace that is not there is not bounded;
// nil bounds none.
type Scopes map[string][]string

// oktaSource is the shape of an id that Okta gives, for example rul1bufGk5dJdRYw50g4. What looks otherwise is a slip of
// the pen, and a bound with a slip in it would be another one than was meant.
var oktaSource = regexp.MustCompile(`^[A-Za-z0-9]{1,64}$`)

// ParseScopes reads entries of the form namespace=source,source. The error says in one line all that is wrong with
// them.
func ParseScopes(entries []string) (Scopes, error) {
	scopes := Scopes{}
	var faults []string
	for _, entry := range entries {
		namespace, list, found := strings.Cut(entry, "=")
		if !found {
			faults = append(faults, fmt.Sprintf("%q: write namespace=source,source", entry))
			continue
		}
		if problems := validation.IsDNS1123Label(namespace); len(problems) > 0 {
			faults = append(faults, fmt.Sprintf("%q is not the name of a namespace: %s", namespace, problems[0]))
		}
		if _, twice := scopes[namespace]; twice {
			faults = append(faults, fmt.Sprintf("%q is given twice; write all of its sources at once, with commas between", namespace))
		}
		sources := strings.Split(list, ",")
		if list == "" {
			faults = append(faults, fmt.Sprintf("%q: no source; to let a namespace decide nothing, do not watch it", namespace))
			sources = nil
		}
		for _, source := range sources {
			if !oktaSource.MatchString(source) {
				faults = append(faults, fmt.Sprintf("%q: %q is not the id of an enrolment policy or rule, which is "+
					"1 to 64 letters and digits, as in rul1bufGk5dJdRYw50g4", namespace, source))
			}
		}
		slices.Sort(sources)
		scopes[namespace] = slices.Compact(sources)
	}
	if len(faults) > 0 {
		return nil, errors.New(strings.Join(faults, "; "))
	}
	return scopes, nil
}

// Namespaces returns the bounded namespaces, sorted.
func (s Scopes) Namespaces() []string { return slices.Sorted(maps.Keys(s)) }

// Bound returns what of a policy is within the scope of its namespace, and what of its appliesTo is outside. A policy
// that names no source is bounded to the whole scope. Not ok means that nothing is left: the policy must not be
// compiled, as one without sources takes part in every call.
//
// A policy that is not understood is bounded like any other, so that what one namespace breaks denies no calls of
// others. What of it is outside is not told: it may not say what it seems to say.
func (s Scopes) Bound(policy rules.Policy) (within rules.Policy, outside []rules.Rejection, ok bool) {
	scope, bounded := s[policy.Namespace]
	if !bounded {
		return policy, nil, true
	}
	const path = "spec.appliesTo.sources"
	told := fmt.Sprintf("policies of namespace %s decide calls of %s only (--namespace-sources)", policy.Namespace, WriteOut(scope))
	reject := func(path, message string) {
		if policy.NotUnderstood == "" {
			outside = append(outside, rules.Rejection{Policy: policy.PolicyName, Path: path, Message: message})
		}
	}
	within = policy
	if len(policy.Sources) == 0 {
		within.Sources = slices.Clone(scope)
		reject(path, "missing, which means every source, and "+told+"; write one or more of these")
		return within, outside, len(scope) > 0
	}
	within.Sources = nil
	for i, source := range policy.Sources {
		if slices.Contains(scope, source) {
			within.Sources = append(within.Sources, source)
			continue
		}
		reject(fmt.Sprintf("%s[%d]", path, i), told+"; write one of these, or remove it")
	}
	if len(within.Sources) == 0 {
		return rules.Policy{}, outside, false
	}
	return within, outside, true
}

// BoundAll bounds each policy. It leaves out those of which nothing is left.
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

// Warnings returns what looks wrong in policies that have their lists, as far as the scopes of their namespaces let
// them take part: of each policy, first what there is to say of its lists.
func (s Scopes) Warnings(policies []rules.Policy) []lint.Warning {
	within, _ := s.BoundAll(policies)
	var warnings []lint.Warning
	for i := range within {
		warnings = append(warnings, lint.ListWarnings(&within[i])...)
	}
	warnings = append(warnings, lint.Warnings(within)...)
	slices.SortStableFunc(warnings, func(a, b lint.Warning) int { return a.Policy.Compare(b.Policy) })
	return warnings
}

// maxListed is how many sources a message writes out.
const maxListed = 10

// WriteOut writes out sources, but not so many that a message has room for nothing else.
func WriteOut(sources []string) string {
	text := strings.Join(sources[:min(len(sources), maxListed)], ", ")
	if more := len(sources) - maxListed; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
