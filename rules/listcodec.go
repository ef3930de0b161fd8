package rules

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"strings"
)

const (
	// maxListHead bounds what is read of an encoded list before its pages.
	maxListHead = 16 << 10
	// maxPages is how many pages the offsets of a table can name.
	maxPages = 1 << (32 - pageBits)
)

// errDamagedList refuses what [List.Encode] did not write.
var errDamagedList = errors.New("not a list as it was written")

// listHead is what an encoded list begins with, as JSON after its length.
type listHead struct {
	Digest       string
	Fault        string
	Entries      int
	SubAddresses bool
	Skipped      numberedLines
	Unusable     numberedLines
	Suffixes     numberedLines
	Pages        int
}

// Encode writes the list to w in a form that [DecodeList] reads. It holds the entries, and so perhaps addresses, and nothing else of
// the text. Only the same version of this package is sure to read it.
func (l *List) Encode(w io.Writer) error {
	head, err := json.Marshal(listHead{
		Digest: l.digest, Fault: l.fault, Entries: l.entries, SubAddresses: l.subAddresses, Skipped: l.skipped,
		Unusable: l.unusable, Suffixes: l.suffixes, Pages: len(l.table.pages),
	})
	if err != nil {
		return err
	}
	for _, part := range append([][]byte{head}, l.table.pages...) {
		length := binary.BigEndian.AppendUint32(nil, uint32(len(part))) //nolint:gosec // at most pageSize, or maxListHead
		if _, err := w.Write(length); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// DecodeList reads a list that [List.Encode] has written, and not a byte more. It decides as the original does; its hash has another
// seed. It is total: anything else is an error, which quotes nothing of it. It allocates no more than it reads.
func DecodeList(r io.Reader) (*List, error) {
	text, err := readPart(r, maxListHead)
	if err != nil {
		return nil, err
	}
	var head listHead
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&head); err != nil || !head.valid() {
		return nil, errDamagedList
	}
	table := listTable{seed: maphash.MakeSeed()}
	for range head.Pages {
		page, err := readPart(r, pageSize)
		if err != nil {
			return nil, err
		}
		entries, ok := entriesOn(page)
		if !ok {
			return nil, errDamagedList
		}
		table.pages = append(table.pages, page)
		table.count += entries
	}
	if !table.index() {
		return nil, errDamagedList
	}
	return &List{
		digest: head.Digest, table: table, entries: head.Entries, subAddresses: head.SubAddresses,
		skipped: head.Skipped, unusable: head.Unusable, suffixes: head.Suffixes,
		fault: head.Fault,
	}, nil
}

// readPart reads a part of an encoded list that has at least one byte.
func readPart(r io.Reader, most uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size == 0 || size > most {
		return nil, errDamagedList
	}
	part := make([]byte, size)
	_, err := io.ReadFull(r, part)
	return part, err
}

func (h *listHead) valid() bool {
	sum, isDigest := strings.CutPrefix(h.Digest, "sha256:")
	decoded, err := hex.DecodeString(sum)
	return isDigest && err == nil && len(decoded) == 32 &&
		h.Entries >= 0 && h.Pages >= 0 && h.Pages <= maxPages &&
		(h.Fault == "") == (h.Pages > 0) && // what has a fault has no entries, and without an entry there is a fault
		h.Skipped.valid() && h.Unusable.valid() && h.Suffixes.valid()
}

func (n *numberedLines) valid() bool { return len(n.First) == min(n.Count, mostNumbers) }

// entriesOn counts the entries on a page; not ok means that they do not fill it.
func entriesOn(page []byte) (entries int, ok bool) {
	for len(page) >= listHeader {
		end := listHeader + int(page[1])
		if page[1] == 0 || end > len(page) || !canHave(page[listHeader:end], listKinds(page[0])) {
			return 0, false
		}
		page = page[end:]
		entries++
	}
	return entries, len(page) == 0
}

// canHave says whether a line of a list can give these kinds to this key: nothing is below an address, and "*." is no part of the key
// of a domain.
func canHave(key []byte, kinds listKinds) bool {
	if bytes.ContainsRune(key, '@') {
		return kinds != 0 && kinds&^(allowSelf|denySelf|writtenPlain) == 0
	}
	_, below := wildcard(string(key))
	return !below && kinds != 0 && kinds&^(allowKinds|denyKinds|writtenKinds) == 0
}

// index makes the groups for the entries on the pages. It is not ok if a key is there twice.
func (t *listTable) index() (ok bool) {
	if t.count == 0 {
		return true
	}
	t.groups = make([]listGroup, groupsFor(t.count))
	for number, page := range t.pages {
		for at := 0; at < len(page); {
			end := at + listHeader + int(page[at+1])
			key := page[at+listHeader : end]
			slot, tag, entry := seek(t, key, maphash.Bytes(t.seed, key))
			if entry != nil {
				return false
			}
			t.groups[slot/groupSlots].set(slot, tag, uint32(number)<<pageBits|uint32(at))
			at = end
		}
	}
	return true
}
