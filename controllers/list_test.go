package controllers

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"registrationpolicy.dev/operator/internal/listobjects"
)

// itemsOf returns the objects of a list, without the blanks between.
func itemsOf(t *testing.T, list, kind string) (items []string, version string, err error) {
	t.Helper()
	version, err = readList(iotest.OneByteReader(strings.NewReader(list)), kind, func(item []byte) error {
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

func FuzzReadList(f *testing.F) {
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

// A tenant may write as much into the metadata of his objects as into their content.
func TestOfTheMetadataOfObjectsOnlyWhatIsReadIsCached(t *testing.T) {
	isStreamedList := func(request *http.Request) bool { return request.URL.Query().Get("sendInitialEvents") == "true" }
	for sentence, refuse := range map[string]func(*http.Request) bool{
		"with a streamed first list":                nil,
		"with a server that streams no first lists": isStreamedList,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			namespace := cluster.namespace(t)
			put := func(version string) {
				policy := policyObject(t, namespace, "acme", `{allow: {domains: [acme.com], lists: [{configMap: {name: partners}}]}}`)
				list := &unstructured.Unstructured{Object: map[string]any{
					"apiVersion": "v1", "kind": "ConfigMap", "data": map[string]any{"entries": "partner-" + version + ".test\n"},
				}}
				list.SetNamespace(namespace)
				list.SetName("partners")
				for _, object := range []*unstructured.Unstructured{policy, list} {
					object.SetAnnotations(map[string]string{"large": strings.Repeat(version, 1000)})
					object.SetLabels(map[string]string{listobjects.Label: listobjects.LabelTrue, "team": "a"})
					cluster.applyObject(t, object)
				}
			}
			put("a")
			_, config := onTheWire(cluster.config, refuse)
			r := startReplica(t, config, namespace, "alone")
			eventuallyAnswers(t, within, r.store, localPart+"@partner-a.test", "ALLOW Allowed")
			check := func(when string) {
				for _, policy := range r.watches.Policies(namespace) {
					checkKept(t, when, policy.Object)
				}
				for _, object := range r.watches.namespaces[namespace].lists.GetStore().List() {
					content, err := json.Marshal(object)
					if err != nil {
						t.Fatal(err)
					}
					var kept unstructured.Unstructured
					if err := json.Unmarshal(content, &kept.Object); err != nil {
						t.Fatal(err)
					}
					checkKept(t, when, kept.Object)
				}
			}
			check("at first")
			put("b")
			eventuallyAnswers(t, within, r.store, localPart+"@partner-b.test", "ALLOW Allowed")
			check("after a change")
		})
	}
}

func checkKept(t *testing.T, when string, object map[string]any) {
	t.Helper()
	metadata, _ := object["metadata"].(map[string]any)
	for name, value := range metadata {
		if !slices.Contains([]string{"namespace", "name", "uid", "resourceVersion", "generation"}, name) && value != nil {
			t.Errorf("%s: %s.%s is cached: %v", when, object["kind"], name, value)
		}
	}
	if metadata["uid"] == nil || metadata["resourceVersion"] == nil {
		t.Errorf("%s: the metadata is %v", when, metadata)
	}
}
