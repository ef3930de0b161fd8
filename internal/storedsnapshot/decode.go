package storedsnapshot

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
	"io"

	strictjson "sigs.k8s.io/json"

	"registrationpolicy.dev/operator/rules"
)

// decoder reads a file, front to back and without ever holding it whole.
type decoder struct {
	source  *source
	header  []byte
	content *bufio.Reader // what is between the header and the sum
	left    *io.LimitedReader
	hash    hash.Hash
}

// source is where a file is read. It keeps the error that reading ended with, which is none of what was read.
type source struct {
	io.Reader

	err error
}

// Read implements [io.Reader].
func (s *source) Read(text []byte) (int, error) {
	n, err := s.Reader.Read(text)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// decodeHeader reads a file of so many bytes to its end, and returns what it says of itself: whether it is whole is then known, and
// nothing else of it in memory. What is in it is not looked at. The error is a [RefusedError].
func decodeHeader(file io.Reader, size int64) (*Header, error) {
	d, err := openFile(file, size)
	if err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return d.parseHeader()
}

// decode reads a file of so many bytes. The error is a [RefusedError]. The snapshot is bound to something that the caller has to
// [Header.Check]; what it compiles to is to be checked too.
func decode(file io.Reader, size int64) (*Snapshot, error) {
	d, err := openFile(file, size)
	if err != nil {
		return nil, err
	}
	s, fault := d.snapshot()
	if err := d.finish(); err != nil { // which is why the fault is there
		return nil, err
	}
	if fault != nil {
		return nil, fault
	}
	return s, nil
}

// openFile reads a file up to the end of its header.
func openFile(file io.Reader, size int64) (*decoder, error) {
	d := &decoder{source: &source{Reader: file}, hash: sha256.New()}
	start := make([]byte, min(size, int64(preamble)))
	if _, err := io.ReadFull(d.source, start); err != nil {
		return nil, d.fault()
	}
	if err := checkStart(start, size); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(start[headerAt:]))
	if length > maxHeader || length > size-int64(shortest) {
		return nil, refused(CauseDamaged, "its header does not fit")
	}
	d.hash.Write(start)
	d.header = make([]byte, length)
	if _, err := io.ReadFull(d.source, d.header); err != nil {
		return nil, d.fault()
	}
	d.hash.Write(d.header)
	d.left = &io.LimitedReader{R: d.source, N: size - int64(shortest) - length}
	d.content = bufio.NewReaderSize(io.TeeReader(d.left, d.hash), 64<<10)
	return d, nil
}

// checkStart checks the first bytes of a file of that size.
func checkStart(start []byte, size int64) error {
	switch {
	case size > maxFile:
		return refused(CauseTooBig, "over %d MiB", maxFile>>20)
	case size == 0:
		return refused(CauseTruncated, "empty")
	case !bytes.HasPrefix(start, []byte(magic[:min(len(magic), len(start))])):
		return refused(CauseNoSnapshot, "no snapshot of an operator")
	case len(start) < lengthAt:
		return refused(CauseTruncated, "ends within its first %d bytes", lengthAt)
	}
	if found := binary.BigEndian.Uint32(start[formatAt:]); found != format {
		return refused(CauseOtherFormat, "of format %d, and this operator reads %d", found, format)
	}
	if size < int64(shortest) {
		return refused(CauseTruncated, "ends within its first %d bytes", shortest)
	}
	switch length := binary.BigEndian.Uint64(start[lengthAt:]); {
	case uint64(size) < length:
		return refused(CauseTruncated, "has %d of %d bytes", size, length)
	case uint64(size) > length:
		return refused(CauseDamaged, "has %d bytes, and should have %d", size, length)
	}
	return nil
}

// finish reads what is left of the file, and compares its sum.
func (d *decoder) finish() error {
	if d.source.err != nil {
		return d.fault()
	}
	if _, err := io.Copy(io.Discard, d.content); err != nil {
		return d.fault()
	}
	sum := make([]byte, sha256.Size)
	if _, err := io.ReadFull(d.source, sum); err != nil {
		return d.fault()
	}
	if d.left.N > 0 || !bytes.Equal(sum, d.hash.Sum(nil)) {
		return refused(CauseDamaged, "its content is not what its SHA-256 says")
	}
	return nil
}

// fault returns why reading has ended early.
func (d *decoder) fault() error {
	switch {
	case errors.Is(d.source.err, errNotWanted):
		return errNotWanted
	case d.source.err != nil:
		return refused(CauseUnreadable, "%v", d.source.err)
	default:
		return refused(CauseTruncated, "it has become shorter")
	}
}

func (d *decoder) parseHeader() (*Header, error) {
	header := &Header{}
	if unknown, err := strictjson.UnmarshalStrict(d.header, header); err != nil || len(unknown) > 0 {
		return nil, refused(CauseDamaged, "its header is not as it should be")
	}
	return header, nil
}

// snapshot reads the content. Whether that is what was written is not known before finish.
func (d *decoder) snapshot() (*Snapshot, error) {
	header, err := d.parseHeader()
	if err != nil {
		return nil, err
	}
	s := &Snapshot{Header: *header}
	lists := map[string]*rules.List{}
	for range s.ListCount {
		list, err := rules.DecodeList(d.content)
		if err != nil || lists[list.Digest()] != nil {
			return nil, refused(CauseDamaged, "its lists are not as they should be")
		}
		lists[list.Digest()] = list
	}
	for range s.PolicyCount {
		policy, err := d.policy(lists)
		if err != nil {
			return nil, refused(CauseDamaged, "its policies are not as they should be")
		}
		s.Policies = append(s.Policies, policy)
	}
	if _, err := d.content.ReadByte(); err == nil {
		return nil, refused(CauseDamaged, "it has more than its lists and policies")
	}
	return s, nil
}

var errPolicy = errors.New("not a policy as it was written")

func (d *decoder) policy(lists map[string]*rules.List) (rules.Policy, error) {
	var length [4]byte
	if _, err := io.ReadFull(d.content, length[:]); err != nil {
		return rules.Policy{}, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if size > d.left.N+int64(d.content.Buffered()) {
		return rules.Policy{}, errPolicy
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(d.content, text); err != nil {
		return rules.Policy{}, err
	}
	var stored storedPolicy
	if unknown, err := strictjson.UnmarshalStrict(text, &stored); err != nil || len(unknown) > 0 {
		return rules.Policy{}, errPolicy
	}
	uses := usesOf(&stored.Policy)
	if len(uses) != len(stored.Lists) {
		return rules.Policy{}, errPolicy
	}
	for i, digest := range stored.Lists {
		if digest == "" {
			continue
		}
		if uses[i].List = lists[digest]; uses[i].List == nil {
			return rules.Policy{}, errPolicy
		}
	}
	return stored.Policy, nil
}
