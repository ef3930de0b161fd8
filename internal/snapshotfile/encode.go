package snapshotfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// errTooBig says that a snapshot is not kept because no reader would take it.
var errTooBig = fmt.Errorf("the policies and lists take over %d MiB", maxFile>>20)

// Encode writes the file to w.
func (s *Snapshot) Encode(w io.Writer) error {
	header, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the policies: %w", withoutValues(err))
	}
	length := shortest + len(header)
	for i := range s.Lists {
		for _, text := range s.Lists[i].Texts {
			length += len(text.text)
		}
	}
	if length > maxFile {
		return errTooBig
	}
	hash := sha256.New()
	file := bufio.NewWriterSize(w, 64<<10)
	both := io.MultiWriter(file, hash)
	beginning := make([]byte, 0, preamble)
	beginning = append(beginning, magic...)
	beginning = binary.BigEndian.AppendUint32(beginning, format)
	beginning = binary.BigEndian.AppendUint64(beginning, uint64(length))
	beginning = binary.BigEndian.AppendUint32(beginning, uint32(len(header))) //nolint:gosec // at most maxFile
	_, err = both.Write(beginning)
	_, more := both.Write(header)
	err = errors.Join(err, more)
	for i := range s.Lists {
		for _, text := range s.Lists[i].Texts {
			if err != nil {
				return err
			}
			_, err = both.Write(text.text)
		}
	}
	_, more = file.Write(hash.Sum(nil))
	return errors.Join(err, more, file.Flush())
}

// withoutValues returns err without the value that it may quote, which may be an address.
func withoutValues(err error) error {
	if unsupported, ok := errors.AsType[*json.UnsupportedValueError](err); ok {
		return fmt.Errorf("a value of type %T is no JSON", unsupported.Value.Interface())
	}
	return errors.New("a value is no JSON")
}
