package storedsnapshot

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

// errTooBig means that a snapshot is over the size that a reader accepts.
var errTooBig = fmt.Errorf("the policies and lists take over %d MiB", maxFile>>20)

// encode writes the file to w.
func (s *Snapshot) encode(w io.Writer) error {
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
	size := counter(shortest + len(text) + len(policies))
	for _, list := range lists {
		if err := list.Encode(&size); err != nil {
			return err
		}
	}
	if size > maxFile || len(text) > maxHeader {
		return errTooBig
	}
	hash := sha256.New()
	file := bufio.NewWriterSize(w, 64<<10) // keeps the first error
	both := io.MultiWriter(file, hash)
	beginning := make([]byte, 0, preamble)
	beginning = append(beginning, magic...)
	beginning = binary.BigEndian.AppendUint32(beginning, format)
	beginning = binary.BigEndian.AppendUint64(beginning, uint64(size))      //nolint:gosec // at most maxFile
	beginning = binary.BigEndian.AppendUint32(beginning, uint32(len(text))) //nolint:gosec // at most maxHeader
	_, err = both.Write(append(beginning, text...))
	for i := 0; i < len(lists) && err == nil; i++ {
		err = lists[i].Encode(both)
	}
	if err != nil {
		return err
	}
	_, err = both.Write(policies)
	_, more := file.Write(hash.Sum(nil))
	return errors.Join(err, more, file.Flush())
}

// encodePolicies returns the encoded policies, and each list that they use once.
func (s *Snapshot) encodePolicies() ([]*rules.List, []byte, error) {
	var lists []*rules.List
	var text bytes.Buffer
	written := map[string]bool{}
	for i := range s.Policies {
		policy := storedPolicy{Policy: s.Policies[i]}
		for _, use := range usesOf(&policy.Policy) {
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

// counter counts the bytes that are written to it.
type counter int

// Write implements [io.Writer].
func (c *counter) Write(buf []byte) (int, error) {
	*c += counter(len(buf))
	return len(buf), nil
}
