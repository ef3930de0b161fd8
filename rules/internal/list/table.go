package list

import (
	"encoding/binary"
	"hash/maphash"
	"iter"
	"math/bits"
	"slices"
	"unsafe"
)

// table maps the keys of a list to their kinds. It is a hash table: groups of eight slots, each with a tag of one byte
// and an offset into pages of text. Its only pointers are those to the pages, so the garbage collector does not scan
// the entries, and the table takes little more memory than their text. Its zero value is empty.
//
// The table grows without copying the text, so that building it takes little more memory than the result, even if the
// length of the list is not known in advance.
//
// Each table has a random hash seed. With a known seed, the author of a list, or anyone who registers, could choose
// names that collide and make lookups slow.
type table struct {
	seed   maphash.Seed
	groups []group
	pages  [][]byte // the entries: each has its kinds, the length of its key, and its key. No entry spans two pages
	count  int
}

// group holds eight slots of a table. A slot holds one key; with the tag 0 it is free. Otherwise the tag is eight bits
// of the key's hash, so that a search reads only entries that probably have its key.
type group struct {
	tags    [groupSlots]uint8
	offsets [groupSlots]uint32 // the number of a page, and in the low pageBits the position of the entry on it
}

const (
	groupSlots = 8
	groupSize  = groupSlots * (1 + 4)
	// maxLoad bounds the share of slots that are in use, in percent. With more, a search for an absent key would read
	// many groups before it finds a free slot.
	maxLoad = 85
	// headerSize is the size in bytes of what precedes a key: its kinds and its length.
	headerSize = 2

	// pageBits: a page has 1<<pageBits bytes, 1 MiB, about as much as one ConfigMap can hold.
	pageBits = 20
	pageSize = 1 << pageBits
)

func newTable() table {
	return table{seed: maphash.MakeSeed(), groups: make([]group, 1)}
}

// groupsFor returns how many groups a table of the given number of keys should have.
func groupsFor(keys int) int { return keys*100/(maxLoad*groupSlots) + 1 }

// add adds kinds to those of a key, and returns what they were before. A key has at most 255 bytes.
func (t *table) add(key string, added kinds) (before kinds) {
	if t.count*100 >= len(t.groups)*groupSlots*maxLoad {
		t.regroup(len(t.groups) + len(t.groups)/4 + 1)
	}
	slot, tag, entry := seek(t, key, maphash.String(t.seed, key))
	if entry != nil {
		before = kinds(entry[0])
		entry[0] |= byte(added)
		return before
	}
	t.groups[slot/groupSlots].set(slot, tag, t.write(key, added))
	t.count++
	return 0
}

func (g *group) set(slot int, tag uint8, offset uint32) {
	g.tags[slot%groupSlots], g.offsets[slot%groupSlots] = tag, offset
}

// write appends an entry to the last page, or to a new one, and returns its offset.
func (t *table) write(key string, kinds kinds) (offset uint32) {
	last := len(t.pages) - 1
	switch {
	case last < 0:
		t.pages, last = [][]byte{make([]byte, 0, 1<<10)}, 0
	case len(t.pages[last])+headerSize+len(key) > pageSize:
		t.pages, last = append(t.pages, make([]byte, 0, pageSize)), last+1
	}
	page := t.pages[last]
	if len(page)+headerSize+len(key) > cap(page) { // only the first page can grow: it starts small for small lists
		page = append(make([]byte, 0, min(2*cap(page), pageSize)), page...)
	}
	offset = uint32(last)<<pageBits | uint32(len(page)) //nolint:gosec // maxText bounds both below 2³²
	page = append(page, byte(kinds), byte(len(key)))    //nolint:gosec // a key has at most 254 bytes
	t.pages[last] = append(page, key...)
	return offset
}

// entryAt returns the entry at an offset, followed by the rest of its page.
func (t *table) entryAt(offset uint32) []byte {
	return t.pages[offset>>pageBits][offset&(pageSize-1):]
}

// find returns the kinds of a key, or 0 if the table does not have it.
func (t *table) find(key string) kinds {
	if t.count == 0 {
		return 0
	}
	_, _, entry := seek(t, key, maphash.String(t.seed, key))
	if entry == nil {
		return 0
	}
	return kinds(entry[0])
}

