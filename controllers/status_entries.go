package controllers

import (
	"strings"

	"registrationpolicy.dev/operator/api/v1alpha1"
	"registrationpolicy.dev/operator/rules"
)

// entriesStatus counts the entries of a policy, which has its lists, that are in force.
func entriesStatus(policy *rules.Policy, scopes Scopes) *v1alpha1.EntriesStatus {
	allowed, denied := 0, 0
	within, _, takesPart := scopes.Bound(*policy)
	if !takesPart || policy.NotUnderstood != "" {
		return &v1alpha1.EntriesStatus{Allowed: new(int64), Denied: new(int64)}
	}
	if snapshot, rejections := rules.Compile([]rules.Policy{within}); snapshot.Policies()[0].Enforceable {
		allowed = len(policy.Allow.Domains) + len(policy.Allow.PublicSuffixes) + len(policy.Allow.Addresses)
		denied = len(policy.Deny.Domains) + len(policy.Deny.Addresses)
		for _, rejection := range rejections {
			switch {
			case strings.HasPrefix(rejection.Path, "spec.allow.lists"), strings.HasPrefix(rejection.Path, "spec.deny.lists"):
			case strings.HasPrefix(rejection.Path, "spec.allow."):
				allowed--
			case strings.HasPrefix(rejection.Path, "spec.deny."):
				denied--
			}
		}
		for _, used := range usedLists(policy) {
			switch {
			case used.List == nil || used.List.Fault() != "":
			case used.entry.Field == rules.AllowLists:
				unusable, _ := used.List.Unusable()
				allowed += used.List.Entries() - unusable
			default:
				denied += used.List.Entries()
			}
		}
	}
	return &v1alpha1.EntriesStatus{Allowed: new(int64(allowed)), Denied: new(int64(denied))}
}
