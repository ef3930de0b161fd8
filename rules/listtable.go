package rules

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
)

// listTable maps the keys of a list to their kinds: a hash table of 1-byte tags in groups of eight with offsets into pages of
// text. It has no pointers but those to the pages, so that the collector passes a million entries by, and takes little more than
// their text. Its zero value is empty.
//
// It grows without a copy of the text, and so needs little more memory while it is made than when it is done: a text of unknown
// length can be read piece by piece.
//
// The hash is seeded anew in every process: names come from strangers, lists from third parties, and none of them shall know which
// collide.
type listTable struct {
	seed   maphash.Seed
	groups []listGroup
	pages  [][]byte // of entries: each its kinds, the length of its key, its key. None is on two pages
	count  int
}

// listGroup holds eight slots. A tag of 0 is a free one.
type listGroup struct {
	tags    [groupSlots]uint8
	offsets [groupSlots]uint32 // the number of a page, and in the last pageBits where on it the entry begins
}

const (
	groupSlots = 8
	groupSize  = groupSlots * (1 + 4)
	// listLoad is the part of the slots that are taken, in percent: with more, a miss looks into many groups.
	listLoad = 85
	// listHeader is the size in bytes of what is before a key.
	listHeader = 2

	// pageBits: a page of 1 MiB is as large as a shard of a list, and little for a list of a few.
	pageBits = 20
	pageSize = 1 << pageBits
)

func newListTable() listTable {
	return listTable{seed: maphash.MakeSeed(), groups: make([]listGroup, 1)}
}

// groupsFor returns how many groups so many keys want.
func groupsFor(keys int) int { return keys*100/(listLoad*groupSlots) + 1 }

// add adds kinds to those of a key, and returns what they were before. A key has at most 255 bytes.
func (t *listTable) add(key string, kinds listKinds) (before listKinds) {
	if t.count*100 >= len(t.groups)*groupSlots*listLoad {
		t.regroup(len(t.groups) + len(t.groups)/4 + 1)
	}
	slot, tag, entry := seek(t, key, maphash.String(t.seed, key))
	if entry != nil {
		before = listKinds(entry[0])
		entry[0] |= byte(kinds)
		return before
	}
	t.groups[slot/groupSlots].set(slot, tag, t.write(key, kinds))
	t.count++
	return 0
}

func (g *listGroup) set(slot int, tag uint8, offset uint32) {
	g.tags[slot%groupSlots], g.offsets[slot%groupSlots] = tag, offset
}

// write puts an entry on the last page, or on a new one, and returns its offset.
func (t *listTable) write(key string, kinds listKinds) (offset uint32) {
	last := len(t.pages) - 1
	switch {
	case last < 0:
		t.pages, last = [][]byte{make([]byte, 0, 1<<10)}, 0
	case len(t.pages[last])+listHeader+len(key) > pageSize:
		t.pages, last = append(t.pages, make([]byte, 0, pageSize)), last+1
	}
	page := t.pages[last]
	if len(page)+listHeader+len(key) > cap(page) { // the first: most lists are small
		page = append(make([]byte, 0, min(2*cap(page), pageSize)), page...)
	}
	offset = uint32(last)<<pageBits | uint32(len(page)) //nolint:gosec // maxListText bounds both below 2³²
	page = append(page, byte(kinds), byte(len(key)))    //nolint:gosec // a key has at most maxAddress bytes, below 256
	t.pages[last] = append(page, key...)
	return offset
}

// entryAt returns the entry at an offset, and what follows it on its page.
func (t *listTable) entryAt(offset uint32) []byte {
	return t.pages[offset>>pageBits][offset&(pageSize-1):]
}

// find returns the kinds of a key, 0 if it is not there.
func (t *listTable) find(key string) listKinds {
	if t.count == 0 {
		return 0
	}
	_, _, entry := seek(t, key, maphash.String(t.seed, key))
	if entry == nil {
		return 0
	}
	return listKinds(entry[0])
}

// findBytes is find for a key that is not yet text.
func (t *listTable) findBytes(key []byte) listKinds {
	if t.count == 0 {
		return 0
	}
	_, _, entry := seek(t, key, maphash.Bytes(t.seed, key))
	if entry == nil {
		return 0
	}
	return listKinds(entry[0])
}

// freeSlot returns the slot for a key that the table does not have, and the tag that the key is to have.
func (t *listTable) freeSlot(hash uint64) (slot int, tag uint8) {
	at, tag := t.place(hash)
	for {
		tags := binary.LittleEndian.Uint64(t.groups[at].tags[:])
		if free := (tags - each) &^ tags & (each << 7); free != 0 {
			return at*groupSlots + bits.TrailingZeros64(free)/8, tag
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

// place returns the group in which a key is looked for first, and its tag.
func (t *listTable) place(hash uint64) (group int, tag uint8) {
	high, _ := bits.Mul64(hash, uint64(len(t.groups)))
	return int(high), max(uint8(hash), 1) //nolint:gosec // the group is below len(t.groups); the tag is the last byte
}

const each = 0x0101010101010101 // a number in every byte

// seek returns the entry of a key; or none, and the free slot with the tag that the key is to have.
func seek[Key string | []byte](t *listTable, key Key, hash uint64) (slot int, tag uint8, entry []byte) {
	at, tag := t.place(hash)
	for {
		group := &t.groups[at]
		tags := binary.LittleEndian.Uint64(group.tags[:])
		// The bytes that are 0 after this are the slots with the tag, and perhaps a few more above one of them.
		same := tags ^ each*uint64(tag)
		for found := (same - each) &^ same & (each << 7); found != 0; found &= found - 1 {
			entry := t.entryAt(group.offsets[bits.TrailingZeros64(found)/8])
			if string(entry[listHeader:listHeader+int(entry[1])]) == string(key) {
				return 0, tag, entry
			}
		}
		if free := (tags - each) &^ tags & (each << 7); free != 0 {
			return at*groupSlots + bits.TrailingZeros64(free)/8, tag, nil
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

// all yields the keys with their kinds, in the order in which they were added.
func (t *listTable) all() iter.Seq2[string, listKinds] {
	return func(yield func(string, listKinds) bool) {
		for _, page := range t.pages {
			for len(page) > 0 {
				end := listHeader + int(page[1])
				if !yield(string(page[listHeader:end]), listKinds(page[0])) {
					return
				}
				page = page[end:]
			}
		}
	}
}

// regroup puts the entries in so many groups. The pages stay, and say all: the former groups are let go of before there are others.
func (t *listTable) regroup(groups int) {
	t.groups = nil
	t.groups = make([]listGroup, groups)
	for number, page := range t.pages {
		for at := 0; at < len(page); {
			end := at + listHeader + int(page[at+1])
			slot, tag := t.freeSlot(maphash.Bytes(t.seed, page[at+listHeader:end]))
			t.groups[slot/groupSlots].set(slot, tag, uint32(number)<<pageBits|uint32(at))
			at = end
		}
	}
}

// fit lets go of what the table takes beyond its need.
func (t *listTable) fit() {
	const most = 2 // percent of the groups that may be too many
	if groups := groupsFor(t.count); (len(t.groups)-groups)*100 > groups*most {
		t.regroup(groups)
	}
	if last := len(t.pages) - 1; last >= 0 {
		t.pages[last] = slices.Clip(slices.Clone(t.pages[last]))
	}
	t.pages = slices.Clip(t.pages)
}

// size returns how many bytes the table takes.
func (t *listTable) size() int {
	size := len(t.groups) * groupSize
	for _, page := range t.pages {
		size += cap(page) + sliceSize
	}
	return size
}