// findBytes is find for a key in bytes, without converting it.
func (t *table) findBytes(key []byte) kinds {
	if t.count == 0 {
		return 0
	}
	_, _, entry := seek(t, key, maphash.Bytes(t.seed, key))
	if entry == nil {
		return 0
	}
	return kinds(entry[0])
}

// freeSlot returns a free slot for a key that the table does not have yet, and the tag for that key.
func (t *table) freeSlot(hash uint64) (slot int, tag uint8) {
	at, tag := t.place(hash)
	for {
		tags := binary.LittleEndian.Uint64(t.groups[at].tags[:])
		if free := (tags - everyByte) &^ tags & (everyByte << 7); free != 0 {
			return at*groupSlots + bits.TrailingZeros64(free)/8, tag
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

// place returns the group in which the search for a key begins, and the tag of the key.
func (t *table) place(hash uint64) (group int, tag uint8) {
	high, _ := bits.Mul64(hash, uint64(len(t.groups)))
	return int(high), max(uint8(hash), 1) //nolint:gosec // the group is below len(t.groups); the tag is the last byte
}

// everyByte has a 1 in every byte: everyByte*n has the number n in every byte, if n is below 256.
const everyByte = 0x0101010101010101

// seek returns the entry of a key. If the table does not have the key, entry is nil, and slot and tag are where to put
// the key.
func seek[Key string | []byte](t *table, key Key, hash uint64) (slot int, tag uint8, entry []byte) {
	at, tag := t.place(hash)
	for {
		group := &t.groups[at]
		tags := binary.LittleEndian.Uint64(group.tags[:])
		// A byte of same is 0 if its slot has the tag. found gets the highest bit of each zero byte. The borrow of the
		// subtraction may also mark the byte above one: the comparison of keys rules out its slot.
		same := tags ^ everyByte*uint64(tag)
		for found := (same - everyByte) &^ same & (everyByte << 7); found != 0; found &= found - 1 {
			entry := t.entryAt(group.offsets[bits.TrailingZeros64(found)/8])
			if string(entry[headerSize:headerSize+int(entry[1])]) == string(key) {
				return 0, tag, entry
			}
		}
		if free := (tags - everyByte) &^ tags & (everyByte << 7); free != 0 {
			return at*groupSlots + bits.TrailingZeros64(free)/8, tag, nil
		}
		if at++; at == len(t.groups) {
			at = 0
		}
	}
}

// all yields the keys with their kinds, in the order in which they were added.
func (t *table) all() iter.Seq2[string, kinds] {
	return func(yield func(string, kinds) bool) {
		for _, page := range t.pages {
			for len(page) > 0 {
				end := headerSize + int(page[1])
				if !yield(string(page[headerSize:end]), kinds(page[0])) {
					return
				}
				page = page[end:]
			}
		}
	}
}

// regroup rebuilds the groups from the pages, with the given number of groups. It drops the old groups first, so that
// the old and the new ones are not in memory at the same time.
func (t *table) regroup(groups int) {
	t.groups = nil
	t.groups = make([]group, groups)
	for number, page := range t.pages {
		for at := 0; at < len(page); {
			end := at + headerSize + int(page[at+1])
			slot, tag := t.freeSlot(maphash.Bytes(t.seed, page[at+headerSize:end]))
			t.groups[slot/groupSlots].set(slot, tag, uint32(number)<<pageBits|uint32(at))
			at = end
		}
	}
}

// fit releases the memory that a finished table does not need.
func (t *table) fit() {
	const tolerance = 2 // percent of surplus groups that are not worth a rebuild
	if groups := groupsFor(t.count); (len(t.groups)-groups)*100 > groups*tolerance {
		t.regroup(groups)
	}
	if last := len(t.pages) - 1; last >= 0 {
		t.pages[last] = slices.Clip(slices.Clone(t.pages[last]))
	}
	t.pages = slices.Clip(t.pages)
}

// size returns how many bytes of memory the table takes.
func (t *table) size() int {
	size := len(t.groups) * groupSize
	for _, page := range t.pages {
		size += cap(page) + int(unsafe.Sizeof(page))
	}
	return size
}
