package snapshotfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
)

// FuzzDecode reads what anybody could have put there, as it is and with a good sum around it: it is refused, or it is the whole of
// what it says. What is read can be written and read again as the same.
func FuzzDecode(f *testing.F) {
	good := encoded(f, testSnapshot())
	header := int(binary.BigEndian.Uint32(good[headerLengthAt:]))
	f.Add(good[headerAt:headerAt+header], good[headerAt+header:len(good)-sha256.Size], uint(0))
	f.Add(good, []byte(nil), uint(1))
	f.Add([]byte("null"), []byte(nil), uint(0))
	f.Add([]byte(`{"policies":1}`), []byte("\x00\x00\x00\x02{}"), uint(0))
	f.Add([]byte(`{"lists":9223372036854775807,"policies":-1}`), []byte("12345"), uint(1))
	f.Fuzz(func(t *testing.T, header, content []byte, more uint) {
		all := string(header) + string(content)
		for _, file := range [][]byte{[]byte(all), sealed(format, len(header)+int(more%3), all)} {
			s, err := read(t, file)
			if err != nil {
				continue
			}
			s.ListCount = 0 // it may have had more than its policies use
			again, err := read(t, encoded(t, s))
			if err != nil {
				t.Fatal(err)
			}
			again.ListCount, s.PolicyCount = 0, len(s.Policies)
			if diff := cmp.Diff(s, again, alike); diff != "" {
				t.Fatalf("written and read again (-before +after):\n%s", diff)
			}
		}
	})
}

// FuzzChange changes one byte of a file: it is refused, whatever is in it and wherever that is. Unchanged, it is read as it was.
func FuzzChange(f *testing.F) {
	f.Add("acme", "acme.com", "listed.example\n", "9", uint(0), byte(1))
	f.Add("", "", "", "", uint(20), byte(255))
	f.Add("é", "<*>", "\xff\x00", "", uint(1000), byte(128))
	f.Fuzz(func(t *testing.T, name, domain, text, synced string, at uint, change byte) {
		for _, text := range []string{name, domain, synced} {
			if !utf8.ValidString(text) { // no API server has such
				return
			}
		}
		s := testSnapshot()
		s.Policies[0].Name, s.Synced = name, map[string]string{"own": synced}
		s.Policies[0].Allow.Domains = []string{domain}
		s.Policies[1].Deny.Lists = append(s.Policies[1].Deny.Lists, rules.ListUse{Name: name, List: rules.CompileList([]byte(text))})
		file := encoded(t, s)
		got, err := read(t, file)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(encoded(t, got), file) {
			t.Fatal("read as another")
		}
		if change == 0 {
			change = 1
		}
		file[at%uint(len(file))] ^= change
		if _, err := read(t, file); err == nil {
			t.Fatalf("byte %d changed, and it is taken", at%uint(len(file)))
		}
	})
}
