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
	// Label is what every ConfigMap with a list, an index or a shard has, with the value [LabelTrue]. Others are not read.
	Label = "registrationpolicy.dev/list"
	// LabelTrue is the value of Label.
	LabelTrue = "true"
	// LabelShardOf names, on a shard, the list that it was written for: see [ShardOf].
	LabelShardOf = "registrationpolicy.dev/list-shard-of"
	// AnnotationFormat says what a ConfigMap holds; without it, entries. Another value than [FormatIndex] is of an operator newer
	// than this.
	AnnotationFormat = "registrationpolicy.dev/list-format"
	// FormatIndex is the format of an index: JSON under KeyIndex.
	FormatIndex = "index.v1"
	// KeyIndex is the only key of an index.
	KeyIndex = "index"
	// KeyEntries is the key that Write puts entries under.
	KeyEntries = "entries"
)

const (
	// maxText is how many bytes of entries Write puts into one ConfigMap. An API server takes 1 MiB of data, and some clients keep a
	// copy of an object in an annotation of it.
	maxText = 900 << 10
	// maxShards bounds an index: with more, it says something else than a list.
	maxShards = 1000
	// nameDigits is how much of a shard's digest its name has: 64 bits, and what it names is checked against the whole.
	nameDigits = 16
)

// index is what an index says of its list.
type index struct {
	// Digest is that of the whole text, and Size its length in bytes.
	Digest string  `json:"digest"`
	Size   int     `json:"size"`
	Shards []shard `json:"shards"`
}

// shard is one of the parts that make the text, in this order.
type shard struct {
	Name   string `json:"name"`
	Digest string `json:"digest"`
}

// DigestOf returns "sha256:" and the hexadecimal digits of the texts one after the other.
func DigestOf(texts ...[]byte) string {
	digest := newDigest()
	for _, text := range texts {
		digest.Write(text)
	}
	return sumOf(digest)
}

func newDigest() hash.Hash { return sha256.New() }

func sumOf(digest hash.Hash) string { return "sha256:" + hex.EncodeToString(digest.Sum(nil)) }

// ShardOf returns the value of LabelShardOf for the shards of a list. A name too long for a label is cut, and told apart by a
// digest.
func ShardOf(name string) string {
	if len(name) <= validation.LabelValueMaxLength {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	ending := "-" + hex.EncodeToString(sum[:nameDigits/2])
	return name[:validation.LabelValueMaxLength-len(ending)] + ending
}

// IsList says whether a ConfigMap has the label of one with a list.
func IsList(object *corev1.ConfigMap) bool { return object.Labels[Label] == LabelTrue }

// Labels returns the labels of every ConfigMap that holds a list, or a part of one. Others are not read.
func Labels() labels.Set { return labels.Set{Label: LabelTrue} }
