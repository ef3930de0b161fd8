package lint

import (
	"maps"
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

func TestNamespacesShareTheEntriesThatAreCompared(t *testing.T) {
	for sentence, test := range map[string]struct{ needs, want map[string]int }{
		"there is enough for all": {map[string]int{"a": 10, "b": 70_000}, map[string]int{"a": 10, "b": 70_000}},
		"all need too much":       {map[string]int{"a": 90_000, "b": 120_000}, map[string]int{"a": 50_000, "b": 50_000}},
		"what one does not need goes to the others": {
			map[string]int{"a": 100_000, "b": 10, "c": 200_000}, map[string]int{"a": 49_995, "b": 10, "c": 49_995},
		},
		"the rest goes to the one that needs most": {
			map[string]int{"a": 100, "b": 10, "c": 200_000}, map[string]int{"a": 100, "b": 10, "c": 99_890},
		},
	} {
		t.Run(sentence, func(t *testing.T) {
			var policies []compiledPolicy
			for namespace, need := range test.needs {
				p := rules.Policy{PolicyName: rules.PolicyName{Namespace: namespace, Name: "p"}, Allow: rules.AllowRules{Domains: []string{"acme.com"}}}
				policies = append(policies, compiledPolicy{Compiled: rules.CompilePolicy(p), source: &p, readings: need})
			}
			if got := lintShares(policies); !maps.Equal(got, test.want) {
				t.Errorf("shares %v, want %v", got, test.want)
			}
		})
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
	open := rules.PolicyName{Namespace: "tenant", Name: "open"}
	tenants = append(tenants, rules.Policy{PolicyName: open, Allow: rules.AllowRules{Domains: []string{"gmail.com"}}})
	unread, told := map[string]int{}, 0
	for _, warning := range Warnings(uncompiled(slices.Concat(policies, tenants))) {
		if strings.HasPrefix(warning.Message, "no warnings are given of this policy") {
			unread[warning.Policy.Namespace]++
		}
		if warning.ID == AtMailboxProvider && warning.Policy == open {
			told++
		}
	}
	if want := 60 - (maxLinted-1500)/5000; unread["a-flood"] != want || unread["tenant"] != 0 {
		t.Errorf("%v are said not to be compared, want %d of a-flood and none of tenant", unread, want)
	}
	if told != 1 {
		t.Errorf("%d warnings of the tenant's policy with a mailbox provider, want 1", told)
	}
}
