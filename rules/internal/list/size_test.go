package list

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/test/heap"
)

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

// estimateListSize returns how many bytes a list takes that has a text of so many bytes and lines: in force, and at most while
// a [Builder] compiles it, its result included and its text not. It is an upper bound for lists of ASCII; of a list with many
// comments, empty lines or entries that occur twice, it takes these for entries.
func estimateListSize(textBytes, lines int) (retained, peak int) {
	const slack = 16 << 10 // the struct, texts of faults, what allocations are rounded up by
	pages := textBytes - lines + lines*headerSize
	groups := groupsFor(lines) * groupSize
	// The groups grow by a quarter, and of the last page most may be free.
	return pages + groups + groups/50 + slack, pages + groups + groups/4 + min(pages, pageSize) + slack
}

func TestAListIsNoLargerThanEstimated(t *testing.T) {
	for sentence, text := range realisticLists() {
		t.Run(sentence, func(t *testing.T) {
			list, measured := heap.Taken(func() *List { return Compile(text) })
			if list.Fault() != "" {
				t.Fatal(list.Fault())
			}
			heap.Check(t, "the list", list.Size(), measured, 1.05)
			estimate, _ := estimateListSize(len(text), bytes.Count(text, []byte("\n")))
			heap.Check(t, "the list, by its text,", estimate, measured, 1.3)
			runtime.KeepAlive(list)
		})
	}
}

func TestTextsAndNumbersOfLinesCountForTheSizeOfAList(t *testing.T) {
	const numbers, bytesOfOne = 10, 8
	empty := (&List{}).Size()
	for sentence, list := range map[string]*List{
		"skipped":  {skipped: lineNumbers{First: make([]int, numbers)}},
		"unusable": {unusable: lineNumbers{First: make([]int, numbers)}},
		"a digest": {digest: strings.Repeat("d", numbers*bytesOfOne)},
		"a fault":  {fault: strings.Repeat("f", numbers*bytesOfOne)},
		"suffixes": {suffixes: lineNumbers{First: make([]int, numbers)}},
	} {
		if got := list.Size() - empty; got != numbers*bytesOfOne {
			t.Errorf("%s: %d bytes, want %d", sentence, got, numbers*bytesOfOne)
		}
	}
}

// What a list takes at most while it is compiled is taken before its groups and its last page are fitted.
func TestWhatAListTakesAtMostIsEstimated(t *testing.T) {
	for sentence, text := range realisticLists() {
		t.Run(sentence, func(t *testing.T) {
			b, measured := heap.Taken(func() *Builder {
				b := NewBuilder()
				b.Add(text)
				return b
			})
			_, peak := estimateListSize(len(text), bytes.Count(text, []byte("\n")))
			heap.Check(t, "compiling the list", peak, measured, 2)
			runtime.KeepAlive(b)
		})
	}
}

// However a text is cut between lines, its list is the same.
func TestAListOfPiecesIsTheListOfTheWhole(t *testing.T) {
	text := realisticLists()["with comments"]
	whole := Compile(text)
	b := NewBuilder()
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
		b := NewBuilder()
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

// listDigest returns what List.Digest is for the list that Compile makes of the texts.
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
