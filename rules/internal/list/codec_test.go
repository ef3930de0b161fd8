package list

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// fullPage returns the text of a list whose first page is full to the last byte.
func fullPage() []byte {
	const entrySize = 64 // of which headerSize are not in the text
	var text bytes.Buffer
	for i := range pageSize/entrySize + 1 {
		fmt.Fprintf(&text, "n%05d.%s.example\n", i, strings.Repeat("x", entrySize-headerSize-len("n00000..example")))
	}
	return text.Bytes()
}

func TestAFullPageIsDecoded(t *testing.T) {
	list := Compile(fullPage())
	if pages := list.table.pages; len(pages) != 2 || len(pages[0]) != pageSize {
		t.Fatalf("%d pages, the first with %d bytes", len(pages), len(pages[0]))
	}
	var encoded bytes.Buffer
	if err := list.Encode(&encoded); err != nil {
		t.Fatal(err)
	}
	decoded, err := Decode(&encoded)
	if err != nil {
		t.Fatal(err)
	}
	for entry := range list.All() {
		if !decoded.Has(entry) {
			t.Fatalf("%s is missing", entry)
		}
	}
}

// A head is refused before any page is read, unless it is one that Encode writes.
func TestHeadsOfLists(t *testing.T) {
	const digits = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	for sentence, test := range map[string]struct {
		head head
		want error // io.EOF: the head is taken, and its pages are missing
	}{
		"a list of one page":              {head{Digest: "sha256:" + digits, Pages: 1}, io.EOF},
		"as many pages as offsets reach":  {head{Digest: "sha256:" + digits, Pages: 4096}, io.EOF},
		"more pages than offsets reach":   {head{Digest: "sha256:" + digits, Pages: 4097}, errDamaged},
		"less than no page":               {head{Digest: "sha256:" + digits, Pages: -1, Fault: "a fault"}, errDamaged},
		"less than no entry":              {head{Digest: "sha256:" + digits, Pages: 1, Entries: -1}, errDamaged},
		"a digest without its algorithm":  {head{Digest: digits, Pages: 1}, errDamaged},
		"a digest that is a byte short":   {head{Digest: "sha256:" + digits[2:], Pages: 1}, errDamaged},
		"a digest with half a byte more":  {head{Digest: "sha256:" + digits + "0", Pages: 1}, errDamaged},
		"a digest with another character": {head{Digest: "sha256:" + digits[1:] + "g", Pages: 1}, errDamaged},
		"a fault together with pages":     {head{Digest: "sha256:" + digits, Pages: 1, Fault: "a fault"}, errDamaged},
	} {
		text, err := json.Marshal(test.head)
		if err != nil {
			t.Fatal(err)
		}
		encoded := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
		if _, err := Decode(bytes.NewReader(encoded)); !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", sentence, err, test.want)
		}
	}
}
