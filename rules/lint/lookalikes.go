package lint

import (
	"hash/fnv"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"registrationpolicy.dev/operator/rules/internal/address"
	"registrationpolicy.dev/operator/rules/internal/suffix"
)

// shortName is the maximum length in characters of labels that may differ in one letter without a warning. Nearly every
// short name differs from some other name in only one letter.
const shortName = 4

// allowedName is a registrable domain that policies allow.
type allowedName struct {
	name    string      // canonical, as suffix.Registrable returns it: acme.co.uk
	label   int         // the length of its first label in bytes
	entries []reference // for each policy, the first entry that allows the domain or a name below it
	like    []int32     // the indexes of the allowed names that look like this one
}

// warnOfLookAlikes warns of two allowed domains that look alike: they have the same skeleton (see skeleton), or differ
// in one letter under the same public suffix. Both get a warning, because either may be the one that was not meant.
func (l *linter) warnOfLookAlikes() {
	names := l.allowedNames()
	for _, group := range groupsByKey(names) {
		compareAll(names, group)
	}
	for i := range names {
		a := &names[i]
		if len(a.like) == 0 {
			continue
		}
		like := slices.MinFunc(a.like, func(i, j int32) int { return strings.Compare(names[i].name, names[j].name) })
		b := &names[like]
		other, otherEntry := l.entry(b.entries[0])
		for _, ref := range a.entries {
			p, e := l.entry(ref)
			place := "of this policy"
			if other != p {
				place = "of policy " + other.name.String()
			}
			p.warn(LookAlike, e.String(),
				"%s looks like %s (%s %s): is it a slip, or somebody who passes for the other? Remove the one that is not meant",
				shown(a.name), shown(b.name), otherEntry, place)
		}
	}
}

// shown returns a name in A-labels and, in brackets, in Unicode. In Unicode alone, two names that look alike could not
// be told apart.
func shown(name string) string {
	if u := address.ToUnicode(name); u != name {
		return name + " (" + u + ")"
	}
	return name
}

// allowedNames returns the registrable domains of all allow entries, in the order of the entries. It leaves out the
// entries of lists: lists are long and not written by hand, so that a slip in one letter is unlikely.
func (l *linter) allowedNames() []allowedName {
	var names []allowedName
	indexes := map[string]int32{}
	for i := range l.policies {
		p := &l.policies[i]
		for j := range p.entries {
			e := &p.entries[j]
			if e.effect.denies() || e.effect == allowAny || e.ineffective {
				continue
			}
			name := suffix.Registrable(e.patterns[0].Name)
			if name == "" {
				continue
			}
			index, known := indexes[name]
			if !known {
				index = int32(len(names)) //nolint:gosec // at most maxLinted names
				indexes[name] = index
				names = append(names, allowedName{name: name, label: strings.IndexByte(name, '.')})
			}
			n := &names[index]
			if last := len(n.entries) - 1; last < 0 || n.entries[last].policy != int32(i) {
				n.entries = append(n.entries, reference{int32(i), int32(j)})
			}
		}
	}
	return names
}

// groupsByKey returns groups of names that may look alike. The names of a group share one of the hashes that
// allowedName.keys yields. Some names may share a hash by chance, and not look alike.
func groupsByKey(names []allowedName) [][]int32 {
	// There is about one key for each letter of up to maxLinted names. keyed has a number for each key: the hash of the
	// key in the high bits, and the index of the name in the low bits. A map from keys to names would take far more
	// memory.
	const indexBits = 32
	count := 0
	for i := range names {
		count += names[i].label + 2
	}
	keyed := make([]uint64, 0, count)
	for i := range names {
		for hash := range names[i].keys {
			keyed = append(keyed, uint64(hash)<<indexBits|uint64(i)) //nolint:gosec // an index is not negative
		}
	}
	slices.Sort(keyed)
	keyed = slices.Compact(keyed)
	var groups [][]int32
	for len(keyed) > 0 {
		size := 1
		for size < len(keyed) && keyed[size]>>indexBits == keyed[0]>>indexBits {
			size++
		}
		if size > 1 {
			group := make([]int32, size)
			for i := range group {
				group[i] = int32(keyed[i]) //nolint:gosec // the low bits are an index
			}
			groups = append(groups, group)
		}
		keyed = keyed[size:]
	}
	return groups
}

// keys yields hashes of a name, such that two names that look alike share at least one. The first is the hash of the
// skeleton. For a name that is not short, the hashes of the name itself and of the name without each letter follow: two
// names that differ in one letter share the hash of what remains without this letter.
//
// The hash has no random seed, so that the same policies always get the same warnings.
func (n *allowedName) keys(yield func(uint32) bool) {
	hash := fnv.New32a()
	var buf []byte
	hashOf := func(texts ...string) uint32 {
		buf = buf[:0]
		for _, text := range texts {
			buf = append(buf, text...)
		}
		hash.Reset()
		_, _ = hash.Write(buf) // never fails
		return hash.Sum32()
	}
	if !yield(hashOf(skeleton(n.name))) {
		return
	}
	label, rest := address.ToUnicode(n.name[:n.label]), n.name[n.label:]
	if utf8.RuneCountInString(label) <= shortName || !yield(hashOf(label, rest)) {
		return
	}
	for at, letter := range label {
		if !yield(hashOf(label[:at], label[at+utf8.RuneLen(letter):], rest)) {
			return
		}
	}
}

// compareAll compares each pair of some names, given by their indexes. If two names look alike, it adds each to the
// other's field like. It compares only the first maxCompared names.
func compareAll(names []allowedName, some []int32) {
	some = some[:min(len(some), maxCompared)]
	for i, a := range some {
		for _, b := range some[:i] {
			if names[a].looksLike(&names[b]) {
				names[a].like = append(names[a].like, b)
				names[b].like = append(names[b].like, a)
			}
		}
	}
}

// looksLike reports whether two names may be mistaken for each other.
func (n *allowedName) looksLike(o *allowedName) bool {
	return n.oneLetterOff(o) || skeleton(n.name) == skeleton(o.name)
}

// oneLetterOff reports whether the first labels of two names differ in one letter: one was exchanged, inserted,
// dropped, or swapped with the next. It returns false if they differ in digits only, such as team1 and team2: such
// names are numbered on purpose.
func (n *allowedName) oneLetterOff(o *allowedName) bool {
	first, second := address.ToUnicode(n.name[:n.label]), address.ToUnicode(o.name[:o.label])
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
