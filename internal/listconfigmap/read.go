package listconfigmap

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Get returns the ConfigMap with that name, and false if there is none. It may return ConfigMaps without the label
// [Label], which count as missing.
type Get func(name string) (*corev1.ConfigMap, bool)

// Result is the result of reading a list.
type Result int

const (
	// Found means that the list was read completely.
	Found Result = iota
	// NotFound means that the ConfigMap, its label or the key does not exist.
	NotFound
	// Broken means that a shard is missing or damaged, or that the format of the list is unknown.
	Broken
	// NotWanted means that the [Sink] stopped the reading before the end.
	NotWanted
)

// Read returns the texts of the list in the ConfigMap with that name. These are the text of the key, or the texts of
// all keys in alphabetical order if key is empty. For an index, they are the texts of all shards. The caller must not
// change the texts.
//
// If any part is missing, Read returns no texts, NotFound or Broken, and a message for people. The message is empty if
// there is no such list.
func Read(get Get, name, key string) (_ [][]byte, missing string, _ Result) {
	var all collector
	missing, result := Stream(get, name, key, &all)
	if result != Found {
		all = nil
	}
	return all, missing, result
}

// ShardNames returns the names of the shards that an index names. It returns none if object is not an index, or cannot
// be decoded.
func ShardNames(object *corev1.ConfigMap) []string {
	if object.Annotations[AnnotationFormat] != FormatIndex {
		return nil
	}
	text, _ := textOf(object, KeyIndex)
	var named index
	if err := json.Unmarshal(text, &named); err != nil {
		return nil
	}
	names := make([]string, len(named.Shards))
	for i := range named.Shards {
		names[i] = named.Shards[i].Name
	}
	return names
}

// textOf returns the value of a key, and false if there is no such key. A value that is not UTF-8 is under binaryData
// instead of data. A key cannot be in both: the API server refuses that.
func textOf(object *corev1.ConfigMap, key string) ([]byte, bool) {
	if text, found := object.Data[key]; found {
		return []byte(text), true
	}
	text, found := object.BinaryData[key]
	return text, found
}

// keysOf returns the keys of data and binaryData, sorted.
func keysOf(object *corev1.ConfigMap) []string {
	return slices.Sorted(maps.Keys(mergeKeys(object)))
}

func mergeKeys(object *corev1.ConfigMap) map[string]struct{} {
	keys := make(map[string]struct{}, len(object.Data)+len(object.BinaryData))
	for key := range object.Data {
		keys[key] = struct{}{}
	}
	for key := range object.BinaryData {
		keys[key] = struct{}{}
	}
	return keys
}

// Sink receives the texts of a list in order: of its keys, or of its shards.
type Sink interface {
	// Begin is called first. digest and size (in bytes) are those of the whole list as its index states them. If Begin
	// returns false, Stream adds no text and returns NotWanted.
	//
	// A list without an index is the text of one key, or the texts of all keys of the ConfigMap. Then size is -1, and
	// digest is that of the text if there is exactly one, and "" otherwise.
	Begin(digest string, size int64) bool
	// Add receives the next text, which it must not keep or change. If Add returns false, Stream stops and returns
	// NotWanted.
	Add(text []byte) bool
}

// Stream reads a list as [Read] does, but holds only one text at a time. The caller must discard the texts that the
// sink received if the result is not Found: others are then missing.
func Stream(get Get, name, key string, sink Sink) (missing string, _ Result) {
	object, found := get(name)
	if !found || !IsList(object) {
		return "", NotFound
	}
	switch format, marked := object.Annotations[AnnotationFormat]; {
	case marked && format != FormatIndex:
		return fmt.Sprintf("its annotation %s names a format that this operator does not know", AnnotationFormat), Broken
	case marked && key != "":
		return "it is the index of a list of several ConfigMaps: leave the key out", Broken
	case marked:
		return streamIndex(get, object, sink)
	}
	keys := []string{key}
	if key == "" {
		keys = keysOf(object)
	} else if _, found := textOf(object, key); !found {
		return fmt.Sprintf("the ConfigMap has no key %s", key), NotFound
	}
	digest := ""
	if len(keys) == 1 {
		text, _ := textOf(object, keys[0])
		digest = DigestOf(text)
	}
	if !sink.Begin(digest, -1) {
		return "", NotWanted
	}
	for _, key := range keys {
		if text, _ := textOf(object, key); !sink.Add(text) {
			return "", NotWanted
		}
	}
	return "", Found
}

// streamIndex does what Stream does, for a ConfigMap that is an index.
func streamIndex(get Get, object *corev1.ConfigMap, sink Sink) (missing string, _ Result) {
	text, _ := textOf(object, KeyIndex)
	var named index
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&named); err != nil || len(named.Shards) == 0 || len(named.Shards) > maxShards {
		return "its index cannot be read", Broken
	}
	if !sink.Begin(named.Digest, int64(named.Size)) {
		return "", NotWanted
	}
	size := 0
	whole := newDigest()
	for i, part := range named.Shards {
		of := fmt.Sprintf("ConfigMap %s, part %d of %d,", part.Name, i+1, len(named.Shards))
		object, found := get(part.Name)
		if !found || !IsList(object) {
			return of + " is missing: write the list again, or point the index back to an earlier one", Broken
		}
		text, found := textOf(object, KeyEntries)
		if !found || DigestOf(text) != part.Digest {
			return of + " does not have the content that the index names", Broken
		}
		// Begin accepted the list with the size in the index. A shard beyond that size must not reach the sink: it
		// could take more memory than the sink has for the list.
		if size += len(text); size > named.Size {
			break
		}
		whole.Write(text)
		if !sink.Add(text) {
			return "", NotWanted
		}
	}
	if size != named.Size || sumOf(whole) != named.Digest {
		return "its parts together do not have the size and digest that the index names", Broken
	}
	return "", Found
}

// collector is a Sink that keeps all texts.
type collector [][]byte

// Begin accepts every list.
func (*collector) Begin(string, int64) bool { return true }

// Add keeps a text.
func (c *collector) Add(text []byte) bool {
	*c = append(*c, text)
	return true
}
