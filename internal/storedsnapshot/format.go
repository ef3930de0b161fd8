package storedsnapshot

import (
	"crypto/sha256"
	"time"

	"registrationpolicy.dev/operator/rules"
)

// The layout of a file of format 3; numbers are big-endian:
//
//	magic                16 bytes
//	format               4 bytes
//	length of the file   8 bytes
//	length of the header 4 bytes
//	header               JSON of a Header
//	lists                the number in the header, each as rules.List.Encode writes it
//	policies             the number in the header, each a length of 4 bytes and JSON
//	SHA-256              32 bytes, of everything before them
const (
	magic  = "regpol snapshot\n"
	format = 3

	formatAt = len(magic)
	lengthAt = formatAt + 4
	headerAt = lengthAt + 8
	preamble = headerAt + 4

	// shortest is the length of a file with an empty header and no content.
	shortest = preamble + sha256.Size
	// maxHeader is the largest header in bytes: enough for several thousand namespaces.
	maxHeader = 1 << 20
	// maxFile is the largest file in bytes: enough for lists of ten million names, several times the supported size.
	maxFile = 256 << 20
)

// Header describes the snapshot in a file.
type Header struct {
	// Binding is the configuration for which the snapshot is valid.
	Binding Binding `json:"binding"`
	// Written is the time at which the file was written, right after the snapshot came into force.
	Written time.Time `json:"written"`
	// Digest is the digest of the compiled snapshot.
	Digest string `json:"digest"`
	// Synced maps each namespace to the resourceVersion up to which the snapshot reflects its policies and lists.
	Synced map[string]string `json:"synced"`
	// ListCount and PolicyCount are the numbers of lists and policies in the file.
	ListCount   int `json:"lists"`
	PolicyCount int `json:"policies"`
}

// Snapshot is the content of a file.
type Snapshot struct {
	Header

	// Policies are the policies in force, with their lists.
	Policies []rules.Policy
}

// Binding is the configuration for which a snapshot is valid. With any other, the same objects could give a different
// snapshot.
type Binding struct {
	// Version is the version of the operator.
	Version string `json:"version"`
	// Cluster identifies the API server, see [ClusterIdentity].
	Cluster string `json:"cluster"`
	// Namespaces are the watched namespaces, sorted.
	Namespaces []string `json:"namespaces"`
	// Flags are the flags that change decisions, as name=value.
	Flags []string `json:"flags"`
}

// storedPolicy is the JSON of a policy.
type storedPolicy struct {
	Policy rules.Policy `json:"policy"`
	// Lists are the digests of its lists in the order of usesOf, "" for a missing list.
	Lists []string `json:"lists,omitempty"`
}

// usesOf returns the lists of a policy: first the allow lists, then the deny lists.
func usesOf(policy *rules.Policy) []*rules.ListUse {
	var all []*rules.ListUse
	for _, uses := range [][]rules.ListUse{policy.Allow.Lists, policy.Deny.Lists} {
		for i := range uses {
			all = append(all, &uses[i])
		}
	}
	return all
}
