package rules

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

// listTable maps the keys of a list to their kinds: a hash table of 1-byte tags in groups of eight with offsets into one block of
// text. It has no pointers but three, so that the collector passes a million entries by, and takes little more than their text.
// Its zero value is empty.
//
// The hash is seeded anew in every process: names come from strangers, lists from third parties, and none of them shall know which
// collide.
type listTable struct {
	seed   maphash.Seed
	groups []listGroup
	text   []byte // each entry: its kinds, the length of its key, its key
	count  int
}

// listGroup holds eight slots. A tag of 0 is a free one.
type listGroup struct {
	tags    [groupSlots]uint8
	offsets [groupSlots]uint32
}

const (
	groupSlots = 8
	// listLoad is the part of the slots that are taken, in percent: with more, a miss looks into many groups.
	listLoad = 85
	// listHeader are the octets of text before a key.
	listHeader = 2
)

// newListTable returns a table with room for so many keys.
func newListTable(keys, text int) listTable {
	groups := keys*100/(listLoad*groupSlots) + 1
	return listTable{
		seed:   maphash.MakeSeed(),
		groups: make([]listGroup, groups),
		text:   make([]byte, 0, text+listHeader*keys),
	}
}

// add adds kinds to those of a key, and returns what they were before. A key has at most 255 octets.
func (t *listTable) add(key string, kinds listKinds) (before listKinds) {
	if t.count*100 >= len(t.groups)*groupSlots*listLoad {
		*t = t.resized(2 * t.count)
	}
	at, tag, offset := seek(t, key, maphash.String(t.seed, key))
	if offset >= 0 {
		before = listKinds(t.text[offset])
		t.text[offset] |= byte(kinds)
		return before
	}
	group := &t.groups[at/groupSlots]
	group.tags[at%groupSlots] = tag
	group.offsets[at%groupSlots] = uint32(len(t.text))   //nolint:gosec // maxListText
	t.text = append(t.text, byte(kinds), byte(len(key))) //nolint:gosec // maxAddress
	t.text = append(t.text, key...)
	t.count++
	return 0
}

// find returns the kinds of a key, 0 if it is not there.
func (t *listTable) find(key string) listKinds {
	if t.count == 0 {
		return 0
	}
	_, _, offset := seek(t, key, maphash.String(t.seed, key))
	if offset < 0 {
		return 0
	}
	return listKinds(t.text[offset])
}

// findBytes is find for a key that is not yet text.
func (t *listTable) findBytes(key []byte) listKinds {
	if t.count == 0 {
		return 0
	}
	_, _, offset := seek(t, key, maphash.Bytes(t.seed, key))
	if offset < 0 {
		return 0
	}
	return listKinds(t.text[offset])
}

// seek returns the offset of a key in the text; or -1, and the free slot with the tag that the key is to have.
func seek[Key string | []byte](t *listTable, key Key, hash uint64) (slot int, tag uint8, offset int) {
	const each = 0x0101010101010101 // a number in every octet
	tag = uint8(hash)               //nolint:gosec // its last octet
	if tag == 0 {
		tag = 1
	}
	high, _ := bits.Mul64(hash, uint64(len(t.groups)))
	at := int(high) //nolint:gosec // below len(t.groups)
	for {
		group := &t.groups[at]
		tags := binary.LittleEndian.Uint64(group.tags[:])
		// The octets that are 0 after this are the slots with the tag, and perhaps a few more above one of them.
		same := tags ^ each*uint64(tag)
		for found := (same - each) &^ same & (each << 7); found != 0; found &= found - 1 {
			begin := int(group.offsets[bits.TrailingZeros64(found)/8])
			end := begin + listHeader + int(t.text[begin+1])
			if string(t.text[begin+listHeader:end]) == string(key) {
				return 0, tag, begin
			}
		}
		if free := (tags - each) &^ tags & (each << 7); free != 0 {
			return at*groupSlots + bits.TrailingZeros64(free)/8, tag, -1
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

func (t *listTable) keyAt(offset int) string {
	key := t.text[offset+listHeader:]
	return string(key[:t.text[offset+1]])
}

// all yields the keys with their kinds, in the order in which they were added.
func (t *listTable) all() iter.Seq2[string, listKinds] {
	return func(yield func(string, listKinds) bool) {
		for at := 0; at < len(t.text); at += listHeader + int(t.text[at+1]) {
			if !yield(t.keyAt(at), listKinds(t.text[at])) {
				return
			}
		}
	}
}

// resized returns a copy with room for so many keys.
func (t *listTable) resized(keys int) listTable {
	other := newListTable(keys, len(t.text)+(keys-t.count)*listHeader)
	for key, kinds := range t.all() {
		other.add(key, kinds)
	}
	return other
}

// fitted returns a copy that takes no more than it needs.
func (t *listTable) fitted() listTable {
	const most = 2 // percent of the groups that may be too many
	groups := t.count*100/(listLoad*groupSlots) + 1
	fitted := *t
	if (len(t.groups)-groups)*100 > groups*most {
		fitted = t.resized(t.count)
	}
	fitted.text = slices.Clip(fitted.text)
	if cap(t.text)*100 > len(t.text)*(100+most) {
		fitted.text = slices.Clone(fitted.text)
	}
	return fitted
}
