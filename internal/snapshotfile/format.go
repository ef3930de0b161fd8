package snapshotfile

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

	// The offset in bytes of the format, of both lengths, and of the header.
	formatAt       = len(magic)
	fileLengthAt   = formatAt + 4
	headerLengthAt = fileLengthAt + 8
	headerAt       = headerLengthAt + 4

	// minSize is the length in bytes of a file without header, lists and policies.
	minSize = headerAt + sha256.Size
	// maxHeader is the largest header in bytes: enough for several thousand namespaces.
	maxHeader = 1 << 20
)

const (
	// MagicSize is the number of bytes at the beginning that identify a stored snapshot. A file with other bytes there
	// is refused.
	MagicSize = len(magic)
	// MaxSize is the largest file in bytes: enough for ten lists of a million entries, the largest that are supported.
	MaxSize = 256 << 20
)

// Header describes the snapshot in a file.
type Header struct {
	// Binding is the configuration with which the snapshot was built.
	Binding Binding `json:"binding"`
	// Written is the time right after the snapshot came into force, when writing the file was due.
	Written time.Time `json:"written"`
	// Digest is the digest of the compiled snapshot.
	Digest string `json:"digest"`
	// Synced maps each namespace to the resourceVersion up to which the snapshot contains the changes of its policies
	// and lists.
	Synced map[string]string `json:"synced"`
	// ListCount and PolicyCount are the numbers of lists and policies in the file.
	ListCount   int `json:"lists"`
	PolicyCount int `json:"policies"`
}

// Snapshot is the content of a file.
type Snapshot struct {
	Header

	// Policies are the policies in force as their authors wrote them, with their compiled lists.
	Policies []rules.Policy
}

// Binding is the configuration with which a snapshot was built. An operator with another configuration refuses the
// file, because it could build a different snapshot from the same objects.
type Binding struct {
	// Version is the version of the operator.
	Version string `json:"version"`
	// Cluster identifies the API server, see storedsnapshot.ClusterIdentity.
	Cluster string `json:"cluster"`
	// Namespaces are the watched namespaces, sorted.
	Namespaces []string `json:"namespaces"`
	// Flags are the operator's flags that change decisions, each as --name=value.
	Flags []string `json:"flags"`
}

// storedPolicy is the JSON of a policy, without its lists. The file has all lists before the policies, each once, even
// if many policies use the same list.
type storedPolicy struct {
	Policy rules.Policy `json:"policy"`
	// Lists are the digests of the policy's lists in the order of [listUses], "" for a missing list.
	Lists []string `json:"lists,omitempty"`
}

// listUses returns the references of a policy to lists: first in allow, then in deny.
func listUses(policy *rules.Policy) []*rules.ListUse {
	var all []*rules.ListUse
	for _, uses := range [][]rules.ListUse{policy.Allow.Lists, policy.Deny.Lists} {
		for i := range uses {
			all = append(all, &uses[i])
		}
	}
	return all
}
