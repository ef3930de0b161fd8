package listconfigmap_test

import (
	"bytes"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/internal/listconfigmap"
)

// FuzzRead reads an index that anybody could have written, over two shards: what is read is the whole of what the index names, or
// nothing.
func FuzzRead(f *testing.F) {
	first, second := []byte("a.example\n"), []byte("b.example\n")
	named := func(name, digest string) string { return `{"name":"` + name + `","digest":"` + digest + `"}` }
	one, two := named("one", listconfigmap.DigestOf(first)), named("two", listconfigmap.DigestOf(second))
	for _, shards := range []string{one + "," + two, one, two + "," + one, one + "," + one, named("three", listconfigmap.DigestOf(first)), named("list", "")} {
		for _, text := range [][]byte{append(bytes.Clone(first), second...), first, append(bytes.Clone(first), first...)} {
			f.Add(`{"digest":"` + listconfigmap.DigestOf(text) + `","size":20,"shards":[` + shards + `]}`)
		}
	}
	for _, index := range []string{"", "null", "{}", "[]", `{"shards":[]}`, `{"shards":null,"size":-1}`} {
		f.Add(index)
	}
	f.Fuzz(func(t *testing.T, index string) {
		listLabels := map[string]string{listconfigmap.Label: listconfigmap.LabelTrue}
		shard := func(text []byte) *corev1.ConfigMap {
			return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Labels: listLabels}, Data: map[string]string{listconfigmap.KeyEntries: string(text)}}
		}
		all := stored{"one": shard(first), "two": shard(second), "list": {
			ObjectMeta: metav1.ObjectMeta{Labels: listLabels, Annotations: map[string]string{listconfigmap.AnnotationFormat: listconfigmap.FormatIndex}},
			Data:       map[string]string{listconfigmap.KeyIndex: index},
		}}
		texts, missing, result := listconfigmap.Read(all.get, "list", "")
		if (result == listconfigmap.Found) != (len(texts) > 0) || (result == listconfigmap.Found) != (missing == "") {
			t.Fatalf("%d texts, %v, %q", len(texts), result, missing)
		}
		names := listconfigmap.ShardNames(all["list"])
		if result != listconfigmap.Found {
			return
		}
		if len(names) != len(texts) {
			t.Fatalf("%d shards and %d texts", len(names), len(texts))
		}
		for i, name := range names {
			if string(texts[i]) != all[name].Data[listconfigmap.KeyEntries] {
				t.Fatalf("text %d is not that of %s", i, name)
			}
		}
	})
}
