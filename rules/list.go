package rules

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"
	"strings"
)

const (
	// maxListEntries bounds a list: four times the million that it is made for.
	maxListEntries = 4_000_000
	// maxListText is the size in bytes of a list's text: what maxListEntries entries take, several times over, and little
	// enough for the offsets of the table.
	maxListText = 512 << 20
	// mostNumbers is how many numbers of lines are kept. The others follow once these are fixed.
	mostNumbers = 10
	// malformedPercent is the part of a list's lines that may be no entries. With more, it is some other sort of file.
	malformedPercent = 1
)

// List is a list of entries, compiled once for all the policies that use it. It is immutable, and safe for use by any number
// of callers at the same time. It is made by [CompileList].
type List struct {
	digest  string
	table   listTable
	entries int
	// subAddresses says that some entry is one of an address with its sub-addresses: others need not be looked for.
	subAddresses bool
	skipped      numberedLines
	unusable     numberedLines
	suffixes     numberedLines
	fault        string
}

// numberedLines counts lines, and holds the numbers of the first of them.
type numberedLines struct {
	Count int
	First []int
}

func (n *numberedLines) add(line int) {
	n.Count++
	if len(n.First) < mostNumbers {
		n.First = append(n.First, line)
	}
}

// CompileList compiles a list of one entry a line: a domain, "*." and a domain, a whole address, or jo+*@ and a domain for an
// address with its sub-addresses. Empty lines are left out,
// and what follows a # at the start of a line or after a blank. Blanks around an entry, CRLF and a byte order mark at the start
// of a line are tolerated; everything else that is not an entry is skipped, "*" too: a list must not mean everybody.
//
// The texts are read as one, in order, each with its last line ended. They are not kept. CompileList is total: see [List.Fault].
func CompileList(texts ...[]byte) *List {
	b := NewListBuilder()
	for _, text := range texts {
		b.Add(text)
	}
	return b.Finish()
}

// ListBuilder compiles a list of which the texts come one after the other, so that they need not all be held at once: while a list is
// built, it takes little more memory than when it is done. It is for one goroutine. It is made by [NewListBuilder].
type ListBuilder struct {
	list    *List
	table   listTable
	digest  hash.Hash
	size    int  // of the texts
	number  int  // of the last line
	lines   int  // with something on them
	unended bool // the last line of the texts so far
}

// NewListBuilder returns a builder without texts.
func NewListBuilder() *ListBuilder {
	return &ListBuilder{list: &List{}, table: newListTable(), digest: sha256.New()}
}

// Add takes up a text, and does not keep it.
func (b *ListBuilder) Add(text []byte) {
	if b.unended {
		b.digest.Write([]byte{'\n'})
	}
	b.digest.Write(text)
	b.unended = len(text) > 0 && text[len(text)-1] != '\n'
	if b.size += len(text); b.size > maxListText {
		b.fail(fmt.Sprintf("it has over %d MiB", maxListText>>20))
	}
	if b.list.fault != "" {
		return
	}
	for line := range listLines(text) {
		b.number++
		if b.list.add(&b.table, b.number, line) {
			b.lines++
		}
		if b.list.entries > maxListEntries {
			b.fail(fmt.Sprintf("it has over %d entries", maxListEntries))
			return
		}
	}
}

func (b *ListBuilder) fail(fault string) { b.list.fault, b.table = fault, listTable{} }

// Finish returns the list of the texts, as [CompileList] does. The builder must not be used any more.
func (b *ListBuilder) Finish() *List {
	l := b.list
	l.digest = "sha256:" + hex.EncodeToString(b.digest.Sum(nil))
	switch {
	case l.fault != "":
	case l.entries == 0:
		l.fault = "it has no entry; write one a line: a domain, *. and a domain, or a whole address"
	case l.skipped.Count*100 > b.lines*malformedPercent:
		l.fault = fmt.Sprintf("over %d %% of its lines are not entries (the first is line %d); write one entry a line: "+
			"a domain, *. and a domain, or a whole address", malformedPercent, l.skipped.First[0])
	default:
		b.table.fit()
		l.table = b.table
	}
	return l
}

