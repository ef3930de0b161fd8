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

// decoder reads a file sequentially. It never holds all of it in memory.
type decoder struct {
	source  *source
	header  []byte
	content *bufio.Reader     // the bytes between the header and the checksum
	left    *io.LimitedReader // the same, as far as content has not buffered them
	hash    hash.Hash
}

// source reads the file and keeps a read error, to tell it from damaged content.
type source struct {
	io.Reader

	err error
}

// Read implements [io.Reader].
func (s *source) Read(buf []byte) (int, error) {
	n, err := s.Reader.Read(buf)
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n, err
}

// decodeHeader reads a file of that size to its end, compares the checksum, and returns the header. It does not decode
// the content. The error is a [RefusedError].
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

// decode reads a file of that size. The error is a [RefusedError]. The caller must call [Header.Check], and compare the
// digest of the compiled policies.
func decode(file io.Reader, size int64) (*Snapshot, error) {
	d, err := openFile(file, size)
	if err != nil {
		return nil, err
	}
	s, contentErr := d.snapshot()
	if err := d.finish(); err != nil { // a damaged file explains contentErr
		return nil, err
	}
	if contentErr != nil {
		return nil, contentErr
	}
	return s, nil
}

// openFile reads a file up to the end of the header.
func openFile(file io.Reader, size int64) (*decoder, error) {
	d := &decoder{source: &source{Reader: file}, hash: sha256.New()}
	start := make([]byte, min(size, int64(preamble)))
	if _, err := io.ReadFull(d.source, start); err != nil {
		return nil, d.readError()
	}
	if err := checkStart(start, size); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(start[headerAt:]))
	if length > maxHeader || length > size-int64(shortest) {
		return nil, refused(CauseDamaged, "its header has %d bytes, more than the file can hold", length)
	}
	d.hash.Write(start)
	d.header = make([]byte, length)
	if _, err := io.ReadFull(d.source, d.header); err != nil {
		return nil, d.readError()
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
		return refused(CauseNoSnapshot, "not a stored snapshot")
	case len(start) < lengthAt:
		return refused(CauseTruncated, "ends within its first %d bytes", lengthAt)
	}
	if found := binary.BigEndian.Uint32(start[formatAt:]); found != format {
		return refused(CauseOtherFormat, "has format %d; this operator reads format %d", found, format)
	}
	if size < int64(shortest) {
		return refused(CauseTruncated, "ends within its first %d bytes", shortest)
	}
	switch length := binary.BigEndian.Uint64(start[lengthAt:]); {
	case uint64(size) < length:
		return refused(CauseTruncated, "has %d of %d bytes", size, length)
	case uint64(size) > length:
		return refused(CauseDamaged, "has %d bytes instead of %d", size, length)
	}
	return nil
}

// finish reads the rest of the file and compares the checksum.
func (d *decoder) finish() error {
	if d.source.err != nil {
		return d.readError()
	}
	if _, err := io.Copy(io.Discard, d.content); err != nil {
		return d.readError()
	}
	sum := make([]byte, sha256.Size)
	if _, err := io.ReadFull(d.source, sum); err != nil {
		return d.readError()
	}
	if d.left.N > 0 || !bytes.Equal(sum, d.hash.Sum(nil)) {
		return refused(CauseDamaged, "its content does not match its SHA-256")
	}
	return nil
}

// readError returns why reading ended early.
func (d *decoder) readError() error {
	switch {
	case errors.Is(d.source.err, errNoLongerNeeded):
		return errNoLongerNeeded
	case d.source.err != nil:
		return refused(CauseUnreadable, "%v", d.source.err)
	default:
		return refused(CauseTruncated, "became shorter while it was read")
	}
}

func (d *decoder) parseHeader() (*Header, error) {
	header := &Header{}
	if unknown, err := strictjson.UnmarshalStrict(d.header, header); err != nil || len(unknown) > 0 {
		return nil, refused(CauseDamaged, "its header cannot be decoded")
	}
	return header, nil
}

// snapshot decodes the content. Only finish detects whether the content is damaged.
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
			return nil, refused(CauseDamaged, "its lists cannot be decoded")
		}
		lists[list.Digest()] = list
	}
	for range s.PolicyCount {
		policy, err := d.policy(lists)
		if err != nil {
			return nil, refused(CauseDamaged, "its policies cannot be decoded")
		}
		s.Policies = append(s.Policies, policy)
	}
	if _, err := d.content.ReadByte(); err == nil {
		return nil, refused(CauseDamaged, "has more content than its header says")
	}
	return s, nil
}

var errPolicy = errors.New("the policy cannot be decoded")

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
