package snapshotfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/listobjects"
	"registrationpolicy.dev/operator/test/reference"
)

var alike = cmp.Options{cmp.AllowUnexported(Text{}), cmpopts.EquateEmpty()}

func testBinding() Binding {
	return Binding{Version: "v1.2.3", Cluster: "c1", Namespaces: []string{"a", "b"}, Flags: []string{"--observe=false"}}
}

// testSnapshot is a snapshot of one policy and one list with two texts, one of them no UTF-8.
func testSnapshot() *Snapshot {
	object := &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "a", Name: "bad", UID: "u2", ResourceVersion: "8", Labels: map[string]string{listobjects.Label: listobjects.LabelTrue},
		},
		Data: map[string]string{"one": "listed.example\n"}, BinaryData: map[string][]byte{"two": []byte("other.example\xff\n")},
	}
	return &Snapshot{
		Binding: testBinding(), Written: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), Digest: "sha256:00", Synced: map[string]string{"own": "9"},
		Policies: []Policy{{
			Object: Object{"a", "acme", "u1", "7"}, Generation: 3,
			Spec: map[string]any{"allow": map[string]any{"domains": []any{"acme.com"}}, "n": int64(1), "f": 1.5},
		}},
		Lists: []ConfigMap{ConfigMapOf(object)},
	}
}

func encoded(t testing.TB, s *Snapshot) []byte {
	t.Helper()
	var file bytes.Buffer
	if err := s.Encode(&file); err != nil {
		t.Fatal(err)
	}
	return file.Bytes()
}

