package listconfigmap

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"
)

// ErrTooBig reports a text that needs more than 1,000 shards.
var ErrTooBig = errors.New("too big for a list in ConfigMaps")

// Write returns the ConfigMaps that hold a text: a single one, or immutable shards followed by their index. It sends
// nothing to a cluster. The caller must create them in this order. Otherwise the index could name a shard that does not
// exist yet. [Read] returns the same bytes, and the same text always gives the same shards. Write fails with ErrTooBig
// if the text needs too many shards.
func Write(name, namespace string, text []byte) ([]*corev1.ConfigMap, error) {
	list := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: name, Namespace: namespace, Labels: map[string]string{Label: LabelTrue},
	}}
	if len(text) <= maxText {
		put(list, text)
		return []*corev1.ConfigMap{list}, nil
	}
	parts := split(text)
	if len(parts) > maxShards {
		return nil, fmt.Errorf("%w: %d bytes", ErrTooBig, len(text))
	}
	named := index{Digest: DigestOf(text), Size: len(text)}
	var objects []*corev1.ConfigMap
	written := map[string]bool{}
	for _, part := range parts {
		digest := DigestOf(part)
		shardName := shardName(name, digest)
		named.Shards = append(named.Shards, shard{shardName, digest})
		if written[shardName] {
			continue // an earlier part has the same content
		}
		written[shardName] = true
		object := &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{
				Name: shardName, Namespace: namespace, Labels: map[string]string{Label: LabelTrue, LabelShardOf: ShardOf(name)},
			},
			Immutable: new(true),
		}
		put(object, part)
		objects = append(objects, object)
	}
	asJSON, err := json.MarshalIndent(named, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode the index: %w", err)
	}
	list.Annotations = map[string]string{AnnotationFormat: FormatIndex}
	list.Data = map[string]string{KeyIndex: string(asJSON) + "\n"}
	return append(objects, list), nil
}

// put stores a text under KeyEntries: in data, or in binaryData if it is not UTF-8, as the API server requires.
func put(object *corev1.ConfigMap, text []byte) {
	if utf8.Valid(text) {
		object.Data = map[string]string{KeyEntries: string(text)}
		return
	}
	object.BinaryData = map[string][]byte{KeyEntries: text}
}

// split cuts a text into parts of at most maxText bytes. It cuts at the end of a line, unless the line itself is longer
// than maxText.
func split(text []byte) [][]byte {
	var parts [][]byte
	for len(text) > maxText {
		end := bytes.LastIndexByte(text[:maxText], '\n') + 1
		if end == 0 {
			end = maxText
		}
		parts = append(parts, text[:end])
		text = text[end:]
	}
	return append(parts, text)
}

// shardName returns the name of a shard: the name of its list, shortened if necessary, and a part of its digest.
func shardName(name, digest string) string {
	ending := "-" + strings.TrimPrefix(digest, "sha256:")[:nameDigits]
	if limit := validation.DNS1123SubdomainMaxLength - len(ending); len(name) > limit {
		name = strings.TrimRight(name[:limit], ".-")
	}
	return name + ending
}
