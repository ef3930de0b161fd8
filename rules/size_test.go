package rules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"testing"
)

// heap returns how many bytes of the heap are in use.
func heap() int {
	runtime.GC()
	runtime.GC() // what had a finalizer or was in a pool goes with the second
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int(stats.HeapAlloc)
}

// taken returns what build makes, and how many bytes of the heap that takes.
func taken[T any](build func() T) (T, int) {
	before := heap()
	made := build()
	return made, heap() - before
}

// realisticLists are lists of the sorts that people have.
func realisticLists() map[string][]byte {
	var domains, wildcards, addresses, commented bytes.Buffer
	for i := range 200_000 {
		fmt.Fprintf(&domains, "name%d-x.example\n", i)
	}
	for i := range 50_000 {
		fmt.Fprintf(&wildcards, "*.tempmail%d.co.uk\n", i)
		fmt.Fprintf(&addresses, "firstname.lastname%d@department-%d.example.com\n", i, i%700)
		if i%100 == 0 {
			fmt.Fprintf(&commented, "# seen %d times\n", i)
		}
		fmt.Fprintf(&commented, "disposable%d.example\n", i)
	}
	return map[string][]byte{
		"domains": domains.Bytes(), "wildcards": wildcards.Bytes(), "addresses": addresses.Bytes(), "with comments": commented.Bytes(),
		"few": []byte("acme.com\n*.acme.org\n"),
	}
}

func within(t *testing.T, what string, estimate, measured int, most float64) {
	t.Helper()
	const slack = 32 << 10 // what the test itself, and the rounding of allocations, come to
	if measured > estimate+slack {
		t.Errorf("%s takes %d bytes, said to be %d", what, measured, estimate)
	}
	if float64(estimate) > most*float64(measured)+slack {
		t.Errorf("%s takes %d bytes, said to be as many as %d", what, measured, estimate)
	}
}

// estimateListSize returns how many bytes a list takes that has a text of so many bytes and lines: in force, and at most while
// a [ListBuilder] compiles it, its result included and its text not. It is an upper bound for lists of ASCII; of a list with many
// comments, empty lines or entries that occur twice, it takes these for entries.
func estimateListSize(textBytes, lines int) (retained, peak int) {
	const slack = 16 << 10 // the struct, texts of faults, what allocations are rounded up by
	pages := textBytes - lines + lines*listHeader
	groups := groupsFor(lines) * groupSize
	// The groups grow by a quarter, and of the last page most may be free.
	return pages + groups + groups/50 + slack, pages + groups + groups/4 + min(pages, pageSize) + slack
}

func TestAListIsNoLargerThanEstimated(t *testing.T) {
	for sentence, text := range realisticLists() {
		t.Run(sentence, func(t *testing.T) {
			list, measured := taken(func() *List { return CompileList(text) })
			if list.Fault() != "" {
				t.Fatal(list.Fault())
			}
			within(t, "the list", list.Size(), measured, 1.05)
			estimate, _ := estimateListSize(len(text), bytes.Count(text, []byte("\n")))
			within(t, "the list, by its text,", estimate, measured, 1.3)
			runtime.KeepAlive(list)
		})
	}
}

// What a list takes at most while it is compiled is taken before its groups and its last page are fitted.
func TestWhatAListTakesAtMostIsEstimated(t *testing.T) {
	for sentence, text := range realisticLists() {
		t.Run(sentence, func(t *testing.T) {
			b, measured := taken(func() *ListBuilder {
				b := NewListBuilder()
				b.Add(text)
				return b
			})
			_, peak := estimateListSize(len(text), bytes.Count(text, []byte("\n")))
			within(t, "compiling the list", peak, measured, 2)
			runtime.KeepAlive(b)
		})
	}
}

// manyPolicies returns policies with so many entries in every field, about as long as people's are.
func manyPolicies(policies, entries int) []Policy {
	var all []Policy
	for i := range policies {
		p := Policy{PolicyName: PolicyName{"tenant", fmt.Sprintf("p%d", i)}, Message: "Please write to us."}
		for j := range entries {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("partner-%d-%d.example.com", i, j))
			p.Allow.PublicSuffixes = append(p.Allow.PublicSuffixes, fmt.Sprintf("*.school-%d-%d.example.ac.uk", i, j))
			p.Allow.Addresses = append(p.Allow.Addresses, fmt.Sprintf("firstname%d@partner-%d.example.org", j, i))
			p.Deny.Domains = append(p.Deny.Domains, fmt.Sprintf("unwanted-%d-%d.example.net", i, j))
			p.Deny.Addresses = append(p.Deny.Addresses, fmt.Sprintf("somebody%d@partner-%d.example.org", j, i))
		}
		all = append(all, p)
	}
	return all
}

