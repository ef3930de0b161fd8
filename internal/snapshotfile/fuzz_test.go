package snapshotfile

import (
	"crypto/sha256"
	"encoding/binary"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/json"

	"registrationpolicy.dev/operator/internal/listobjects"
)

// FuzzDecode reads what anybody could have put there, as it is and with a good sum around it: it is refused, or it is the whole of
// what it says. What is read can be written and read again as the same.
func FuzzDecode(f *testing.F) {
	good := encoded(f, testSnapshot())
	header := int(binary.BigEndian.Uint32(good[headerAt:]))
	f.Add(good[preamble:preamble+header], good[preamble+header:len(good)-sha256.Size], uint(0))
	f.Add(good, []byte(nil), uint(1))
	f.Add([]byte("null"), []byte(nil), uint(0))
	f.Add([]byte(`{"lists":[{"texts":[{"key":"k","length":5}]}]}`), []byte("12345"), uint(0))
	f.Add([]byte(`{"lists":[{"texts":[{"key":"k","length":9223372036854775807},{"length":-1}]}]}`), []byte("12345"), uint(1))
	f.Fuzz(func(t *testing.T, header, texts []byte, more uint) {
		content := string(header) + string(texts)
		for _, file := range [][]byte{[]byte(content), sealed(format, len(header)+int(more%3), content)} {
			s, err := Decode(file)
			if err != nil {
				if causeOf(err) == "" || s != nil {
					t.Fatalf("refused without a cause, or not as a whole: %v", err)
				}
				continue
			}
			again, err := Decode(encoded(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(s, again, alike); diff != "" {
				t.Fatalf("written and read again (-before +after):\n%s", diff)
			}
		}
	})
}

// FuzzChange changes one octet of a file: it is refused, whatever is in it and wherever that is. Unchanged, it is read as it was.
func FuzzChange(f *testing.F) {
	f.Add("acme", `{"allow": {"domains": ["acme.com"]}}`, "listed.example\n", "9", uint(0), byte(1))
	f.Add("", `null`, "", "", uint(20), byte(255))
	f.Add("é", `{"profile": [{"value": 1.5e300}, -1]}`, "\xff\x00", "", uint(1000), byte(128))
	f.Fuzz(func(t *testing.T, name, spec, text, through string, at uint, change byte) {
		s := testSnapshot()
		s.Policies[0].Name, s.Synced = name, map[string]string{"own": through}
		if err := json.Unmarshal([]byte(spec), &s.Policies[0].Spec); err != nil || !utf8.ValidString(name) || !utf8.ValidString(through) {
			return // no API server has such
		}
		s.Lists = append(s.Lists, ConfigMapOf(&corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{listobjects.AnnotationFormat: through}},
			BinaryData: map[string][]byte{"entries": []byte(text)},
		}))
		file := encoded(t, s)
		got, err := Decode(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(encoded(t, got), file); diff != "" {
			t.Fatalf("read as another (-want +got):\n%s", diff)
		}
		if change == 0 {
			change = 1
		}
		file[at%uint(len(file))] ^= change
		if got, err := Decode(file); causeOf(err) == "" || got != nil {
			t.Fatalf("octet %d changed: %v, %v", at%uint(len(file)), got, err)
		}
	})
}
