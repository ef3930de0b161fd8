package analysis_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// largeSets returns policies with ten domains each and one deny list, and the same with a thousandth of the list
// changed.
func largeSets(policies, entries int) (before, after []rules.Policy) {
	list := func(prefix string) *rules.List {
		var text bytes.Buffer
		for i := range entries {
			if i%1000 == 0 {
				fmt.Fprintf(&text, "%s-%d.example\n", prefix, i)
			} else {
				fmt.Fprintf(&text, "disposable-%d.example\n", i)
			}
		}
		return rules.CompileList(text.Bytes())
	}
	old, replaced := list("old"), list("new")
	for i := range policies {
		p := rules.Policy{PolicyName: rules.PolicyName{Namespace: "tenant", Name: fmt.Sprintf("p%04d", i)}}
		for j := range 10 {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("partner-%d-%d.test", i, j))
		}
		p.Deny.Lists = []rules.ListUse{{Name: "disposable", List: old}}
		before = append(before, p)
		p.Deny.Lists = []rules.ListUse{{Name: "disposable", List: replaced}}
		after = append(after, p)
	}
	before[0].Allow.Domains = append(before[0].Allow.Domains, "*")
	after[0].Allow.Domains = append(after[0].Allow.Domains, "*")
	return before, after
}

func BenchmarkCompare(b *testing.B) {
	for _, size := range []struct{ policies, entries int }{{10, 1000}, {100, 10_000}, {1000, 100_000}, {1000, 1_000_000}} {
		b.Run(fmt.Sprintf("policies=%d/entries=%d", size.policies, size.entries), func(b *testing.B) {
			before, after := largeSets(size.policies, size.entries)
			b.ReportAllocs()
			for b.Loop() {
				changes, err := analysis.Compare(before, after)
				if err != nil || len(changes) != 2 {
					b.Fatalf("%d changes, %v", len(changes), err)
				}
			}
		})
	}
}

// BenchmarkCompareOfSources compares policies of which each applies to calls of its own source, after a change of one
// of them, and after a change of a policy that applies to all calls.
func BenchmarkCompareOfSources(b *testing.B) {
	const policies = 1000
	before, _ := largeSets(policies, 1000)
	for i := range before {
		before[i].Sources = []string{fmt.Sprintf("source-%d", i)}
	}
	before[0].Sources = nil
	for name, changed := range map[string]int{"one source": policies / 2, "all sources": 0} {
		b.Run(name, func(b *testing.B) {
			after := slices.Clone(before)
			after[changed].Deny.Domains = []string{"added.test"}
			for b.Loop() {
				if changes, err := analysis.Compare(before, after); err != nil || len(changes) == 0 {
					b.Fatalf("%d changes, %v", len(changes), err)
				}
			}
		})
	}
}