func causeOf(err error) Cause {
	if refusal, ok := errors.AsType[*RefusedError](err); ok {
		return refusal.Cause
	}
	return ""
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for sentence, want := range map[string]*Snapshot{
		"a policy and a list": testSnapshot(), "nothing": {}, "a policy without a spec": {Policies: []Policy{{Generation: 1}}},
	} {
		got, err := Decode(encoded(t, want))
		if err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		if diff := cmp.Diff(want, got, alike); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
	object := testSnapshot().Lists[0].ConfigMap()
	texts, _, result := listobjects.Read(func(string) (*corev1.ConfigMap, bool) { return object, true }, "bad", "")
	if result != listobjects.Found || string(bytes.Join(texts, nil)) != "listed.example\nother.example\xff\n" {
		t.Errorf("the list: %q, %v", texts, result)
	}
}

// sealed returns a file as somebody would write it who knows the format: what is in it is not what an operator writes.
func sealed(format uint32, headerLength int, content string) []byte {
	file := binary.BigEndian.AppendUint32([]byte(magic), format)
	file = binary.BigEndian.AppendUint64(file, uint64(shortest+len(content)))
	file = binary.BigEndian.AppendUint32(file, uint32(headerLength))
	file = append(file, content...)
	sum := sha256.Sum256(file)
	return append(file, sum[:]...)
}

func TestAFileIsRefusedByName(t *testing.T) {
	good := encoded(t, testSnapshot())
	changed := func(at int) []byte {
		file := bytes.Clone(good)
		file[at] ^= 1
		return file
	}
	const text = `{"lists":[{"texts":[{"key":"k","length":5}]}]}`
	for sentence, c := range map[string]struct {
		file []byte
		want Cause
	}{
		"nothing":                                  {nil, CauseTruncated},
		"a beginning":                              {good[:5], CauseTruncated},
		"a preamble":                               {good[:preamble], CauseTruncated},
		"all but the last octet":                   {good[:len(good)-1], CauseTruncated},
		"another sort of file":                     {[]byte("apiVersion: v1\n"), CauseNoSnapshot},
		"one octet of another sort":                {[]byte("a"), CauseNoSnapshot},
		"a newer format":                           {sealed(format+1, 2, "{}"), CauseOtherFormat},
		"a newer format that is shorter":           {sealed(format+1, 2, "{}")[:lengthAt], CauseOtherFormat},
		"a changed length":                         {changed(lengthAt), CauseTruncated},
		"a changed header":                         {changed(preamble + 3), CauseDamaged},
		"a changed list":                           {changed(len(good) - sha256.Size - 1), CauseDamaged},
		"a changed sum":                            {changed(len(good) - 1), CauseDamaged},
		"more than there should be":                {append(bytes.Clone(good), 0), CauseDamaged},
		"a file over the bound":                    {make([]byte, maxFile+1), CauseTooBig},
		"a good sum, a header that does not fit":   {sealed(format, 3, "{}"), CauseDamaged},
		"a good sum, a member that is not known":   {sealed(format, 16, `{"compressed":1}`), CauseDamaged},
		"a good sum, a member that is there twice": {sealed(format, 27, `{"digest":"a","digest":"b"}`), CauseDamaged},
		"a good sum, no JSON":                      {sealed(format, 1, "{"), CauseDamaged},
		"a good sum, a list that is too short":     {sealed(format, len(text), text+"1234"), CauseDamaged},
		"a good sum, a list that is too long":      {sealed(format, len(text), text+"123456"), CauseDamaged},
		"a good sum, a length below nothing":       {sealed(format, len(text)+1, strings.Replace(text, "5", "-5", 1)), CauseDamaged},
	} {
		s, err := Decode(c.file)
		if got := causeOf(err); got != c.want || s != nil {
			t.Errorf("%s: %v %v, want %s and nothing of it", sentence, s, err, c.want)
		}
	}
}

func TestASnapshotOfAnotherBindingIsRefusedByName(t *testing.T) {
	if err := testSnapshot().Check(testBinding()); err != nil {
		t.Errorf("the same: %v", err)
	}
	for want, change := range map[Cause]func(*Binding){
		CauseOtherVersion:    func(b *Binding) { b.Version = "v1.2.4" },
		CauseOtherCluster:    func(b *Binding) { b.Cluster = "c2" },
		CauseOtherNamespaces: func(b *Binding) { b.Namespaces = []string{"a"} },
		CauseOtherFlags:      func(b *Binding) { b.Flags = nil },
	} {
		binding := testBinding()
		change(&binding)
		if got := causeOf(testSnapshot().Check(binding)); got != want {
			t.Errorf("refused as %q, want %q", got, want)
		}
	}
}

func openTestDirectory(t *testing.T) *Directory {
	t.Helper()
	d, err := OpenDirectory(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestOnlyARegularFileOfOursIsRead(t *testing.T) {
	for sentence, c := range map[string]struct {
		make func(path string) error
		want Cause
	}{
		"a good file":              {func(string) error { return nil }, ""},
		"one that others may read": {func(path string) error { return os.Chmod(path, 0o644) }, ""}, // it holds what they may not see, and is good
		"one that the group may write, as a volume may make it": {func(path string) error { return os.Chmod(path, 0o660) }, CauseNotOurs},
		"a link": {func(path string) error {
			return errors.Join(os.Rename(path, path+".good"), os.Symlink(path+".good", path))
		}, CauseNotOurs},
		"a directory": {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, CauseNotOurs},
		"a pipe":      {func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, CauseNotOurs},
		"a huge file": {func(path string) error { return os.Truncate(path, maxFile+1) }, CauseTooBig},
	} {
		d := openTestDirectory(t)
		if err := errors.Join(d.Write(testSnapshot(), d.Supersede()), c.make(d.Path())); err != nil {
			t.Fatal(err)
		}
		s, err := d.Read()
		if got := causeOf(err); got != c.want || (s == nil) != (c.want != "") {
			t.Errorf("%s: %v, want %q", sentence, err, c.want)
		}
	}
	if os.Geteuid() == 0 { // only root can make somebody else the owner
		d := openTestDirectory(t)
		if err := errors.Join(d.Write(testSnapshot(), d.Supersede()), os.Chown(d.Path(), 1, -1)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.Read(); causeOf(err) != CauseNotOurs {
			t.Errorf("somebody else's: %v", err)
		}
	}
	if s, err := openTestDirectory(t).Read(); s != nil || err != nil {
		t.Errorf("no file: %v, %v; want neither", s, err)
	}
}

func TestADirectoryMustBeThere(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]error{file: syscall.ENOTDIR, file + "s": fs.ErrNotExist} {
		if _, err := OpenDirectory(path); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", path, err, want)
		}
	}
}

func TestAWriteOfAnEarlierEpochNeverGetsIn(t *testing.T) {
	d := openTestDirectory(t)
	earlier := d.Supersede()
	later := d.Supersede()
	if err := d.Write(testSnapshot(), earlier); !errors.Is(err, ErrSuperseded) {
		t.Errorf("an earlier epoch: %v", err)
	}
	if s, err := d.Read(); s != nil || err != nil {
		t.Errorf("read %v, %v; want nothing", s, err)
	}
	if err := d.Write(testSnapshot(), later); err != nil {
		t.Fatal(err)
	}
	// A removal that the disk held up comes after the file that it was to make room for.
	if err := d.Remove(later); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Read(); s == nil || err != nil {
		t.Errorf("a late removal took the newer file: %v", err)
	}
	if err := d.Remove(d.Supersede()); err != nil {
		t.Fatal(err)
	}
	if entries, err := os.ReadDir(filepath.Dir(d.Path())); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestWhatAKilledProcessLeftIsNeverReadAndIsReplaced(t *testing.T) {
	d := openTestDirectory(t)
	if err := os.WriteFile(d.temporary(), encoded(t, testSnapshot()), 0o400); err != nil {
		t.Fatal(err)
	}
	if s, err := d.Read(); s != nil || err != nil {
		t.Errorf("read %v, %v; want nothing", s, err)
	}
	if err := d.Write(testSnapshot(), d.Supersede()); err != nil {
		t.Fatal(err)
	}
	found, err := os.Stat(d.Path())
	if err != nil || found.Mode() != mode {
		t.Errorf("mode %v, %v", found.Mode(), err)
	}
}

func TestAFileThatCannotBeRemovedIsSpoilt(t *testing.T) {
	d := openTestDirectory(t)
	if err := d.Write(testSnapshot(), d.Supersede()); err != nil {
		t.Fatal(err)
	}
	if err := d.spoil(); err != nil {
		t.Fatal(err)
	}
	if _, err := d.Read(); causeOf(err) != CauseTruncated {
		t.Errorf("read: %v", err)
	}
	// What cannot be spoilt either is said.
	if err := errors.Join(os.Remove(d.Path()), os.MkdirAll(filepath.Join(d.Path(), "in the way"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if err := d.Remove(d.Supersede()); err == nil {
		t.Error("nothing said of a file that stays")
	}
}

func TestAFailedWriteLeavesNothing(t *testing.T) {
	d := openTestDirectory(t)
	s := testSnapshot()
	s.Policies[0].Spec = map[string]any{"jo@acme.com": func() {}} // no JSON
	if err := d.Write(s, d.Supersede()); err == nil || strings.Contains(err.Error(), "jo@") {
		t.Errorf("written: %v", err)
	}
	s = testSnapshot()
	s.Lists[0].Texts[0].text = make([]byte, maxFile)
	if err := d.Write(s, d.Supersede()); !errors.Is(err, errTooBig) {
		t.Errorf("over the bound: %v", err)
	}
	if entries, err := os.ReadDir(filepath.Dir(d.Path())); len(entries) > 0 || err != nil {
		t.Errorf("left: %v, %v", entries, err)
	}
}

func TestThePageListsEveryCause(t *testing.T) {
	const page = "../../docs/stored-snapshot.md"
	causes, err := reference.Texts("refusal.go", "Cause")
	if err != nil || len(causes) < 10 {
		t.Fatalf("%q, %v", causes, err)
	}
	slices.Sort(causes)
	var want []string
	for _, cause := range causes {
		want = append(want, "`"+cause+"`")
	}
	for _, difference := range reference.Differences(page, "When it is refused", want, 1) {
		t.Error(difference)
	}
}
