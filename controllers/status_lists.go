package controllers

import (
	"fmt"
	"strings"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// usedList is a list as a policy names it.
type usedList struct {
	rules.ListUse
	entry rules.Entry
}

func usedLists(policy *rules.Policy) []usedList {
	var used []usedList
	for i, use := range policy.Allow.Lists {
		used = append(used, usedList{use, rules.Entry{Field: rules.AllowLists, Index: i}})
	}
	for i, use := range policy.Deny.Lists {
		used = append(used, usedList{use, rules.Entry{Field: rules.DenyLists, Index: i}})
	}
	return used
}

// listStatuses says what was read of the lists of a policy. One that is missing has none.
func listStatuses(policy *rules.Policy) []v1alpha1.ListStatus {
	var statuses []v1alpha1.ListStatus
	for _, used := range usedLists(policy) {
		if used.List == nil {
			continue
		}
		skipped, lines := used.List.Skipped()
		status := v1alpha1.ListStatus{
			Path: used.entry.String(), Entries: new(int64(used.List.Entries())), Digest: used.List.Digest(), SkippedLines: int64(skipped),
		}
		for _, line := range lines {
			status.FirstSkippedLines = append(status.FirstSkippedLines, int64(line))
		}
		statuses = append(statuses, status)
	}
	return statuses
}

// listWarnings returns what looks wrong in the lists of a policy, and does not keep the rest from being in force.
func listWarnings(policy *rules.Policy) []rules.Warning {
	var warnings []rules.Warning
	warn := func(used usedList, format string, args ...any) {
		warnings = append(warnings, rules.Warning{
			Policy: policy.PolicyName, Path: used.entry.String(), Message: "list " + used.String() + ": " + fmt.Sprintf(format, args...),
		})
	}
	for _, used := range usedLists(policy) {
		switch {
		case used.List == nil && used.Optional && !used.Broken:
			warn(used, "it is missing, and optional: the rest of the policy is in force")
			continue
		case used.List == nil || used.List.Fault() != "":
			continue
		}
		if count, lines := used.List.Skipped(); count > 0 {
			warn(used, "%s not an entry and skipped", numbered(count, lines, "is", "are"))
		}
		if count, lines := used.List.Suffixes(); count > 0 && used.entry.Field == rules.DenyLists {
			warn(used, "%s a whole country or sector, such as com.ar: everybody with a name there is turned away; remove them from the list, "+
				"or write those that are meant into spec.deny.domains", numbered(count, lines, "denies", "deny"))
		}
		if count, lines := used.List.Unusable(); count > 0 && used.entry.Field == rules.AllowLists {
			warn(used, "%s nothing, since strangers can register names under a public suffix, or programs read the name in two ways",
				numbered(count, lines, "allows", "allow"))
		}
	}
	return warnings
}

// numbered names lines, with the verb that fits how many they are.
func numbered(count int, lines []int, one, many string) string {
	if count == 1 {
		return fmt.Sprintf("line %d %s", lines[0], one)
	}
	numbers := strings.Trim(strings.Join(strings.Fields(fmt.Sprint(lines)), ", "), "[]")
	if more := count - len(lines); more > 0 {
		numbers += fmt.Sprintf(" and %d more", more)
	}
	return fmt.Sprintf("lines %s %s", numbers, many)
}

// hasLists reports whether a policy names any.
func hasLists(policy *rules.Policy) bool { return len(policy.Allow.Lists)+len(policy.Deny.Lists) > 0 }
