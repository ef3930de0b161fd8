package rules

import (
	"io"

	"registrationpolicy.dev/operator/rules/internal/list"
)

// List is a list of entries, compiled once for all the policies that use it. It is immutable, and safe for concurrent
// use. [CompileList] makes one.
type List = list.List

// ListBuilder compiles a list from texts that come one after the other, so that the caller need not hold all of them at
// once. Only one goroutine may use it. [NewListBuilder] makes one.
type ListBuilder = list.Builder

// CompileList compiles a list of one entry a line: a domain, "*." and a domain, a whole address, or jo+*@ and a domain
// for an address with its sub-addresses. It ignores empty lines, and what follows a # at the start of a line or after a
// blank. It accepts blanks around an entry, CRLF, and a byte order mark at the start of a line. It skips and counts any
// other line ([List.Skipped]). "*" is not an entry of a list, so that a list cannot mean everybody by accident.
//
// CompileList joins the texts in order. It adds a newline after a text that does not end in one, so no entry spans two
// texts. It does not keep the texts. It never returns an error: [List.Fault] says whether the list can be used.
func CompileList(texts ...[]byte) *List { return list.Compile(texts...) }

// NewListBuilder returns a builder of a list that is empty so far.
func NewListBuilder() *ListBuilder { return list.NewBuilder() }

// DecodeList reads a list that [List.Encode] has written, and no byte after it. The result decides as the original
// does. For any other input, DecodeList returns an error, which does not quote the input. It allocates no more bytes
// than it reads, so a damaged length cannot exhaust the memory.
func DecodeList(r io.Reader) (*List, error) { return list.Decode(r) }

// SkippedLineReason returns why [CompileList] skips a line, given without its newline, and what to write instead. It
// returns "" for a line that is not skipped. The reason quotes nothing of the line, so equal reasons can be counted
// together.
func SkippedLineReason(line string) string { return list.SkippedReason(line) }
