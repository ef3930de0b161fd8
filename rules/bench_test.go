package rules_test

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"registrationpolicy.dev/operator/rules"
)

// sized returns policies that apply to source rul1 and can match the same domains, policies*each in all, and further ones for other
// sources that cannot match.
func sized(policies, each, unmatching int) []rules.Policy {
	var all []rules.Policy
	for i := range policies {
		p := allow(fmt.Sprintf("p%05d", i))
		for j := range each {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("d%d-%d.test", i, j))
		}
		all = append(all, p)
	}
	for i := range unmatching {
		p := allow(fmt.Sprintf("u%05d", i), "d0-0.test", "*")
		p.Sources = []string{fmt.Sprintf("other%d", i)}
		all = append(all, p)
	}
	return all
}

func BenchmarkDecide(b *testing.B) {
	for _, size := range []struct {
		sentence                  string
		policies, each, elsewhere int
	}{
		{"1 policy of 10 domains", 1, 10, 0},
		{"1 policy of 100000 domains", 1, 100_000, 0},
		{"1000 policies of 100 domains", 1000, 100, 0},
		{"1 policy of 10 domains, 999 for other sources", 1, 10, 999},
	} {
		snapshot := compile(b, sized(size.policies, size.each, size.elsewhere)...)
		for _, call := range []struct {
			sentence string
			call     rules.Call
			want     rules.Reason
		}{
			{"allowed", signUpLogin("jo@d0-7.test", "jo@d0-7.test"), rules.ReasonAllowed},
			{"not allowed", signUpLogin("jo@a.b.stranger.example", "jo@a.b.stranger.example"), rules.ReasonNotAllowed},
		} {
			b.Run(size.sentence+"/"+call.sentence, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if d := snapshot.Decide(call.call); d.Reason != call.want {
						b.Fatal(d.Reason)
					}
				}
			})
		}
	}
}

// BenchmarkDecideAfterEdits has a thousand policies that all match, and that were added one after the other in random order.
func BenchmarkDecideAfterEdits(b *testing.B) {
	var compiled []*rules.Compiled
	var snapshot *rules.Snapshot
	for _, i := range rand.New(rand.NewPCG(1, 2)).Perm(1000) {
		compiled = append(compiled, rules.CompilePolicy(allow(fmt.Sprintf("p%05d", i), "acme.com")))
		snapshot = rules.Assemble(snapshot, compiled)
	}
	b.ReportAllocs()
	for b.Loop() {
		snapshot.Decide(signUp("jo@acme.com"))
	}
}

func BenchmarkCompile(b *testing.B) {
	for _, size := range []struct {
		sentence       string
		policies, each int
	}{
		{"1 policy of 10 domains", 1, 10},
		{"1 policy of 100000 domains", 1, 100_000},
		{"1000 policies of 100 domains", 1000, 100},
	} {
		policies := sized(size.policies, size.each, 0)
		b.Run(size.sentence, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				rules.Compile(policies)
			}
		})
	}
}

// listText returns a list of two-label names, as public lists of disposable domains are.
func listText(entries int) []byte {
	var text []byte
	for i := range entries {
		text = fmt.Appendf(text, "name%d-x.example\n", i*7919%entries)
	}
	return text
}

// BenchmarkCompileList reports what a list takes of the heap, against the bytes of its text.
func BenchmarkCompileList(b *testing.B) {
	for _, entries := range []int{10_000, 200_000, 1_000_000} {
		text := listText(entries)
		b.Run(fmt.Sprint(entries), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			list := rules.CompileList(text)
			runtime.GC()
			runtime.ReadMemStats(&after)
			for b.Loop() {
				list = rules.CompileList(text)
			}
			if list.Entries() != entries || list.Fault() != "" {
				b.Fatal(list.Entries(), list.Fault())
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(entries), "heap-bytes/entry")
			b.ReportMetric(float64(len(text))/float64(entries), "text-bytes/entry")
		})
	}
}

func BenchmarkDecideByList(b *testing.B) {
	for _, entries := range []int{10_000, 200_000, 1_000_000} {
		list := rules.CompileList(listText(entries))
		snapshot := compile(b, rules.Policy{
			PolicyName: named("p"), Allow: rules.AllowRules{Domains: []string{"*"}},
			Deny: rules.DenyRules{Lists: []rules.ListUse{{Name: "l", List: list}}},
		})
		hits, misses := make([]rules.Call, 4096), make([]rules.Call, 4096)
		for i := range hits {
			hits[i] = signUp(fmt.Sprintf("jo@a.name%d-x.example", i*104729%entries))
			misses[i] = signUp(fmt.Sprintf("jo@a.other%d.example", i*104729%entries))
		}
		for _, bench := range []struct {
			sentence string
			calls    []rules.Call
			want     rules.Reason
		}{{"listed", hits, rules.ReasonDenied}, {"not listed", misses, rules.ReasonAllowed}} {
			b.Run(fmt.Sprintf("%d/%s", entries, bench.sentence), func(b *testing.B) {
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if d := snapshot.Decide(bench.calls[i%len(bench.calls)]); d.Reason != bench.want {
						b.Fatal(d.Reason)
					}
				}
			})
		}
	}
}

// BenchmarkCompileBesideAList is a change of a small policy while a big list is in use.
func BenchmarkCompileBesideAList(b *testing.B) {
	list := rules.CompileList(listText(200_000))
	policies := append(sized(1, 10, 0), rules.Policy{
		PolicyName: named("z"), Deny: rules.DenyRules{Lists: []rules.ListUse{{Name: "l", List: list}}},
	})
	b.ReportAllocs()
	for b.Loop() {
		rules.Compile(policies)
	}
}

func BenchmarkParseAddress(b *testing.B) {
	for sentence, address := range map[string]string{
		"plain":      "firstname.lastname@department.example.com",
		"upper case": "Firstname.Lastname@Department.Example.COM",
		"A-label":    "jo@xn--mnchen-3ya.example",
		"U-label":    "jo@münchen.example",
	} {
		b.Run(sentence, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := rules.ParseAddress(address); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkAssembleOneChange is a change of one policy of 10 domains beside 10,000 others, compiled and assembled.
func BenchmarkAssembleOneChange(b *testing.B) {
	policies := sized(10_001, 10, 0)
	compiled := make([]*rules.Compiled, len(policies))
	for i := range policies {
		compiled[i] = rules.CompilePolicy(policies[i])
	}
	snapshot := rules.Assemble(nil, compiled)
	b.Run("changed", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			at := i * 7919 % len(policies)
			changed := policies[at]
			changed.Allow.Domains = append(changed.Allow.Domains[:9:9], fmt.Sprintf("changed%d.test", i))
			compiled[at] = rules.CompilePolicy(changed)
			snapshot = rules.Assemble(snapshot, compiled)
		}
	})
	b.Run("whole", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			rules.Compile(policies)
		}
	})
}
