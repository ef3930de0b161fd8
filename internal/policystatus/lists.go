package policystatus

import (
	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// Lists returns the status of each list that a policy names, except for missing ones.
func Lists(policy *rules.Policy) []v1alpha1.ListStatus {
	var statuses []v1alpha1.ListStatus
	for _, used := range policy.UsedLists() {
		if used.List == nil {
			continue
		}
		skipped, lines := used.List.Skipped()
		status := v1alpha1.ListStatus{
			Path: used.Entry.String(), Entries: new(int64(used.List.Entries())), Digest: used.List.Digest(), SkippedLines: int64(skipped),
		}
		for _, line := range lines {
			status.FirstSkippedLines = append(status.FirstSkippedLines, int64(line))
		}
		statuses = append(statuses, status)
	}
	return statuses
}