// add takes up one line, and says whether there is something on it.
func (l *List) add(table *listTable, number int, line string) bool {
	entry, empty := readListLine(line)
	switch {
	case empty:
		return false
	case len(entry.keys) == 0:
		l.skipped.add(number)
		return true
	case !entry.allows:
		l.unusable.add(number)
	}
	if entry.suffix {
		l.suffixes.add(number)
	}
	l.subAddresses = l.subAddresses || entry.subAddresses
	for i, key := range entry.keys {
		kinds := entry.kinds
		if i > 0 {
			kinds &= denyKinds // another reading of the same entry: what allows has one
		}
		if before := table.add(key, kinds); i == 0 && before&kinds&writtenKinds == 0 {
			l.entries++
		}
	}
	return true
}

// Digest names the list's text: "sha256:" and the 64 hexadecimal digits that sha256sum prints for a file with it.
func (l *List) Digest() string { return l.digest }

// Entries returns how many different entries the list has. Of a list with a fault, it is how many were read.
func (l *List) Entries() int { return l.entries }

// Skipped returns how many lines are not entries, and the numbers of the first of them, counted from 1.
func (l *List) Skipped() (count int, lines []int) { return l.skipped.Count, l.skipped.First }

// Unusable returns how many lines have entries that only deny, and allow nothing where the list is one that allows, and the
// numbers of the first of them: public suffixes, and names which programs read in several ways.
func (l *List) Unusable() (count int, lines []int) { return l.unusable.Count, l.unusable.First }

// Suffixes returns how many lines have an entry that is the suffix of a registry, such as be, com.ar or *.ac.uk, and the numbers of the
// first of them. Where the list denies, they shut out a country, or a sector of it.
func (l *List) Suffixes() (count int, lines []int) { return l.suffixes.Count, l.suffixes.First }

// Fault says why the list counts as missing, and what to write instead: it has no entry, or too many lines that are none, and
// so is not a list, or it is too big. "" means that it can be used.
func (l *List) Fault() string { return l.fault }

// Has says whether the list has an entry, which is given in canonical form: acme.com, *.acme.com, an address,
// or jo+*@acme.com.
func (l *List) Has(entry string) bool {
	name, below := wildcard(entry)
	if below && !strings.Contains(entry, "@") { // the local part of an address may begin like one
		return l.table.find(name)&writtenWildcard != 0
	}
	return l.table.find(entry)&writtenPlain != 0
}

// All yields the entries in canonical form, in no particular order. They may be whole addresses.
func (l *List) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for key, kinds := range l.table.all() {
			if kinds&writtenPlain != 0 && !yield(key) {
				return
			}
			if kinds&writtenWildcard != 0 && !yield("*."+key) {
				return
			}
		}
	}
}

// Denies says whether a policy that denies by this list denies the addresses of a domain.
func (l *List) Denies(domain Domain) bool { return l.verdict(nil, nil, domain.name)&denyKinds != 0 }

// verdict returns what of allowKinds and denyKinds the list has for an address: one probe for each of its two keys, and one for each
// label of its domain. An empty key is that of no address.
func (l *List) verdict(key, subAddressesKey []byte, name string) listKinds {
	const self, below = allowSelf | denySelf, allowBelow | denyBelow
	var found listKinds
	if len(key) > 0 {
		found |= l.table.findBytes(key) & self
	}
	if l.subAddresses && len(subAddressesKey) > 0 {
		found |= l.table.findBytes(subAddressesKey) & self
	}
	found |= l.table.find(name) & self
	for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
		found |= l.table.find(parent) & below
	}
	return found
}

// matching returns the entry by which verdict finds any of kinds, in canonical form; "" where that is an address.
func (l *List) matching(name string, kinds listKinds) string {
	const self, below = allowSelf | denySelf, allowBelow | denyBelow
	if l.table.find(name)&kinds&self != 0 {
		return name
	}
	for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
		if found := l.table.find(parent); found&kinds&below != 0 {
			if found&writtenPlain != 0 && kinds&denyKinds != 0 {
				return parent
			}
			return "*." + parent
		}
	}
	return ""
}