func entryTexts(policies []Policy) (size int) {
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
	for sentence, policies := range map[string][]Policy{
		"many entries in every field": manyPolicies(20, 1000),
		"policies of 10 entries":      manyPolicies(2000, 2),
		"domains of other alphabets":  {{PolicyName: PolicyName{"ns", "idn"}, Deny: DenyRules{Domains: idn}}},
	} {
		t.Run(sentence, func(t *testing.T) {
			CompilePolicy(policies[0]) // so that tables which are made at their first use are there
			type made struct {
				compiled []*Compiled
				snapshot *Snapshot
			}
			m, measured := taken(func() made {
				var m made
				for i := range policies {
					m.compiled = append(m.compiled, CompilePolicy(policies[i]))
				}
				m.snapshot = Assemble(nil, m.compiled)
				return m
			})
			size, texts := 0, entryTexts(policies)
			for _, c := range m.compiled {
				size += c.Size()
			}
			within(t, "a set of policies", size+size/5, measured, 1.3)
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
	c, measured := taken(func() *Compiled {
		text := strings.Repeat("x", large) + "ns name acme.com jo@acme.com userType rul1 hello list *.acme.org x"
		part := func(s string) string { at := strings.Index(text[large:], s); return text[large+at:][:len(s)] }
		return CompilePolicy(Policy{
			PolicyName: PolicyName{part("ns"), part("name")}, Sources: []string{part("rul1")}, Message: part("hello"),
			Allow: AllowRules{
				Domains: []string{part("acme.com"), part("x")}, PublicSuffixes: []string{part("*.acme.org")}, Addresses: []string{part("jo@acme.com")},
				Lists: []ListUse{{Name: part("list")}},
			},
			Deny:    DenyRules{Domains: []string{part("x")}, Addresses: []string{part("jo@acme.com")}, Lists: []ListUse{{Name: part("list"), Missing: part("x")}}},
			Profile: []ProfileAttribute{{Name: part("userType"), Value: part("x")}},
		})
	})
	if measured > large/2 {
		t.Errorf("%d bytes", measured)
	}
	runtime.KeepAlive(c)
}

// However a text is cut between lines, its list is the same.
func TestAListOfPiecesIsTheListOfTheWhole(t *testing.T) {
	text := realisticLists()["with comments"]
	whole := CompileList(text)
	b := NewListBuilder()
	for piece := range bytes.SplitAfterSeq(text, []byte("7.example\n")) {
		b.Add(piece)
	}
	list := b.Finish()
	if list.Digest() != whole.Digest() || list.Entries() != whole.Entries() || list.Size() != whole.Size() {
		t.Errorf("%s with %d entries in %d bytes, want %s with %d in %d", list.Digest(), list.Entries(), list.Size(), whole.Digest(), whole.Entries(), whole.Size())
	}
	for entry := range whole.All() {
		if !list.Has(entry) {
			t.Fatalf("%s is missing", entry)
		}
	}
}

func TestTheDigestOfPiecesIsThatOfTheirTexts(t *testing.T) {
	for _, pieces := range [][]string{{}, {""}, {"a.test"}, {"a.test", ""}, {"a.test", "", "b.test"}, {"", "a.test\n", "b.test"}, {"a.test", "b.test\n", ""}} {
		b := NewListBuilder()
		var texts [][]byte
		for _, piece := range pieces {
			b.Add([]byte(piece))
			texts = append(texts, []byte(piece))
		}
		if got, want := b.Finish().Digest(), listDigest(texts...); got != want {
			t.Errorf("%q: %s, want %s", pieces, got, want)
		}
	}
}

// However many entries there are, only so many are compared, and whose are not is said.
func TestWarningsCompareSoManyEntriesAtMost(t *testing.T) {
	policies := manyPolicies(60, 1000) // 5,000 entries each
	w, measured := taken(func() *warner { return newWarner(policies) })
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
	policies := manyPolicies(60, 1000) // 300,000 entries
	for i := range policies {
		policies[i].Namespace = "a-flood"
	}
	tenants := manyPolicies(3, 100) // 1,500 entries
	for i := range tenants {
		tenants[i].Namespace = "tenant"
	}
	unread := map[string]int{}
	for _, warning := range Warnings(slices.Concat(policies, tenants)) {
		if strings.HasPrefix(warning.Message, "no warnings are given of this policy") {
			unread[warning.Policy.Namespace]++
		}
	}
	if want := 60 - (maxLinted-1500)/5000; unread["a-flood"] != want || unread["tenant"] != 0 {
		t.Errorf("%v are said not to be compared, want %d of a-flood and none of tenant", unread, want)
	}
}

// listDigest returns what List.Digest is for the list that CompileList makes of the texts.
func listDigest(texts ...[]byte) string {
	hash := sha256.New()
	for i, text := range texts {
		hash.Write(text)
		if i < len(texts)-1 && len(text) > 0 && text[len(text)-1] != '\n' {
			hash.Write([]byte{'\n'})
		}
	}
	return "sha256:" + hex.EncodeToString(hash.Sum(nil))
}
