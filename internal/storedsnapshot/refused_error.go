package storedsnapshot

import (
	"fmt"
	"slices"
)

// Cause is why a file is refused. The constants below are the complete set.
type Cause string

// The causes of a refusal. Nothing of a refused file is used.
const (
	// CauseUnreadable: the system call failed.
	CauseUnreadable Cause = "unreadable"
	// CauseNotOurs: not a regular file, or another user owns it or may write it.
	CauseNotOurs Cause = "not_ours"
	// CauseTooBig: larger than any file that an operator writes.
	CauseTooBig Cause = "too_big"
	// CauseNoSnapshot: not a stored snapshot.
	CauseNoSnapshot Cause = "no_snapshot"
	// CauseOtherFormat: in the format of another version.
	CauseOtherFormat Cause = "other_format"
	// CauseTruncated: shorter than its header says.
	CauseTruncated Cause = "truncated"
	// CauseDamaged: the checksum or the content is wrong.
	CauseDamaged Cause = "damaged"
	// CauseOtherVersion: written by another version of the operator.
	CauseOtherVersion Cause = "other_version"
	// CauseOtherCluster: written for another API server, or for another address or CA bundle of the same one.
	CauseOtherCluster Cause = "other_cluster"
	// CauseOtherNamespaces: written for other watched namespaces.
	CauseOtherNamespaces Cause = "other_namespaces"
	// CauseOtherFlags: written with other values of flags that change decisions.
	CauseOtherFlags Cause = "other_flags"
	// CauseOtherRules: the policies compile to another digest than when the file was written.
	CauseOtherRules Cause = "other_rules"
)

// RefusedError means that a file is refused. It quotes only the [Binding] of the file.
type RefusedError struct {
	// Cause is the reason, for programs.
	Cause Cause
	// Detail is the reason, for people.
	Detail string
}

// Error returns the detail.
func (e *RefusedError) Error() string { return e.Detail }

func refused(cause Cause, format string, args ...any) error {
	return &RefusedError{cause, fmt.Sprintf(format, args...)}
}

// Check returns a [RefusedError] if the binding of the file is not equal to want.
func (h *Header) Check(want Binding) error {
	b := h.Binding
	switch {
	case b.Version != want.Version:
		return refused(CauseOtherVersion, "written by version %q of the operator; this is version %q", b.Version, want.Version)
	case b.Cluster != want.Cluster:
		return refused(CauseOtherCluster, "written for another API server, or with another CA bundle for it")
	case !slices.Equal(b.Namespaces, want.Namespaces):
		return refused(CauseOtherNamespaces, "written for the namespaces %q; this operator watches %q", b.Namespaces, want.Namespaces)
	case !slices.Equal(b.Flags, want.Flags):
		return refused(CauseOtherFlags, "written with the flags %q; this operator has %q", b.Flags, want.Flags)
	}
	return nil
}
