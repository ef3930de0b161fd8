package rules_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/heap"
	"registrationpolicy.dev/operator/test/random"
)

func entryTexts(policies []rules.Policy) (size int) {
	for i := range policies {
		p := &policies[i]
		for _, entries := range [][]string{p.Allow.Domains, p.Allow.PublicSuffixes, p.Allow.Addresses, p.Deny.Domains, p.Deny.Addresses} {
			size += len(strings.Join(entries, ""))
		}
	}
	return size
}

// What decides by entries takes little more than their text, and Size says how much.
func TestAPolicyTakesAtMostThreeTimesTheTextOfItsEntries(t *testing.T) {
	idn := make([]string, 20_000)
	for i := range idn {
		idn[i] = fmt.Sprintf("bücher-%d-münchen.example", i)
	}
	for sentence, policies := range map[string][]rules.Policy{
		"many entries in every field": random.LargePolicies(20, 1000),
		"policies of 10 entries":      random.LargePolicies(2000, 2),
		"domains of other alphabets":  {{PolicyName: rules.PolicyName{"ns", "idn"}, Deny: rules.DenyRules{Domains: idn}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			rules.CompilePolicy(policies[0]) // so that tables which are made at their first use are there
			type made struct {
				compiled []*rules.Compiled
				snapshot *rules.Snapshot
			}
			m, measured := heap.Taken(func() made {
				var m made
				for i := range policies {
					m.compiled = append(m.compiled, rules.CompilePolicy(policies[i]))
				}
				m.snapshot = rules.Assemble(nil, m.compiled)
				return m
			})
			size, texts := 0, entryTexts(policies)
			for _, c := range m.compiled {
				size += c.Size()
			}
			heap.Check(t, "a set of policies", size+size/5, measured, 1.3)
			if each := measured - len(policies)*1024; each > 3*texts { // a policy has a name, a scope, and so on
				t.Errorf("%d bytes for entries of %d", measured, texts)
			}
			t.Logf("%d policies: %d bytes of entries, %d of heap, %d by Size", len(policies), texts, measured, size)
			runtime.KeepAlive(m)
			runtime.KeepAlive(policies)
		})
	}
}

// A policy is often read out of a text that is far larger, and must not hold on to it.
func TestACompiledPolicyDoesNotHoldTheTextItWasReadFrom(t *testing.T) {
	const large = 8 << 20
	c, measured := heap.Taken(func() *rules.Compiled {
		text := strings.Repeat("x", large) + "ns name acme.com jo@acme.com userType rul1 hello list *.acme.org x"
		part := func(s string) string { at := strings.Index(text[large:], s); return text[large+at:][:len(s)] }
		return rules.CompilePolicy(rules.Policy{
			PolicyName: rules.PolicyName{part("ns"), part("name")}, Sources: []string{part("rul1")}, Message: part("hello"),
			Allow: rules.AllowRules{
				Domains: []string{part("acme.com"), part("x")}, PublicSuffixes: []string{part("*.acme.org")}, Addresses: []string{part("jo@acme.com")},
				Lists: []rules.ListUse{{Name: part("list")}},
			},
			Deny:    rules.DenyRules{Domains: []string{part("x")}, Addresses: []string{part("jo@acme.com")}, Lists: []rules.ListUse{{Name: part("list"), Missing: part("x")}}},
			Profile: []rules.ProfileAttribute{{Name: part("userType"), Value: part("x")}},
		})
	})
	if measured > large/2 {
		t.Errorf("%d bytes", measured)
	}
	runtime.KeepAlive(c)
}

func TestAProfileCountsForTheSizeOfItsPolicy(t *testing.T) {
	policy := allow("p", "acme.com")
	without := rules.CompilePolicy(policy).Size()
	const attributes, structs = 10, 2 * 4 * 8 // of each attribute there are two structs of two strings
	for i := range attributes {
		policy.Profile = append(policy.Profile, rules.ProfileAttribute{Name: fmt.Sprint("a", i), Value: `"x"`})
	}
	if got, want := rules.CompilePolicy(policy).Size()-without, attributes*(structs+len("a0")+len(`"x"`)); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
