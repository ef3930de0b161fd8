package listconfigmap

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Get returns the ConfigMap with that name, and false if there is none. It may return ConfigMaps without the label of a
// list: they are treated as missing.
type Get func(name string) (*corev1.ConfigMap, bool)

// Result is the result of reading a list.
type Result int

const (
	// Found means that the list was read completely.
	Found Result = iota
	// NotFound means that the ConfigMap or its key is missing.
	NotFound
	// Broken means that a part of the list is missing or damaged, or that its format is unknown.
	Broken
	// NotWanted means that the [Sink] stopped before the end.
	NotWanted
)

// Read returns the texts of the list that a ConfigMap holds: of one key, or of all keys in their order if key is empty.
// The caller must not change them. If any part is missing it returns no texts, a Result of NotFound or Broken, and a
// message for people, which is empty if there is no such ConfigMap.
func Read(get Get, name, key string) (_ [][]byte, missing string, _ Result) {
	var all collector
	missing, result := Stream(get, name, key, &all)
	if result != Found {
		all = nil
	}
	return all, missing, result
}

// ShardNames returns the names of the shards in an index, and none if object is not a readable index.
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

// textOf returns the value of a key. kubectl stores values that are not UTF-8 under binaryData. The API server refuses
// a key that is in both data and binaryData.
func textOf(object *corev1.ConfigMap, key string) ([]byte, bool) {
	if text, found := object.Data[key]; found {
		return []byte(text), true
	}
	text, found := object.BinaryData[key]
	return text, found
}

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
