package snapshotfile

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"registrationpolicy.dev/operator/rules"
)

// ErrTooBig means that a snapshot was not encoded, because [Decode] would refuse a file of its size.
var ErrTooBig = fmt.Errorf("the policies and lists take over %d MiB", MaxSize>>20)

// Encode writes the file to w. It sets the counts of lists and policies in the header. It fails with [ErrTooBig], or if
// w fails.
func (s *Snapshot) Encode(w io.Writer) error {
	lists, policies, err := s.encodePolicies()
	if err != nil {
		return err
	}
	header := s.Header
	header.ListCount, header.PolicyCount = len(lists), len(s.Policies)
	text, err := json.Marshal(header)
	if err != nil {
		return fmt.Errorf("encode the header: %w", err)
	}
	size := byteCounter(minSize + len(text) + len(policies))
	for _, list := range lists {
		if err := list.Encode(&size); err != nil {
			return err
		}
	}
	if size > MaxSize || len(text) > maxHeader {
		return ErrTooBig
	}
	hash := sha256.New()
	file := bufio.NewWriterSize(w, 64<<10) // after an error, each write and Flush returns it
	hashedFile := io.MultiWriter(file, hash)
	start := make([]byte, 0, headerAt)
	start = append(start, magic...)
	start = binary.BigEndian.AppendUint32(start, format)
	start = binary.BigEndian.AppendUint64(start, uint64(size))      //nolint:gosec // at most MaxSize
	start = binary.BigEndian.AppendUint32(start, uint32(len(text))) //nolint:gosec // at most maxHeader
	_, err = hashedFile.Write(append(start, text...))
	for i := 0; i < len(lists) && err == nil; i++ {
		err = lists[i].Encode(hashedFile)
	}
	if err != nil {
		return err
	}
	_, err = hashedFile.Write(policies)
	_, hashErr := file.Write(hash.Sum(nil))
	return errors.Join(err, hashErr, file.Flush())
}

// encodePolicies returns the encoded policies, and the lists that they use without duplicates.
func (s *Snapshot) encodePolicies() ([]*rules.List, []byte, error) {
	var lists []*rules.List
	var text bytes.Buffer
	written := map[string]bool{}
	for i := range s.Policies {
		policy := storedPolicy{Policy: s.Policies[i]}
		for _, use := range listUses(&policy.Policy) {
			digest := ""
			if use.List != nil {
				digest = use.List.Digest()
				if !written[digest] {
					written[digest] = true
					lists = append(lists, use.List)
				}
			}
			policy.Lists = append(policy.Lists, digest)
		}
		one, err := json.Marshal(policy)
		if err != nil {
			return nil, nil, fmt.Errorf("encode policy %s: %w", policy.Policy.String(), err)
		}
		text.Write(binary.BigEndian.AppendUint32(nil, uint32(len(one)))) //nolint:gosec // an API server stores no object of 4 GiB
		text.Write(one)
	}
	return lists, text.Bytes(), nil
}

// byteCounter is an [io.Writer] that only counts the bytes.
type byteCounter int

// Write implements [io.Writer].
func (c *byteCounter) Write(buf []byte) (int, error) {
	*c += byteCounter(len(buf))
	return len(buf), nil
}
