package list

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash/maphash"
	"io"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/pattern"
)

const (
	// maxHead bounds the size in bytes of the head of an encoded list.
	maxHead = 16 << 10
	// maxPages is how many pages the offsets of a table can address.
	maxPages = 1 << (32 - pageBits)
)

// errDamaged is the error of [Decode] for input that [List.Encode] did not write.
var errDamaged = errors.New("not a list as it was written")

// head is the first part of an encoded list, as JSON. The pages of the table follow. The length of each part precedes
// the part.
type head struct {
	Digest       string
	Fault        string
	Entries      int
	SubAddresses bool
	Skipped      lineNumbers
	Unusable     lineNumbers
	Suffixes     lineNumbers
	Pages        int
}

// Encode writes the list to w in a form that [Decode] reads. The form has the entries, which may be addresses, but not
// the comments of the text. It may change between versions of the operator: Decode then returns an error.
func (l *List) Encode(w io.Writer) error {
	text, err := json.Marshal(head{
		Digest: l.digest, Fault: l.fault, Entries: l.entries, SubAddresses: l.subAddresses, Skipped: l.skipped,
		Unusable: l.unusable, Suffixes: l.suffixes, Pages: len(l.table.pages),
	})
	if err != nil {
		return err
	}
	for _, part := range append([][]byte{text}, l.table.pages...) {
		length := binary.BigEndian.AppendUint32(nil, uint32(len(part))) //nolint:gosec // at most pageSize, or maxHead
		if _, err := w.Write(length); err != nil {
			return err
		}
		if _, err := w.Write(part); err != nil {
			return err
		}
	}
	return nil
}

// Decode reads a list that [List.Encode] has written, and no byte after it. The result decides as the original does.
// For any other input, Decode returns an error, which does not quote the input. It allocates no more bytes than it
// reads, so a damaged length cannot exhaust the memory.
func Decode(r io.Reader) (*List, error) {
	text, err := readPart(r, maxHead)
	if err != nil {
		return nil, err
	}
	var h head
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil || !h.valid() {
		return nil, errDamaged
	}
	t := table{seed: maphash.MakeSeed()}
	for range h.Pages {
		page, err := readPart(r, pageSize)
		if err != nil {
			return nil, err
		}
		entries, ok := entriesOn(page)
		if !ok {
			return nil, errDamaged
		}
		t.pages = append(t.pages, page)
		t.count += entries
	}
	if !t.index() {
		return nil, errDamaged
	}
	return &List{
		digest: h.Digest, table: t, entries: h.Entries, subAddresses: h.SubAddresses,
		skipped: h.Skipped, unusable: h.Unusable, suffixes: h.Suffixes,
		fault: h.Fault,
	}, nil
}

// readPart reads one part of an encoded list: a length from 1 to most, and as many bytes.
func readPart(r io.Reader, most uint32) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size == 0 || size > most {
		return nil, errDamaged
	}
	part := make([]byte, size)
	_, err := io.ReadFull(r, part)
	return part, err
}

func (h *head) valid() bool {
	sum, isDigest := strings.CutPrefix(h.Digest, "sha256:")
	decoded, err := hex.DecodeString(sum)
	return isDigest && err == nil && len(decoded) == 32 &&
		h.Entries >= 0 && h.Pages >= 0 && h.Pages <= maxPages &&
		(h.Fault == "") == (h.Pages > 0) && // a list has a fault or entries, never both
		h.Skipped.valid() && h.Unusable.valid() && h.Suffixes.valid()
}

func (n *lineNumbers) valid() bool { return len(n.First) == min(n.Count, maxNumbers) }

// entriesOn counts the entries on a page. ok is false if an entry is not valid, or ends beyond the page.
func entriesOn(page []byte) (entries int, ok bool) {
	for len(page) >= headerSize {
		end := headerSize + int(page[1])
		if page[1] == 0 || end > len(page) || !validKinds(page[headerSize:end], kinds(page[0])) {
			return 0, false
		}
		page = page[end:]
		entries++
	}
	return entries, len(page) == 0
}

// validKinds reports whether a line of a list can give these kinds to this key. An address cannot have kinds for names
// below it. The key of a wildcard is the name without "*.", so a key with "*." is not valid.
func validKinds(key []byte, k kinds) bool {
	if bytes.ContainsRune(key, '@') {
		return k != 0 && k&^(allowSelf|denySelf|writtenPlain) == 0
	}
	_, below := pattern.CutWildcard(string(key))
	return !below && k != 0 && k&^(allowKinds|denyKinds|writtenKinds) == 0
}

// index builds the groups from the pages. ok is false if two entries have the same key.
func (t *table) index() (ok bool) {
	if t.count == 0 {
		return true
	}
	t.groups = make([]group, groupsFor(t.count))
	for number, page := range t.pages {
		for at := 0; at < len(page); {
			end := at + headerSize + int(page[at+1])
			key := page[at+headerSize : end]
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
