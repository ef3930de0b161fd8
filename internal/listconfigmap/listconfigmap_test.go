package listconfigmap_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"

	"registrationpolicy.dev/operator/internal/listconfigmap"
)

// stored is a namespace of ConfigMaps.
type stored map[string]*corev1.ConfigMap

func (s stored) get(name string) (*corev1.ConfigMap, bool) {
	object, found := s[name]
	return object, found
}

func write(t *testing.T, text []byte) (stored, []*corev1.ConfigMap) {
	t.Helper()
	objects, err := listconfigmap.Write("list", "default", text)
	if err != nil {
		t.Fatal(err)
	}
	all := stored{}
	for _, object := range objects {
		all[object.Name] = object
	}
	return all, objects
}

func lines(count int) []byte {
	var text bytes.Buffer
	for i := range count {
		fmt.Fprintf(&text, "name%d.example\n", i)
	}
	return text.Bytes()
}

func TestWhatIsWrittenIsRead(t *testing.T) {
	for sentence, test := range map[string]struct {
		text    []byte
		objects int
	}{
		"nothing":                       {nil, 1},
		"a small list":                  {lines(10), 1},
		"a small list that is no UTF-8": {[]byte("a.example\xff\n"), 1},
		"a big one":                     {lines(200_000), 5},
		"a big one that is no UTF-8":    {append(lines(100_000), 0xff), 4},
		"one line that is too long":     {bytes.Repeat([]byte("a"), 1<<21), 3}, // of three parts, two are equal
		"a last line without an end":    {append(lines(100_000), "last.example"...), 3},
	} {
		t.Run(sentence, func(t *testing.T) {
			all, objects := write(t, test.text)
			texts, missing, result := listconfigmap.Read(all.get, "list", "")
			if result != listconfigmap.Found || missing != "" || !bytes.Equal(bytes.Join(texts, nil), test.text) {
				t.Errorf("read %d texts, %v %q", len(texts), result, missing)
			}
			if len(objects) < 2 != (test.objects == 1) {
				t.Errorf("%d objects", len(objects))
			}
			again, _ := write(t, test.text)
			for name, object := range all {
				if !listconfigmap.IsList(object) || again[name] == nil {
					t.Errorf("%s has no label, or another name the second time", name)
				}
				const most = 1 << 20 // of an API server
				if size := len(object.Data[listconfigmap.KeyEntries]) + len(object.BinaryData[listconfigmap.KeyEntries]); size > most {
					t.Errorf("%s has %d bytes", name, size)
				}
				if name != "list" && (object.Immutable == nil || !*object.Immutable) {
					t.Errorf("%s can be changed", name)
				}
			}
			if objects[len(objects)-1].Name != "list" {
				t.Error("the index does not come last")
			}
		})
	}
}

// If anything is lost, damaged or incomplete, no part of the list is returned.
func TestAListIsReadWholeOrNotAtAll(t *testing.T) {
	text := lines(150_000)
	for sentence, change := range map[string]func(all stored, shards []string){
		"a shard is lost":                 func(all stored, shards []string) { delete(all, shards[1]) },
		"a shard has lost its label":      func(all stored, shards []string) { all[shards[0]].Labels = nil },
		"a shard has another text":        func(all stored, shards []string) { all[shards[0]].Data[listconfigmap.KeyEntries] += "more.example\n" },
		"a shard has another key":         func(all stored, shards []string) { all[shards[0]].Data = map[string]string{"text": "a.example\n"} },
		"a shard is that of another list": func(all stored, shards []string) { all[shards[0]] = all[shards[1]] },
		"the index is cut short":          func(all stored, _ []string) { cutIndex(all, 100) },
		"the index is empty":              func(all stored, _ []string) { cutIndex(all, 1<<20) },
		"the index names one shard less": func(all stored, shards []string) {
			index := all["list"].Data[listconfigmap.KeyIndex]
			from := strings.Index(index, `{`+"\n      \"name\": \""+shards[0])
			to := strings.Index(index[from:], "},") + from + 2
			all["list"].Data[listconfigmap.KeyIndex] = index[:from] + index[to:]
		},
		"the index has a member that is not known": func(all stored, _ []string) {
			all["list"].Data[listconfigmap.KeyIndex] = strings.Replace(all["list"].Data[listconfigmap.KeyIndex], "{", `{"compressed": true,`, 1)
		},
		"the format is not known": func(all stored, _ []string) { all["list"].Annotations[listconfigmap.AnnotationFormat] = "index.v2" },
	} {
		t.Run(sentence, func(t *testing.T) {
			all, objects := write(t, text)
			shards := listconfigmap.ShardNames(objects[len(objects)-1])
			if len(shards) < 3 {
				t.Fatalf("%d shards", len(shards))
			}
			change(all, shards)
			texts, missing, result := listconfigmap.Read(all.get, "list", "")
			if len(texts) > 0 || missing == "" || result != listconfigmap.Broken {
				t.Errorf("%d texts, %v, %q", len(texts), result, missing)
			}
		})
	}
}

// cutIndex takes bytes off the end of the index.
func cutIndex(all stored, bytes int) {
	index := all["list"].Data[listconfigmap.KeyIndex]
	all["list"].Data[listconfigmap.KeyIndex] = index[:max(0, len(index)-bytes)]
}

func TestKeysOfAList(t *testing.T) {
	all := stored{"list": {
		Data:       map[string]string{"b": "b.example", "a": "a.example"},
		BinaryData: map[string][]byte{"aa": []byte("aa.example\xff")},
	}}
	all["list"].Labels = map[string]string{listconfigmap.Label: listconfigmap.LabelTrue}
	for key, want := range map[string][]string{
		"": {"a.example", "aa.example\xff", "b.example"}, "aa": {"aa.example\xff"}, "b": {"b.example"},
	} {
		texts, _, result := listconfigmap.Read(all.get, "list", key)
		var got []string
		for _, text := range texts {
			got = append(got, string(text))
		}
		if result != listconfigmap.Found || !slices.Equal(got, want) {
			t.Errorf("key %q: %q, %v", key, got, result)
		}
	}
	if _, missing, result := listconfigmap.Read(all.get, "list", "c"); result != listconfigmap.NotFound || missing != "the ConfigMap has no key c" {
		t.Errorf("a key that is not there: %v %q", result, missing)
	}
	if _, missing, result := listconfigmap.Read(all.get, "other", ""); result != listconfigmap.NotFound || missing != "" {
		t.Errorf("a ConfigMap that is not there: %v %q", result, missing)
	}
}
