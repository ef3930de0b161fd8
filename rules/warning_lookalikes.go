package rules

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/net/publicsuffix"
)

// shortName is the length in characters up to which a name is not said to be one letter off another: of such names,
// nearly all are.
const shortName = 4

// allowedName is a registrable domain, and the entries that allow it or something below it: of each policy the first.
type allowedName struct {
	name  string // canonical: acme.co.uk
	label int    // the length of its first label
	first entryRef
	more  []entryRef
	like  []int32 // names that look alike, by their places
}

// warnOfLookAlikes warns of allowed domains that look alike: with the same skeleton, or one letter off under the same
// public suffix. Which of the two was not meant cannot be told: both have a warning.
func (w *warner) warnOfLookAlikes() {
	names := w.allowedNames()
	for _, near := range nearNames(names) {
		compareAll(names, near)
	}
	for i := range names {
		a := &names[i]
		if len(a.like) == 0 {
			continue
		}
		like := slices.MinFunc(a.like, func(i, j int32) int { return strings.Compare(names[i].name, names[j].name) })
		b := &names[like]
		other, otherEntry := w.entry(b.first)
		for _, ref := range append([]entryRef{a.first}, a.more...) {
			p, e := w.entry(ref)
			place := "of this policy"
			if other != p {
				place = "of policy " + other.name.String()
			}
			p.warn(e.String(), "%s looks like %s (%s %s): is it a slip, or somebody who passes for the other? Remove the one that is not meant",
				shown(a.name), shown(b.name), otherEntry, place)
		}
	}
}

// shown returns a name so that it can be told from one that looks alike: A-labels stay, and what they show follows.
func shown(name string) string {
	if u := unicodeName(name); u != name {
		return name + " (" + u + ")"
	}
	return name
}

// compareAll notes which of some names are alike.
func compareAll(names []allowedName, some []int32) {
	some = some[:min(len(some), maxCompared)]
	for i, a := range some {
		for _, b := range some[:i] {
			if a != b && names[a].looksLike(&names[b]) {
				names[a].like = append(names[a].like, b)
				names[b].like = append(names[b].like, a)
			}
		}
	}
}

// allowedNames returns the registrable domains of all allow entries, in the order of these. Lists are left out: their
// names are many, and not written by hand.
func (w *warner) allowedNames() []allowedName {
	var names []allowedName
	places := map[string]int32{}
	for i := range w.policies {
		p := &w.policies[i]
		if !p.enforceable {
			continue
		}
		for j := range p.entries {
			e := &p.entries[j]
			if e.rung.denies() || e.rung == rungAllowAny || e.dead {
				continue
			}
			name := registrableName(e.patterns[0].name)
			if name == "" {
				continue
			}
			ref := entryRef{int32(i), int32(j)}
			place, known := places[name]
			if !known {
				places[name] = int32(len(names)) //nolint:gosec // at most maxLinted names
				names = append(names, allowedName{name: name, label: strings.IndexByte(name, '.'), first: ref})
				continue
			}
			n := &names[place]
			last := n.first
			if len(n.more) > 0 {
				last = n.more[len(n.more)-1]
			}
			if last.policy != ref.policy {
				n.more = append(n.more, ref)
			}
		}
	}
	return names
}

// registrableName returns the part of a canonical name that somebody registered: the public suffix and one label. It is
// "" for a public suffix.
func registrableName(name string) string {
	suffix := sharedSuffixOf(name)
	if suffix == "" {
		suffix, _ = publicsuffix.PublicSuffix(name)
	}
	rest := len(name) - len(suffix) - len(".")
	if rest <= 0 {
		return ""
	}
	return name[strings.LastIndexByte(name[:rest], '.')+1:]
}

func sharedSuffixOf(name string) string {
	for _, suffix := range sharedSuffixes {
		if strings.HasSuffix(name, suffix) && (len(name) == len(suffix) || name[len(name)-len(suffix)-1] == '.') {
			return suffix
		}
	}
	return ""
}

