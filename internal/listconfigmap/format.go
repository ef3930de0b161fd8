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
	// Label is the label of every ConfigMap with a list, an index or a shard, with the value [LabelTrue]. The operator
	// does not read ConfigMaps without this label.
	Label = "registrationpolicy.dev/list"
	// LabelTrue is the value of Label.
	LabelTrue = "true"
	// LabelShardOf is a label of every shard. Its value identifies the list of the shard, see [ShardOf].
	LabelShardOf = "registrationpolicy.dev/list-shard-of"
	// AnnotationFormat is the annotation with the format of the data. A ConfigMap without it holds the text of a list.
	// A value other than [FormatIndex] was written by a newer version of regpol, and is not understood.
	AnnotationFormat = "registrationpolicy.dev/list-format"
	// FormatIndex is the value of AnnotationFormat for an index, which is JSON under KeyIndex.
	FormatIndex = "index.v1"
	// KeyIndex is the only key of an index.
	KeyIndex = "index"
	// KeyEntries is the key under which Write stores the text of a list or of a shard.
	KeyEntries = "entries"
)

const (
	// maxText is the largest text in bytes that Write puts into one ConfigMap. An API server accepts 1 MiB of data. The
	// difference is a reserve for what other clients add to the object.
	maxText = 900 << 10
	// maxShards is the largest number of shards of a list. Write makes no more, and an index with more is damaged.
	maxShards = 1000
	// nameDigits is how many hexadecimal digits of a shard's digest are in its name. They are 64 bits, enough to tell
	// shards apart. A reader checks the whole digest, which is in the index.
	nameDigits = 16
)

// index is the JSON under KeyIndex.
type index struct {
	// Digest is the result of DigestOf for the whole text, and Size the number of its bytes.
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

// ShardOf returns the value of LabelShardOf for the shards of the list with that name. If the name is too long for the
// value of a label, its end is replaced by a digest of the name.
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

// Labels returns the labels that select the ConfigMaps with lists, indexes and shards.
func Labels() labels.Set { return labels.Set{Label: LabelTrue} }
