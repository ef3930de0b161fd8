package policystatus

import (
	"strings"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/internal/publish"
	"registrationpolicy.dev/operator/rules"
)

// Entries counts the entries of a policy that are in force, those of its lists included.
func Entries(built *publish.Policy) *v1alpha1.EntriesStatus {
	allowed, denied := 0, 0
	policy := &built.Written
	if built.Compiled != nil && built.Compiled.Enforceable() {
		allowed = len(policy.Allow.Domains) + len(policy.Allow.PublicSuffixes) + len(policy.Allow.Addresses)
		denied = len(policy.Deny.Domains) + len(policy.Deny.Addresses)
		for _, rejection := range built.Compiled.Rejections() {
			switch {
			case strings.HasPrefix(rejection.Path, "spec.allow.lists"), strings.HasPrefix(rejection.Path, "spec.deny.lists"):
				// The entries of lists are counted below.
			case strings.HasPrefix(rejection.Path, "spec.allow."):
				allowed--
			case strings.HasPrefix(rejection.Path, "spec.deny."):
				denied--
			}
		}
		for _, used := range policy.UsedLists() {
			switch {
			case used.List == nil || used.List.Fault() != "":
			case used.Entry.Field == rules.AllowLists:
				unusable, _ := used.List.Unusable()
				allowed += used.List.Entries() - unusable
			default:
				denied += used.List.Entries()
			}
		}
	}
	return &v1alpha1.EntriesStatus{Allowed: new(int64(allowed)), Denied: new(int64(denied))}
}
