package snapshotfile

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

// decoder reads a file sequentially. It never holds the whole file in memory.
type decoder struct {
	source *source
	header []byte
	// content buffers the lists and policies: the bytes between the header and the checksum. It reads them from source
	// through unread, whose N is the number of bytes that it has not read yet.
	content *bufio.Reader
	unread  *io.LimitedReader
	hash    hash.Hash // of the bytes that were read
}

// source reads the file and remembers a read error. Otherwise a failing disk would look like damaged content.
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

// DecodeHeader reads a file of the given size in bytes to its end, compares the checksum, and returns the header. It
// does not decode lists and policies. The error is a [RefusedError].
func DecodeHeader(file io.Reader, size int64) (*Header, error) {
	d, err := newDecoder(file, size)
	if err != nil {
		return nil, err
	}
	if err := d.finish(); err != nil {
		return nil, err
	}
	return d.parseHeader()
}

// Decode reads a file of the given size in bytes. The error is a [RefusedError]. The caller must then call
// [Header.Check], compile the policies, and compare their digest with that of the header.
func Decode(file io.Reader, size int64) (*Snapshot, error) {
	d, err := newDecoder(file, size)
	if err != nil {
		return nil, err
	}
	s, contentErr := d.snapshot()
	if err := d.finish(); err != nil { // a failed read or a wrong checksum, which explains a contentErr as well
		return nil, err
	}
	if contentErr != nil {
		return nil, contentErr
	}
	return s, nil
}

// newDecoder reads a file up to the end of its header.
func newDecoder(file io.Reader, size int64) (*decoder, error) {
	d := &decoder{source: &source{Reader: file}, hash: sha256.New()}
	start := make([]byte, min(size, int64(headerAt)))
	if _, err := io.ReadFull(d.source, start); err != nil {
		return nil, d.readError()
	}
	if err := checkStart(start, size); err != nil {
		return nil, err
	}
	length := int64(binary.BigEndian.Uint32(start[headerLengthAt:]))
	if length > maxHeader || length > size-int64(minSize) {
		return nil, Refusef(CauseDamaged, "its header has %d bytes, more than the file can hold", length)
	}
	d.hash.Write(start)
	d.header = make([]byte, length)
	if _, err := io.ReadFull(d.source, d.header); err != nil {
		return nil, d.readError()
	}
	d.hash.Write(d.header)
	d.unread = &io.LimitedReader{R: d.source, N: size - int64(minSize) - length}
	d.content = bufio.NewReaderSize(io.TeeReader(d.unread, d.hash), 64<<10)
	return d, nil
}

// checkStart checks the bytes before the header of a file of the given size.
func checkStart(start []byte, size int64) error {
	switch {
	case size > MaxSize:
		return Refusef(CauseTooBig, "over %d MiB", MaxSize>>20)
	case size == 0:
		return Refusef(CauseTruncated, "empty")
	case !bytes.HasPrefix(start, []byte(magic[:min(len(magic), len(start))])):
		return Refusef(CauseNoSnapshot, "not a stored snapshot")
	case len(start) < fileLengthAt:
		return Refusef(CauseTruncated, "ends within its first %d bytes", fileLengthAt)
	}
	if found := binary.BigEndian.Uint32(start[formatAt:]); found != format {
		return Refusef(CauseOtherFormat, "has format %d; this operator reads format %d", found, format)
	}
	if size < int64(minSize) {
		return Refusef(CauseTruncated, "ends within its first %d bytes", minSize)
	}
	switch length := binary.BigEndian.Uint64(start[fileLengthAt:]); {
	case uint64(size) < length:
		return Refusef(CauseTruncated, "has %d of %d bytes", size, length)
	case uint64(size) > length:
		return Refusef(CauseDamaged, "has %d bytes instead of %d", size, length)
	}
	return nil
}

// finish reads the rest of the file and compares the checksum. If an earlier read has failed, it returns that error.
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
	if d.unread.N > 0 || !bytes.Equal(sum, d.hash.Sum(nil)) {
		return Refusef(CauseDamaged, "its content does not match its SHA-256")
	}
	return nil
}

// readError returns why the file could not be read to its end.
func (d *decoder) readError() error {
	if d.source.err != nil {
		return Unreadable(d.source.err)
	}
	return Refusef(CauseTruncated, "became shorter while it was read")
}

func (d *decoder) parseHeader() (*Header, error) {
	header := &Header{}
	if unknown, err := strictjson.UnmarshalStrict(d.header, header); err != nil || len(unknown) > 0 {
		return nil, Refusef(CauseDamaged, "its header cannot be decoded")
	}
	return header, nil
}

// snapshot decodes header, lists and policies. It does not compare the checksum: decoder.finish does.
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
			return nil, Refusef(CauseDamaged, "its lists cannot be decoded")
		}
		lists[list.Digest()] = list
	}
	for range s.PolicyCount {
		policy, err := d.policy(lists)
		if err != nil {
			return nil, Refusef(CauseDamaged, "its policies cannot be decoded")
		}
		s.Policies = append(s.Policies, policy)
	}
	if _, err := d.content.ReadByte(); err == nil {
		return nil, Refusef(CauseDamaged, "has more content than its header says")
	}
	return s, nil
}

var errBadPolicy = errors.New("the policy cannot be decoded")

// policy decodes the next policy. It takes the policy's lists from lists, by their stored digests.
func (d *decoder) policy(lists map[string]*rules.List) (rules.Policy, error) {
	var length [4]byte
	if _, err := io.ReadFull(d.content, length[:]); err != nil {
		return rules.Policy{}, err
	}
	size := int64(binary.BigEndian.Uint32(length[:]))
	if size > d.unread.N+int64(d.content.Buffered()) {
		return rules.Policy{}, errBadPolicy
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(d.content, text); err != nil {
		return rules.Policy{}, err
	}
	var stored storedPolicy
	if unknown, err := strictjson.UnmarshalStrict(text, &stored); err != nil || len(unknown) > 0 {
		return rules.Policy{}, errBadPolicy
	}
	uses := listUses(&stored.Policy)
	if len(uses) != len(stored.Lists) {
		return rules.Policy{}, errBadPolicy
	}
	for i, digest := range stored.Lists {
		if digest == "" {
			continue
		}
		if uses[i].List = lists[digest]; uses[i].List == nil {
			return rules.Policy{}, errBadPolicy
		}
	}
	return stored.Policy, nil
}
