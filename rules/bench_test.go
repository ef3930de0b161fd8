package rules_test

import (
	"fmt"
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