// nearNames returns groups in which names that look alike are together, and others too. Alike are names with the same
// skeleton, and names with the same rest where one letter, or none, is left out.
//
// Names may be a million, with ten such keys each. So keys are hashed, first only to find out which of them occur
// twice.
func nearNames(names []allowedName) [][]int32 {
	total := 0
	for i := range names {
		total += names[i].label + 2
	}
	const bitsPerKey = 16 // one in so many keys is taken for a double one by chance
	seen, twice := newBits(total*bitsPerKey), newBits(total*bitsPerKey)
	for i := range names {
		for key := range names[i].keys {
			if seen.add(key) {
				twice.add(key)
			}
		}
	}
	type keyed struct {
		key  uint64
		name int32
	}
	var doubled []keyed
	for i := range names {
		for key := range names[i].keys {
			if twice.has(key) {
				doubled = append(doubled, keyed{key, int32(i)}) //nolint:gosec // an index of names, as above
			}
		}
	}
	slices.SortFunc(doubled, func(a, b keyed) int { return cmp.Or(cmp.Compare(a.key, b.key), cmp.Compare(a.name, b.name)) })
	doubled = slices.Compact(doubled)
	var groups [][]int32
	for len(doubled) > 0 {
		var group []int32
		for _, k := range doubled {
			if k.key != doubled[0].key {
				break
			}
			group = append(group, k.name)
		}
		doubled = doubled[len(group):]
		if len(group) > 1 {
			groups = append(groups, group)
		}
	}
	return groups
}

// bitSet is a set of keys that now and then has one that was not added.
type bitSet struct {
	words []uint64
	mask  uint64
}

func newBits(atLeast int) bitSet {
	size := uint64(1) << bits.Len(uint(max(atLeast, 64)))
	return bitSet{make([]uint64, size/64), size - 1}
}

// add adds a key, and says whether it was there.
func (b bitSet) add(key uint64) bool {
	at := key & b.mask
	was := b.has(key)
	b.words[at/64] |= 1 << (at % 64)
	return was
}

func (b bitSet) has(key uint64) bool {
	at := key & b.mask
	return b.words[at/64]&(1<<(at%64)) != 0
}

// hashBase is that of the polynomial by which keys are hashed: any odd number of which the bits are mixed. What
// collides is compared.
const hashBase = 0x9e3779b97f4a7c15

// keys yields what names that look alike have in common, as hashes.
func (n *allowedName) keys(yield func(uint64) bool) {
	rest := hashed(n.name[n.label:])
	var room [maxLabel + 1]rune
	label := append(room[:0], []rune(unicodeName(n.name[:n.label]))...)
	// The hash of what is before each letter, and of what is after it, times the base for each letter before that.
	var after uint64
	var powers [maxLabel + 1]uint64
	var afters [maxLabel + 1]uint64
	if len(label) > maxLabel {
		label = label[:maxLabel] // no label has more characters than bytes
	}
	power := uint64(1)
	for i := len(label) - 1; i >= 0; i-- {
		afters[i], powers[i] = after, power
		after += letter(label[i]) * power
		power *= hashBase
	}
	if len(label) >= shortName && !yield(mixed(after, rest)) {
		return
	}
	var before uint64
	for i, r := range label {
		if len(label) >= shortName && !yield(mixed(before*powers[i]+afters[i], rest)) {
			return
		}
		before = before*hashBase + letter(r)
	}
	yield(mixed(hashed(skeleton(n.name)), hashBase))
}

// letter is what a character counts for in a hash: not nothing.
func letter(r rune) uint64 { return uint64(r) + 1 } //nolint:gosec // a character is not negative

func hashed(text string) uint64 {
	var hash uint64
	for i := range len(text) {
		hash = hash*hashBase + uint64(text[i]) + 1
	}
	return hash
}

// mixed joins two hashes so that all bits count for all.
func mixed(a, b uint64) uint64 {
	const odd = 0xbf58476d1ce4e5b9
	a ^= b * odd
	a = (a ^ a>>32) * odd
	return a ^ a>>29
}

// looksLike says that two names may be mistaken for each other.
func (n *allowedName) looksLike(o *allowedName) bool {
	return n.oneLetterOff(o) || skeleton(n.name) == skeleton(o.name)
}

// oneLetterOff says that one letter was exchanged, put in, left out, or has changed places with the next. Names that
// differ in digits only, such as team1 and team2, are numbered and not mistaken.
func (n *allowedName) oneLetterOff(o *allowedName) bool {
	first, second := unicodeName(n.name[:n.label]), unicodeName(o.name[:o.label])
	a, b := []rune(first), []rune(second)
	if n.name[n.label:] != o.name[o.label:] || min(len(a), len(b)) <= shortName || withoutDigits(first) == withoutDigits(second) {
		return false
	}
	for len(a) > 0 && len(b) > 0 && a[0] == b[0] {
		a, b = a[1:], b[1:]
	}
	for len(a) > 0 && len(b) > 0 && a[len(a)-1] == b[len(b)-1] {
		a, b = a[:len(a)-1], b[:len(b)-1]
	}
	switch {
	case max(len(a), len(b)) == 1:
		return true
	case len(a) == 2 && len(b) == 2:
		return a[0] == b[1] && a[1] == b[0]
	default:
		return false
	}
}

func withoutDigits(label string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsDigit(r) {
			return -1
		}
		return r
	}, label)
}
