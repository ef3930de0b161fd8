package violation

import (
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// Distinct returns one violation for each mistake, in the given order. A single mistake can cause several: a misspelt
// field, for example, is unknown, and the intended field is missing.
func Distinct(violations field.ErrorList) field.ErrorList {
	violations = onePerValue(violations)
	suggestRequired(violations)
	var distinct field.ErrorList
	for _, violation := range violations {
		if !slices.ContainsFunc(violations, func(cause *field.Error) bool { return follows(violation, cause) }) {
			distinct = append(distinct, violation)
		}
	}
	if len(distinct) == 0 { // if follows is wrong about all of them, the policy must not look valid
		return violations
	}
	return distinct
}

// suggestRequired adds a suggestion to each unknown field that still lacks one: the required field that is missing in
// the same object.
func suggestRequired(violations field.ErrorList) {
	for _, unknown := range violations {
		if !isUnknownField(unknown) || unknown.BadValue != nil {
			continue
		}
		for _, required := range violations {
			if required.Type == field.ErrorTypeRequired && !isNull(required) && parent(required.Field) == parent(unknown.Field) {
				suggest(unknown, lastName(required.Field))
			}
		}
	}
}

// onePerValue returns for each value only the violation that explains the mistake best. For the path "spec" it returns
// all: the CEL rules there are about different fields, so different mistakes can violate them.
func onePerValue(violations field.ErrorList) field.ErrorList {
	type key struct{ path, detail string }
	at := map[key]int{}
	var best field.ErrorList
	for _, violation := range violations {
		of := key{path: violation.Field}
		if violation.Field == "spec" {
			of.detail = violation.Detail
		}
		i, found := at[of]
		switch {
		case !found:
			at[of] = len(best)
			best = append(best, violation)
		case rank(violation) < rank(best[i]):
			best[i] = violation
		}
	}
	return best
}

// rank orders the violations of one value: the one with the lowest rank explains the mistake best.
func rank(violation *field.Error) int {
	switch {
	case isNull(violation):
		return 0
	case violation.Type == field.ErrorTypeNotSupported: // names the values to write
		return 1
	case violation.Type == field.ErrorTypeTypeInvalid:
		return 2
	case violation.Type == field.ErrorTypeDuplicate: // removing the value also removes its other violations
		return 3
	case strings.Contains(violation.Detail, "should be at least"): // the value is empty
		return 4
	case violation.Type != field.ErrorTypeInvalid:
		return 5
	case violatesPattern(violation):
		return 7
	default: // a CEL rule, whose message says what to write
		return 6
	}
}

// follows reports whether one violation goes away once the author fixes another: the one in the parameter cause.
func follows(violation, cause *field.Error) bool {
	switch {
	case violation == cause:
		return false
	case isNull(cause):
		return isBelow(violation.Field, cause.Field) || missesMember(violation, parent(cause.Field), lastName(cause.Field))
	case cause.Type == field.ErrorTypeTypeInvalid:
		return isBelow(violation.Field, cause.Field)
	case cause.Type == field.ErrorTypeNotSupported, cause.Type == field.ErrorTypeDuplicate:
		// To fix cause, the author may remove its item. The list around it may then be short enough.
		return violation.Type == field.ErrorTypeTooMany && isBelow(cause.Field, violation.Field)
	case !isUnknownField(cause):
		return false
	case elsewhereOf(cause) != nil:
		return slices.ContainsFunc(elsewhereOf(cause), func(object string) bool { return missesObject(violation, cause, object) })
	default:
		return missesMember(violation, parent(cause.Field), meantBy(cause))
	}
}

// missesObject reports whether a violation says that the object at a path is missing. Such a violation goes away if the
// author moves the unknown field into this object.
func missesObject(violation, unknown *field.Error, object string) bool {
	switch violation.Type {
	case field.ErrorTypeRequired:
		return violation.Field == object
	case field.ErrorTypeInvalid:
		return violation.Field == parent(unknown.Field) && strings.Contains(violation.Detail, object)
	default:
		return false
	}
}

// missesMember reports whether a violation says that the object at path lacks a field with this name. The name "" means
// any field.
func missesMember(violation *field.Error, path, name string) bool {
	switch {
	case violation.Type == field.ErrorTypeRequired:
		return parent(violation.Field) == path && (name == "" || lastName(violation.Field) == name)
	case violation.Field != path || violation.Type != field.ErrorTypeInvalid:
		return false
	default:
		return name == "" || strings.Contains(violation.Detail, "properties") || strings.Contains(violation.Detail, name)
	}
}

// isBelow reports whether path is a field or an item within the value at the path above.
func isBelow(path, above string) bool {
	rest, found := strings.CutPrefix(path, above)
	return found && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "["))
}

// parent returns the path of the object that holds a field: spec.allow for spec.allow.domains, "" for spec.
func parent(path string) string { return path[:max(0, strings.LastIndex(path, "."))] }

// lastName returns the name of a field: domains for spec.allow.domains.
func lastName(path string) string { return path[strings.LastIndex(path, ".")+1:] }
