package storedsnapshot

import (
	"fmt"
	"slices"
)

// Cause says why a file is refused: a closed set.
type Cause string

// The causes. Whatever the cause, nothing of the file is used.
const (
	// CauseUnreadable is a file that the system does not let us read.
	CauseUnreadable Cause = "unreadable"
	// CauseNotOurs is no regular file, or one that somebody else owns or may write.
	CauseNotOurs Cause = "not_ours"
	// CauseTooBig is a file that no operator wrote: it is over the bound.
	CauseTooBig Cause = "too_big"
	// CauseNoSnapshot is some other sort of file.
	CauseNoSnapshot Cause = "no_snapshot"
	// CauseOtherFormat is a file of another operator's format.
	CauseOtherFormat Cause = "other_format"
	// CauseTruncated is a file with less in it than it says.
	CauseTruncated Cause = "truncated"
	// CauseDamaged is a file that is not as it was written.
	CauseDamaged Cause = "damaged"
	// CauseOtherVersion is a file of another version of the operator.
	CauseOtherVersion Cause = "other_version"
	// CauseOtherCluster is a file of a replica that watched another API server, or the same by another name or authority.
	CauseOtherCluster Cause = "other_cluster"
	// CauseOtherNamespaces is a file of a replica that watched other namespaces.
	CauseOtherNamespaces Cause = "other_namespaces"
	// CauseOtherFlags is a file of a replica with other flags that change decisions.
	CauseOtherFlags Cause = "other_flags"
	// CauseOtherRules is a file whose policies do not compile to the snapshot that they made when it was written.
	CauseOtherRules Cause = "other_rules"
)

// RefusedError says that a file is refused, and why. It quotes nothing of what is in it but a binding.
type RefusedError struct {
	// Cause is the name of the refusal.
	Cause Cause
	// Detail is for people.
	Detail string
}

// Error returns the detail.
func (e *RefusedError) Error() string { return e.Detail }

func refused(cause Cause, format string, args ...any) error {
	return &RefusedError{cause, fmt.Sprintf(format, args...)}
}

// Check returns a [RefusedError] unless the snapshot is bound to exactly this.
func (h *Header) Check(to Binding) error {
	b := h.Binding
	switch {
	case b.Version != to.Version:
		return refused(CauseOtherVersion, "written by version %q of the operator, and this is %q", b.Version, to.Version)
	case b.Cluster != to.Cluster:
		return refused(CauseOtherCluster, "written for another API server, or with another authority for it")
	case !slices.Equal(b.Namespaces, to.Namespaces):
		return refused(CauseOtherNamespaces, "written for the namespaces %q, and these are watched: %q", b.Namespaces, to.Namespaces)
	case !slices.Equal(b.Flags, to.Flags):
		return refused(CauseOtherFlags, "written under the flags %q, and these are given: %q", b.Flags, to.Flags)
	}
	return nil
}
