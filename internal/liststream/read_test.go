package liststream

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// itemsOf returns the objects of a list, without the blanks between.
func itemsOf(t *testing.T, list, kind string) (items []string, version string, err error) {
	t.Helper()
	version, err = Read(iotest.OneByteReader(strings.NewReader(list)), kind, func(item []byte) error {
		items = append(items, string(item))
		return nil
	})
	return items, version, err
}

func TestAListIsReadWhateverTheOrderOfItsMembers(t *testing.T) {
	t.Parallel()
	for _, list := range []string{
		`{"kind":"L","apiVersion":"v1","metadata":{"resourceVersion":"7"},"items":[{"a":1},{"b":[2]}]}`,
		"{\"apiVersion\":\"v1\",\n \"items\":[{\"a\":1}, {\"b\":[2]}],\"kind\":\"L\",\"metadata\":{\"continue\":\"\",\"resourceVersion\":\"7\"}}\n",
	} {
		items, version, err := itemsOf(t, list, "L")
		if err != nil || version != "7" || !slices.Equal(items, []string{`{"a":1}`, `{"b":[2]}`}) {
			t.Errorf("%s: %q of version %q, %v", list, items, version, err)
		}
	}
}

func TestAListWithoutObjectsIsReadInBothOfItsForms(t *testing.T) {
	t.Parallel()
	for _, items := range []string{"[]", "null"} {
		found, version, err := itemsOf(t, `{"kind":"L","metadata":{"resourceVersion":"7"},"items":`+items+`}`, "L")
		if err != nil || version != "7" || len(found) > 0 {
			t.Errorf("%s: %q of version %q, %v", items, found, version, err)
		}
	}
}

func TestWhatIsNoWholeListIsAnErrorAndNotAListWithFewerObjects(t *testing.T) {
	t.Parallel()
	const list = `{"kind":"L","items":[{"a":1},{"b":2}],"metadata":{"resourceVersion":"7"}}`
	for length := range len(list) {
		if _, _, err := itemsOf(t, list[:length], "L"); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s: %v, want an unexpected end", list[:length], err)
		}
	}
	for name, list := range map[string]string{
		"another kind":        strings.Replace(list, `"L"`, `"Status"`, 1),
		"no kind":             strings.Replace(list, `"kind":"L",`, "", 1),
		"no items":            `{"kind":"L","metadata":{"resourceVersion":"7"}}`,
		"items that are none": `{"kind":"L","items":{},"metadata":{"resourceVersion":"7"}}`,
		"no version":          `{"kind":"L","items":[],"metadata":{}}`,
		"a first page":        `{"kind":"L","items":[],"metadata":{"resourceVersion":"7","continue":"x"}}`,
		"two lists":           list + list,
		"an array":            `[]`,
		"a text":              `"L"`,
		"nothing":             `{}`,
		"a page of HTML":      `<html>jo@acme.com</html>`,
	} {
		_, version, err := itemsOf(t, list, "L")
		if err == nil {
			t.Errorf("%s: read as a list of version %q", name, version)
		} else if strings.Contains(err.Error(), "jo") {
			t.Errorf("%s: the error quotes the answer: %v", name, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"kind":"L","items":[{"a":1},{"b":2}],"metadata":{"resourceVersion":"7"}}`)
	f.Add(`{"metadata":{"resourceVersion":"7"},"kind":"L","items":[]}`)
	f.Add(`{"kind":"L","items":[1,`)
	f.Fuzz(func(t *testing.T, body string) {
		items, version, err := itemsOf(t, body, "L")
		if err != nil {
			return
		}
		// The slow way: the whole body at once.
		var want struct {
			Kind     string            `json:"kind"`
			Metadata metav1.ListMeta   `json:"metadata"`
			Items    []json.RawMessage `json:"items"`
		}
		if err := json.Unmarshal([]byte(body), &want); err != nil {
			t.Fatalf("%q is read, and is no JSON: %v", body, err)
		}
		if strings.Count(body, "items")+strings.Count(body, "kind")+strings.Count(body, "metadata") > 3 {
			return // a member that is there twice, or in another case: the API server writes none
		}
		if len(items) != len(want.Items) || version != want.Metadata.ResourceVersion {
			t.Fatalf("%q: %q of version %q, want %q of %q", body, items, version, want.Items, want.Metadata.ResourceVersion)
		}
		for i := range items {
			if items[i] != string(want.Items[i]) {
				t.Fatalf("%q: object %d is %q, want %q", body, i, items[i], want.Items[i])
			}
		}
	})
}
