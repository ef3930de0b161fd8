package listconfigmap

import (
	"encoding/json"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
)

// Get returns a ConfigMap by its name. Those without the label of a list may be left out, or be returned: they count as not
// there.
type Get func(name string) (*corev1.ConfigMap, bool)

// Result is how a list was found.
type Result int

const (
	// Found is a list whose texts are there.
	Found Result = iota
	// NotFound is a ConfigMap, or a key of it, that is not there.
	NotFound
	// Broken is a list of which a part is missing or damaged, or in a format that is not known here.
	Broken
	// NotWanted is a list that the sink did not want whole.
	NotWanted
)

// Read returns the texts of the list that a ConfigMap holds: that of a key, or of all keys in their order if key is empty. The
// texts must not be changed. Unless all of it is there, there are none: missing then says why, for people, or is empty where
// there is no such ConfigMap, and the result is NotFound or Broken.
func Read(get Get, name, key string) (_ [][]byte, missing string, _ Result) {
	var all texts
	missing, result := Stream(get, name, key, &all)
	if result != Found {
		all = nil
	}
	return all, missing, result
}

// ShardNames returns the names of the ConfigMaps that an index names, and none for what is no index or cannot be read.
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

// textOf returns what a ConfigMap has under a key. kubectl puts what is not UTF-8 under binaryData; the API server lets no key
// stand in both.
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
