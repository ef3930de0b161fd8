package listconfigmap

import (
	"bytes"
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// Sink takes up the texts of a list, one after the other.
type Sink interface {
	// Begin comes first: the digest and size in bytes that the list says it has; "" and -1 where it does not. If it returns false, no
	// text is read, and the result is NotWanted.
	Begin(digest string, size int64) bool
	// Add takes up a text, which must not be kept or changed. If it returns false, no further one is read.
	Add(text []byte) bool
}

// Stream reads a list as Read does, and holds one text at a time. What the sink has taken up is the list only if the result is Found.
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
		// What is larger than it says would be taken for what fits.
		if size += len(text); size > named.Size {
			break
		}
		whole.Write(text)
		if !sink.Add(text) {
			return "", NotWanted
		}
	}
	if size != named.Size || sumOf(whole) != named.Digest {
		return "its parts do not make the whole that the index names", Broken
	}
	return "", Found
}

// texts is a Sink that keeps all.
type texts [][]byte

// Begin wants every list.
func (*texts) Begin(string, int64) bool { return true }

// Add keeps a text.
func (t *texts) Add(text []byte) bool {
	*t = append(*t, text)
	return true
}
