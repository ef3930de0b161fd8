package storedsnapshot

import (
	"crypto/sha256"
	"time"

	"registrationpolicy.dev/operator/rules"
)

// A file of format 3, numbers with the highest byte first:
//
//	magic                16 bytes
//	format               4 bytes
//	length of the file   8 bytes
//	length of the header 4 bytes
//	header               JSON of a Header
//	lists                as many as the header says, each as rules.List.Encode writes it
//	policies             as many as the header says, each its length in 4 bytes and its JSON
//	SHA-256              32 bytes, of all before them
const (
	magic  = "regpol snapshot\n"
	format = 3

	formatAt = len(magic)
	lengthAt = formatAt + 4
	headerAt = lengthAt + 8
	preamble = headerAt + 4

	// shortest is the length of a file in which nothing is missing but a header.
	shortest = preamble + sha256.Size
	// maxHeader bounds the header: that of several thousand namespaces.
	maxHeader = 1 << 20
	// maxFile bounds what is written and read: lists of ten million names, several times what an operator is made for.
	maxFile = 256 << 20
)

// Header is what a file says of the snapshot in it.
type Header struct {
	// Binding is what the snapshot is bound to.
	Binding Binding `json:"binding"`
	// Written is when the file was: right after the snapshot came into force.
	Written time.Time `json:"written"`
	// Digest is that of the snapshot which the policies compile to.
	Digest string `json:"digest"`
	// Synced is, for each namespace, the resourceVersion up to which the snapshot reflects its policies and lists.
	Synced map[string]string `json:"synced"`
	// ListCount and PolicyCount are how many there are.
	ListCount   int `json:"lists"`
	PolicyCount int `json:"policies"`
}

// Snapshot is what a file holds.
type Snapshot struct {
	Header

	// Policies are those in force, with their lists.
	Policies []rules.Policy
}

// Binding is what a snapshot is bound to. Under any other, another snapshot could be in force.
type Binding struct {
	// Version is that of the operator.
	Version string `json:"version"`
	// Cluster names the API server.
	Cluster string `json:"cluster"`
	// Namespaces are those that are watched, sorted.
	Namespaces []string `json:"namespaces"`
	// Flags are the flags that change decisions, as name=value.
	Flags []string `json:"flags"`
}

// storedPolicy is what is stored of a policy.
type storedPolicy struct {
	Policy rules.Policy `json:"policy"`
	// Lists are the digests of the lists that it uses, in the order of usesOf; "" for one that is missing.
	Lists []string `json:"lists,omitempty"`
}

// usesOf returns the lists that a policy names: those by which it allows, then those by which it denies.
func usesOf(policy *rules.Policy) []*rules.ListUse {
	var all []*rules.ListUse
	for _, uses := range [][]rules.ListUse{policy.Allow.Lists, policy.Deny.Lists} {
		for i := range uses {
			all = append(all, &uses[i])
		}
	}
	return all
}
