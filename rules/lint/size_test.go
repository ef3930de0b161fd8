package lint

import (
	"runtime"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/heap"
	"registrationpolicy.dev/operator/test/random"
)

func uncompiled(policies []rules.Policy) []Policy {
	all := make([]Policy, len(policies))
	for i := range policies {
		all[i].Policy = policies[i]
	}
	return all
}

// However many entries there are, only so many are compared, and whose are not is said.
func TestWarningsCompareSoManyEntriesAtMost(t *testing.T) {
	policies := uncompiled(random.LargePolicies(60, 1000)) // 5,000 entries each
	w, measured := heap.Taken(func() *linter { return newLinter(policies) })
	const most = 400 // bytes an entry, and what the policies take
	if measured > maxLinted*most+60*(5000*60) {
		t.Errorf("%d bytes", measured)
	}
	runtime.KeepAlive(w)
	const said = "no warnings are given of this policy"
	unread := 0
	for _, warning := range Warnings(policies) {
		if strings.HasPrefix(warning.Message, said) {
			unread++
		}
	}
	if want := 60 - maxLinted/5000; unread != want {
		t.Errorf("%d policies are said not to be compared, want %d", unread, want)
	}
}

func TestANamespaceWithManyEntriesTakesNoWarningsOfAnother(t *testing.T) {
	policies := random.LargePolicies(60, 1000) // 300,000 entries
	for i := range policies {
		policies[i].Namespace = "a-flood"
	}
	tenants := random.LargePolicies(3, 100) // 1,500 entries
	for i := range tenants {
		tenants[i].Namespace = "tenant"
	}
	unread := map[string]int{}
	for _, warning := range Warnings(uncompiled(slices.Concat(policies, tenants))) {
		if strings.HasPrefix(warning.Message, "no warnings are given of this policy") {
			unread[warning.Policy.Namespace]++
		}
	}
	if want := 60 - (maxLinted-1500)/5000; unread["a-flood"] != want || unread["tenant"] != 0 {
		t.Errorf("%v are said not to be compared, want %d of a-flood and none of tenant", unread, want)
	}
}
