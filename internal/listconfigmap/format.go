package listconfigmap

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"
)

const (
	// Label is on every ConfigMap with a list, an index or a shard, with the value [LabelTrue]. ConfigMaps without it
	// are not read.
	Label = "registrationpolicy.dev/list"
	// LabelTrue is the value of Label.
	LabelTrue = "true"
	// LabelShardOf is on every shard. Its value names the list, see [ShardOf].
	LabelShardOf = "registrationpolicy.dev/list-shard-of"
	// AnnotationFormat is the format of the data. A ConfigMap without it holds entries. A value other than
	// [FormatIndex] comes from a newer operator.
	AnnotationFormat = "registrationpolicy.dev/list-format"
	// FormatIndex is the format of an index: JSON under KeyIndex.
	FormatIndex = "index.v1"
	// KeyIndex is the only key of an index.
	KeyIndex = "index"
	// KeyEntries is the key under which Write stores entries.
	KeyEntries = "entries"
)

const (
	// maxText is the largest text in bytes that Write puts into one ConfigMap. An API server accepts 1 MiB of data, and
	// some clients store a copy of the object in an annotation.
	maxText = 900 << 10
	// maxShards is the largest number of shards; an index with more is damaged.
	maxShards = 1000
	// nameDigits is the number of hexadecimal digits of its digest in the name of a shard: 64 bits. A reader checks the
	// whole digest.
	nameDigits = 16
)

// index is the JSON of an index.
type index struct {
	// Digest and Size (in bytes) are those of the whole text.
	Digest string  `json:"digest"`
	Size   int     `json:"size"`
	Shards []shard `json:"shards"` // in the order of the text
}

// shard names a ConfigMap with a part of the text.
type shard struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// DigestOf returns "sha256:" and the hexadecimal SHA-256 of the concatenated texts.
func DigestOf(texts ...[]byte) string {
	digest := newDigest()
	for _, text := range texts {
		digest.Write(text)
	}
	return sumOf(digest)
}

func newDigest() hash.Hash { return sha256.New() }

func sumOf(digest hash.Hash) string { return "sha256:" + hex.EncodeToString(digest.Sum(nil)) }

// ShardOf returns the value of LabelShardOf for the shards of a list. If the name is too long for a label, its end is
// replaced by a digest of the name.
func ShardOf(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	ending := "-" + hex.EncodeToString(sum[:nameDigits/2])
	return name[:validation.LabelValueMaxLength-len(ending)] + ending
}

// IsList reports whether a ConfigMap has Label with the value LabelTrue.
func IsList(object *corev1.ConfigMap) bool { return object.Labels[Label] == LabelTrue }

// Labels returns the labels by which to select the ConfigMaps with lists, indexes and shards.
func Labels() labels.Set { return labels.Set{Label: LabelTrue} }
