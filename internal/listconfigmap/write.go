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

// ErrTooBig is the error of Write for a text that needs too many shards.
var ErrTooBig = errors.New("too big for a list in ConfigMaps")

// Write returns the ConfigMaps that hold a text: a single one, or immutable shards followed by their index. The caller
// must write them in this order, so that an index never names a missing shard. Read returns the same bytes. The same
// text gives the same shards. It fails with ErrTooBig if the text needs too many shards.
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

// put stores a text in data, or in binaryData if it is not UTF-8, as the API server requires.
func put(object *corev1.ConfigMap, text []byte) {
	if utf8.Valid(text) {
		object.Data = map[string]string{KeyEntries: string(text)}
		return
	}
	object.BinaryData = map[string][]byte{KeyEntries: text}
}

// split cuts a text at line ends, and within a line only if the line is longer than maxText.
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

// shardName names a shard by its list and content.
func shardName(name, digest string) string {
	ending := "-" + strings.TrimPrefix(digest, "sha256:")[:nameDigits]
	if limit := validation.DNS1123SubdomainMaxLength - len(ending); len(name) > limit {
		name = strings.TrimRight(name[:limit], ".-")
	}
	return name + ending
}
