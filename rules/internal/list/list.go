// Package list compiles lists of entries, and looks up addresses in them. A list of a million entries takes little more
// memory than its text.
package list

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"iter"
	"strings"
	"unsafe"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/pattern"
)

const (
	// maxEntries bounds a list: four times the million entries that the package is designed for.
	maxEntries = 4_000_000
	// maxText is the size in bytes of a list's text: several times what maxEntries entries take, and small enough for
	// the offsets of the table.
	maxText = 512 << 20
	// maxNumbers is how many numbers a lineNumbers holds. An author gets the next ones after fixing these lines.
	maxNumbers = 10
	// malformedPercent is the share of a list's lines that may be malformed, in percent. With a higher share, the text
	// is probably another sort of file, such as a hosts file, and the list counts as missing.
	malformedPercent = 1
)

// List is a list of entries, compiled once for all the policies that use it. It is immutable, and safe for concurrent
// use. [Compile] makes one.
type List struct {
	digest  string
	table   table
	entries int
	// subAddresses: some entry is an address with its sub-addresses. If not, Verdict skips the lookup of such an entry.
	subAddresses bool
	skipped      lineNumbers // see List.Skipped
	unusable     lineNumbers // see List.Unusable
	suffixes     lineNumbers // see List.Suffixes
	fault        string
}

// lineNumbers counts the lines of a list that have some property. It holds the numbers of the first maxNumbers of them.
type lineNumbers struct {
	Count int
	First []int
}

func (n *lineNumbers) add(line int) {
	n.Count++
	if len(n.First) < maxNumbers {
		n.First = append(n.First, line)
	}
}

// Compile compiles a list of one entry a line: a domain, "*." and a domain, a whole address, or jo+*@ and a domain for
// an address with its sub-addresses. It ignores empty lines, and what follows a # at the start of a line or after a
// blank. It accepts blanks around an entry, CRLF, and a byte order mark at the start of a line. It skips and counts any
// other line ([List.Skipped]). "*" is not an entry of a list, so that a list cannot mean everybody by accident.
//
// Compile joins the texts in order. It adds a newline after a text that does not end in one, so no entry spans two
// texts. It does not keep the texts. It never returns an error: [List.Fault] says whether the list can be used.
func Compile(texts ...[]byte) *List {
	b := NewBuilder()
	for _, text := range texts {
		b.Add(text)
	}
	return b.Finish()
}

// Builder compiles a list from texts that come one after the other, so that the caller need not hold all of them at
// once. While it builds a list, it takes little more memory than the list. Only one goroutine may use it. [NewBuilder]
// makes one.
type Builder struct {
	list    *List
	table   table
	digest  hash.Hash
	size    int  // of the texts so far, in bytes
	number  int  // the number of the last line that was read
	lines   int  // how many lines are neither empty nor comments
	unended bool // the last line of the texts so far lacks its newline
}

// NewBuilder returns a builder of a list that is empty so far.
func NewBuilder() *Builder {
	return &Builder{list: &List{}, table: newTable(), digest: sha256.New()}
}

// Add compiles the next text. It does not keep it.
func (b *Builder) Add(text []byte) {
	if b.unended {
		b.digest.Write([]byte{'\n'})
	}
	b.digest.Write(text)
	b.unended = len(text) > 0 && text[len(text)-1] != '\n'
	if b.size += len(text); b.size > maxText {
		b.fail(fmt.Sprintf("it has over %d MiB", maxText>>20))
	}
	if b.list.fault != "" {
		return
	}
	for line := range lines(text) {
		b.number++
		if b.list.add(&b.table, b.number, line) {
			b.lines++
		}
		if b.list.entries > maxEntries {
			b.fail(fmt.Sprintf("it has over %d entries", maxEntries))
			return
		}
	}
}

func (b *Builder) fail(fault string) { b.list.fault, b.table = fault, table{} }

// Finish returns the list of the texts, as [Compile] does. The builder must not be used after that.
func (b *Builder) Finish() *List {
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

// add adds the entry of one line to the list. It returns false for an empty line and for a comment.
func (l *List) add(table *table, number int, text string) bool {
	entry, empty := readLine(text)
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
			kinds &= denyKinds // a further name that the entry can mean: only the first name may allow
		}
		if before := table.add(key, kinds); i == 0 && before&kinds&writtenKinds == 0 {
			l.entries++
		}
	}
	return true
}

// Digest identifies the list's text: "sha256:" and the 64 hexadecimal digits that sha256sum prints for a file with this
// text.
func (l *List) Digest() string { return l.digest }

// Entries returns how many different entries the list has. For a list with a fault, it returns how many were read.
func (l *List) Entries() int { return l.entries }

// Skipped returns how many lines are not entries, and the numbers of the first ten of them, counted from 1.
func (l *List) Skipped() (count int, lines []int) { return l.skipped.Count, l.skipped.First }

