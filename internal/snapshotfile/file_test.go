package snapshotfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"syscall"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/reference"
)

// alike compares lists by what is written of them.
var alike = cmp.Options{cmpopts.EquateEmpty(), cmp.Comparer(func(a, b *rules.List) bool {
	if a == nil || b == nil {
		return a == b
	}
	var one, other bytes.Buffer
	return a.Encode(&one) == nil && b.Encode(&other) == nil && bytes.Equal(one.Bytes(), other.Bytes())
})}

func testBinding() Binding {
	return Binding{Version: "v1.2.3", Cluster: "c1", Namespaces: []string{"a", "b"}, Flags: []string{"--observe=false"}}
}

// testSnapshot is a snapshot of two policies and two lists. Both policies name one list; the other is unusable.
func testSnapshot() *Snapshot {
	list, none := rules.CompileList([]byte("listed.example\njo@other.example\n")), rules.CompileList([]byte("0.0.0.0 a.example\n"))
	return &Snapshot{
		Header: Header{
			Binding: testBinding(), Written: time.Date(2026, 8, 1, 12, 0, 0, 0, time.UTC), Digest: "sha256:00", Synced: map[string]string{"own": "9"},
			ListCount: 2, PolicyCount: 2,
		},
		Policies: []rules.Policy{
			{
				PolicyName: rules.PolicyName{Namespace: "a", Name: "acme"}, Mode: rules.Audit, RequestTypes: []rules.RequestType{rules.ProgressiveProfile},
				Sources: []string{"rul1"}, Message: "<please> \u2028",
				Allow: rules.AllowRules{Domains: []string{"acme.com", "*"}, Lists: []rules.ListUse{
					{Name: "good", Key: "k", List: list}, {Name: "none", Optional: true, Missing: "gone", Broken: true},
				}},
				Deny:    rules.DenyRules{Addresses: []string{"jo@acme.com"}, Lists: []rules.ListUse{{Name: "none", OverBudget: true}, {Name: "bad", List: none}}},
				Profile: []rules.ProfileAttribute{{Name: "userType", Value: `["a"]`}}, ProfileOn: []rules.RequestType{rules.SelfServiceRegistration},
			},
			{PolicyName: rules.PolicyName{Namespace: "b", Name: "*"}, NotUnderstood: "why", Deny: rules.DenyRules{Lists: []rules.ListUse{{List: list}}}},
		},
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

// read decodes a file that is held in memory, and holds it to what its header says alone.
func read(t testing.TB, file []byte) (*Snapshot, error) {
	t.Helper()
	s, err := Decode(bytes.NewReader(file), int64(len(file)))
	if err != nil && (causeOf(err) == "" || s != nil) {
		t.Fatalf("refused without a cause, or not as a whole: %v", err)
	}
	header, headerErr := DecodeHeader(bytes.NewReader(file), int64(len(file)))
	switch {
	case err == nil && headerErr == nil:
		if diff := cmp.Diff(s.Header, *header); diff != "" {
			t.Errorf("the header alone is another (-want +got):\n%s", diff)
		}
	case headerErr != nil && causeOf(headerErr) != causeOf(err):
		t.Errorf("the header alone: %v, and all of it: %v", headerErr, err)
	}
	return s, err
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for sentence, want := range map[string]*Snapshot{
		"policies and lists": testSnapshot(), "nothing": {}, "an empty policy": {Header: Header{PolicyCount: 1}, Policies: []rules.Policy{{}}},
	} {
		got, err := read(t, encoded(t, want))
		if err != nil {
			t.Fatalf("%s: %v", sentence, err)
		}
		if diff := cmp.Diff(want, got, alike); diff != "" {
			t.Errorf("%s (-want +got):\n%s", sentence, diff)
		}
	}
	got, err := read(t, encoded(t, testSnapshot()))
	if err != nil || got.Policies[0].Allow.Lists[0].List != got.Policies[1].Deny.Lists[0].List {
		t.Errorf("one list of two policies has become two: %v", err)
	}
}

// sealed returns a file as somebody would write it who knows the format: what is in it is not what an operator writes.
func sealed(format uint32, headerLength int, content string) []byte {
	file := binary.BigEndian.AppendUint32([]byte(magic), format)
	file = binary.BigEndian.AppendUint64(file, uint64(minSize+len(content)))
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
	policies := func(texts ...string) string {
		content := fmt.Sprintf(`{"lists":0,"policies":%d}`, len(texts))
		for _, text := range texts {
			content += string(binary.BigEndian.AppendUint32(nil, uint32(len(text)))) + text
		}
		return content
	}
	const start = len(`{"lists":0,"policies":1}`)
	for sentence, c := range map[string]struct {
		file []byte
		want Cause
	}{
		"nothing":                                  {nil, CauseTruncated},
		"a beginning":                              {good[:5], CauseTruncated},
		"a headerAt":                               {good[:headerAt], CauseTruncated},
		"all but the last byte":                    {good[:len(good)-1], CauseTruncated},
		"another sort of file":                     {[]byte("apiVersion: v1\n"), CauseNoSnapshot},
		"one byte of another sort":                 {[]byte("a"), CauseNoSnapshot},
		"an older format":                          {sealed(format-1, 2, "{}"), CauseOtherFormat},
		"a newer format":                           {sealed(format+1, 2, "{}"), CauseOtherFormat},
		"a newer format that is shorter":           {sealed(format+1, 2, "{}")[:fileLengthAt], CauseOtherFormat},
		"a changed length":                         {changed(fileLengthAt), CauseTruncated},
		"a changed header":                         {changed(headerAt + 3), CauseDamaged},
		"a changed policy":                         {changed(len(good) - sha256.Size - 1), CauseDamaged},
		"a changed sum":                            {changed(len(good) - 1), CauseDamaged},
		"more than there should be":                {append(bytes.Clone(good), 0), CauseDamaged},
		"a file over the bound":                    {make([]byte, MaxSize+1), CauseTooBig},
		"a good sum, a header that does not fit":   {sealed(format, 3, "{}"), CauseDamaged},
		"a good sum, a member that is not known":   {sealed(format, 16, `{"compressed":1}`), CauseDamaged},
		"a good sum, a member that is there twice": {sealed(format, 27, `{"digest":"a","digest":"b"}`), CauseDamaged},
		"a good sum, no JSON":                      {sealed(format, 1, "{"), CauseDamaged},
		"a good sum, fewer lists than it says":     {sealed(format, 11, `{"lists":1}`), CauseDamaged},
		"a good sum, fewer policies":               {sealed(format, 14, `{"policies":1}`), CauseDamaged},
		"a good sum, more than its policies":       {sealed(format, 2, "{}more"), CauseDamaged},
		"a good sum, a policy over the end":        {sealed(format, start, policies(`{}`)[:start]+"\xff\xff\xff\xff{}"), CauseDamaged},
		"a good sum, a policy that is no JSON":     {sealed(format, start, policies(`{`)), CauseDamaged},
		"a good sum, a policy of another version":  {sealed(format, start, policies(`{"policy":{"Newer":1}}`)), CauseDamaged},
		"a good sum, a list written out": {
			sealed(format, start, policies(`{"policy":{"Deny":{"Lists":[{"Name":"l","List":{}}]}},"lists":[""]}`)), CauseDamaged},
		"a good sum, a list that is not there": {
			sealed(format, start, policies(`{"policy":{"Deny":{"Lists":[{"Name":"l"}]}},"lists":["sha256:00"]}`)), CauseDamaged},
		"a good sum, a use of which nothing is said": {
			sealed(format, start, policies(`{"policy":{"Deny":{"Lists":[{"Name":"l"}]}}}`)), CauseDamaged},
	} {
		if _, err := read(t, c.file); causeOf(err) != c.want {
			t.Errorf("%s: %v, want %s", sentence, err, c.want)
		}
	}
}

func TestADiskThatFailsIsNoDamage(t *testing.T) {
	good := encoded(t, testSnapshot())
	for length := range good {
		failing := iotest.TimeoutReader(io.MultiReader(bytes.NewReader(good[:length]), iotest.ErrReader(syscall.EIO)))
		if _, err := Decode(failing, int64(len(good))); causeOf(err) != CauseUnreadable {
			t.Errorf("after %d bytes: %v, want %s", length, err, CauseUnreadable)
		}
		if _, err := Decode(bytes.NewReader(good[:length]), int64(len(good))); causeOf(err) != CauseTruncated {
			t.Errorf("a file that becomes shorter, after %d bytes: %v, want %s", length, err, CauseTruncated)
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

func TestThePageListsEveryCause(t *testing.T) {
	const page = "../../docs/platform/stored-snapshot.md"
	causes, err := reference.Texts("refused_error.go", "Cause")
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
