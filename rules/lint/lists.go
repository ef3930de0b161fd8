package lint

import (
	"fmt"
	"strings"

	"registrationpolicy.dev/operator/rules"
)

// ListWarnings returns what looks wrong in the lists that a policy uses, in the order in which the policy names them.
// [Warnings] does not return these warnings.
func ListWarnings(policy *rules.Policy) []Warning {
	var warnings []Warning
	warn := func(id ID, used rules.UsedList, format string, args ...any) {
		warnings = append(warnings, Warning{
			Policy: policy.PolicyName, Path: used.Entry.String(), ID: id,
			Message: "list " + used.String() + ": " + fmt.Sprintf(format, args...),
		})
	}
	for _, used := range policy.UsedLists() {
		switch {
		case used.List == nil && used.Optional && !used.Broken:
			warn(OptionalListMissing, used, "it is missing, and optional: the rest of the policy is in force")
			continue
		case used.List == nil || used.List.Fault() != "":
			continue
		}
		if count, lines := used.List.Skipped(); count > 0 {
			warn(SkippedLines, used, "%s not an entry and skipped", numbered(count, lines, "is", "are"))
		}
		if count, lines := used.List.Suffixes(); count > 0 && used.Entry.Field == rules.DenyLists {
			warn(SuffixInDenyList, used,
				"%s a whole country or sector, such as com.ar: everybody with a name there is turned away; remove them from the list, "+
					"or write those that are meant into spec.deny.domains", numbered(count, lines, "denies", "deny"))
		}
		if count, lines := used.List.Unusable(); count > 0 && used.Entry.Field == rules.AllowLists {
			warn(UnusableLines, used, "%s nothing, since anyone can register names under a public suffix, or programs read the name in two ways",
				numbered(count, lines, "allows", "allow"))
		}
	}
	return warnings
}

// numbered returns the start of a sentence about count lines: "line 3 is", or "lines 3, 7 and 5 more are". one and many
// are the verb in the singular and in the plural. lines has the numbers of the first lines only.
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