// Unusable returns how many lines have entries that can only deny, and the numbers of the first ten of them: public
// suffixes, and names that programs read in several ways. Such an entry has no effect in a list that allows.
func (l *List) Unusable() (count int, lines []int) { return l.unusable.Count, l.unusable.First }

// Suffixes returns how many lines have an entry that means a country, or a sector of it, such as be, com.ar or *.ac.uk,
// and the numbers of the first ten of them. In a list that denies, such an entry is probably a mistake.
func (l *List) Suffixes() (count int, lines []int) { return l.suffixes.Count, l.suffixes.First }

// Fault says why the list cannot be used, and what to write instead: the list has no entry, has too many lines that are
// not entries, or is too large. "" means that the list can be used.
func (l *List) Fault() string { return l.fault }

// Has reports whether the list has an entry, which is given in canonical form: acme.com, *.acme.com, an address,
// or jo+*@acme.com.
func (l *List) Has(entry string) bool {
	name, below := pattern.CutWildcard(entry)
	if below && !strings.Contains(entry, "@") { // the local part of an address may begin like a wildcard
		return l.table.find(name)&writtenWildcard != 0
	}
	return l.table.find(entry)&writtenPlain != 0
}

// All yields the entries in canonical form, in no particular order. Some may be whole addresses.
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

// Reading is a name, or the key of an address, that an entry of a list can be read as.
type Reading struct {
	// Key is the canonical name, or the form of the address by which addresses are compared.
	Key string
	// Self and Below say what the entry matches: the name itself or the address, and the names below.
	Self, Below bool
}

// Readings yields what the list matches in a policy that denies by it, or in one that allows by it, in no particular
// order.
func (l *List) Readings(denies bool) iter.Seq[Reading] {
	self, below := allowSelf, allowBelow
	if denies {
		self, below = denySelf, denyBelow
	}
	return func(yield func(Reading) bool) {
		for key, kinds := range l.table.all() {
			if kinds&(self|below) != 0 && !yield(Reading{key, kinds&self != 0, kinds&below != 0}) {
				return
			}
		}
	}
}

// Verdict says what a policy that uses a list does with an address or a name. Zero means that no entry matches.
type Verdict kinds

// Allows reports whether a policy that allows by the list allows the address or name.
func (v Verdict) Allows() bool { return kinds(v)&allowKinds != 0 }

// Denies reports whether a policy that denies by the list denies the address or name.
func (v Verdict) Denies() bool { return kinds(v)&denyKinds != 0 }

// Denies reports whether a policy that denies by this list denies the addresses of a domain.
func (l *List) Denies(domain address.Domain) bool {
	return l.Verdict(nil, nil, domain.String()).Denies()
}

// Verdict returns the verdict on an address. For the address, key is the result of address.AppendKey, subAddressesKey
// that of address.AppendSubAddressesKey, and name the name of its domain. Without keys, Verdict returns the verdict on
// the domain. It does one lookup for each key, for the domain, and for each parent of the domain. The lookup of an empty
// key finds nothing.
func (l *List) Verdict(key, subAddressesKey []byte, name string) Verdict {
	const self = allowSelf | denySelf
	found := l.table.findBytes(key) | l.table.find(name)
	if l.subAddresses {
		found |= l.table.findBytes(subAddressesKey)
	}
	return Verdict(found&self) | l.Below(parentOf(name))
}

// Below returns the verdict that all names below a name share. It counts only entries that match everything below the
// name, or everything below a parent of it.
func (l *List) Below(name string) Verdict {
	var found kinds
	for ; name != ""; name = parentOf(name) {
		found |= l.table.find(name) & (allowBelow | denyBelow)
	}
	return Verdict(found)
}

// Match returns, in canonical form, the entry by which the list denies a domain. If denies is false, it returns the one
// by which the list allows the domain. It returns "" if no entry matches. It ignores entries for addresses.
func (l *List) Match(name string, denies bool) string {
	of := allowKinds
	if denies {
		of = denyKinds
	}
	if l.table.find(name)&of&(allowSelf|denySelf) != 0 {
		return name
	}
	for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
		if found := l.table.find(parent); found&of&(allowBelow|denyBelow) != 0 {
			if found&writtenPlain != 0 && denies {
				return parent
			}
			return "*." + parent
		}
	}
	return ""
}

// Size returns how many bytes the list takes in memory.
func (l *List) Size() int {
	return int(unsafe.Sizeof(*l)) + len(l.digest) + len(l.fault) + l.table.size() +
		(cap(l.skipped.First)+cap(l.unusable.First)+cap(l.suffixes.First))*int(unsafe.Sizeof(int(0)))
}

// parentOf returns the name without its first label, "" for a name of one label.
func parentOf(name string) string {
	_, parent, _ := strings.Cut(name, ".")
	return parent
}
