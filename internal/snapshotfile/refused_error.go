package snapshotfile

import (
	"fmt"
	"slices"
)

// Cause is why a file is refused. Its values are the constants below.
type Cause string

// The causes. No part of a refused file is used.
const (
	// CauseUnreadable: reading the file failed.
	CauseUnreadable Cause = "unreadable"
	// CauseNotOurs: not a regular file, or another user owns it or may write it.
	CauseNotOurs Cause = "not_ours"
	// CauseTooBig: larger than any file that an operator writes.
	CauseTooBig Cause = "too_big"
	// CauseNoSnapshot: does not begin with the bytes that identify a stored snapshot.
	CauseNoSnapshot Cause = "no_snapshot"
	// CauseOtherFormat: has the file format of another version of the operator.
	CauseOtherFormat Cause = "other_format"
	// CauseTruncated: shorter than its header says.
	CauseTruncated Cause = "truncated"
	// CauseDamaged: the checksum is wrong, or the content cannot be decoded.
	CauseDamaged Cause = "damaged"
	// CauseOtherVersion: written by another version of the operator.
	CauseOtherVersion Cause = "other_version"
	// CauseOtherCluster: written for another API server, or for another address or CA bundle of the same one.
	CauseOtherCluster Cause = "other_cluster"
	// CauseOtherNamespaces: written for other watched namespaces.
	CauseOtherNamespaces Cause = "other_namespaces"
	// CauseOtherFlags: written by an operator with other values of the flags that change decisions.
	CauseOtherFlags Cause = "other_flags"
	// CauseOtherRules: the policies compile to another digest than when the file was written.
	CauseOtherRules Cause = "other_rules"
)

// RefusedError means that a file is refused. Its text quotes nothing of the file but the [Binding].
type RefusedError struct {
	// Cause is the reason, for programs.
	Cause Cause
	// Detail is the reason, for people.
	Detail string

	readErr error // with CauseUnreadable; otherwise nil
}

// Error returns the detail.
func (e *RefusedError) Error() string { return e.Detail }

// Unwrap returns the error of reading the file; nil if the cause is not [CauseUnreadable].
func (e *RefusedError) Unwrap() error { return e.readErr }

// Refusef returns a [RefusedError] whose detail is formatted as by [fmt.Sprintf].
func Refusef(cause Cause, format string, args ...any) error {
	return &RefusedError{Cause: cause, Detail: fmt.Sprintf(format, args...)}
}

// Unreadable returns a [RefusedError] for an error of opening or reading the file.
func Unreadable(err error) error {
	return &RefusedError{Cause: CauseUnreadable, Detail: err.Error(), readErr: err}
}

// Check returns a [RefusedError] if the file was written with another [Binding] than want.
func (h *Header) Check(want Binding) error {
	b := h.Binding
	switch {
	case b.Version != want.Version:
		return Refusef(CauseOtherVersion, "written by version %q of the operator; this is version %q", b.Version, want.Version)
	case b.Cluster != want.Cluster:
		return Refusef(CauseOtherCluster, "written for another API server, or with another CA bundle for it")
	case !slices.Equal(b.Namespaces, want.Namespaces):
		return Refusef(CauseOtherNamespaces, "written for the namespaces %q; this operator watches %q", b.Namespaces, want.Namespaces)
	case !slices.Equal(b.Flags, want.Flags):
		return Refusef(CauseOtherFlags, "written with the flags %q; this operator has %q", b.Flags, want.Flags)
	}
	return nil
}
