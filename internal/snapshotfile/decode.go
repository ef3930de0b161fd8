package snapshotfile

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	strictjson "sigs.k8s.io/json"
)

// Decode reads a file. Its error is a [RefusedError]. The snapshot shares its texts with file, and is bound to something that the
// caller has to [Snapshot.Check]; what it compiles to is to be checked too.
func Decode(file []byte) (*Snapshot, error) {
	switch {
	case len(file) > maxFile:
		return nil, refused(CauseTooBig, "over %d MiB", maxFile>>20)
	case len(file) == 0:
		return nil, refused(CauseTruncated, "empty")
	case !bytes.HasPrefix(file, []byte(magic[:min(len(magic), len(file))])):
		return nil, refused(CauseNoSnapshot, "no snapshot of an operator")
	case len(file) < lengthAt:
		return nil, refused(CauseTruncated, "ends within its first %d octets", lengthAt)
	}
	if found := binary.BigEndian.Uint32(file[formatAt:]); found != format {
		return nil, refused(CauseOtherFormat, "of format %d, and this operator reads %d", found, format)
	}
	if len(file) < shortest {
		return nil, refused(CauseTruncated, "ends within its first %d octets", shortest)
	}
	length := binary.BigEndian.Uint64(file[lengthAt:])
	if uint64(len(file)) < length {
		return nil, refused(CauseTruncated, "has %d of %d octets", len(file), length)
	}
	content := file[:len(file)-sha256.Size]
	if sum := sha256.Sum256(content); uint64(len(file)) != length || !bytes.Equal(sum[:], file[len(content):]) {
		return nil, refused(CauseDamaged, "its content is not what its SHA-256 says")
	}
	// From here on, only what an operator, or somebody who knows the format, wrote wrong is refused.
	texts := content[preamble:]
	size := uint64(binary.BigEndian.Uint32(file[headerAt:]))
	if size > uint64(len(texts)) {
		return nil, refused(CauseDamaged, "its header does not fit")
	}
	s := &Snapshot{}
	if unknown, err := strictjson.UnmarshalStrict(texts[:size], s); err != nil || len(unknown) > 0 {
		return nil, refused(CauseDamaged, "its header is not as it should be")
	}
	if err := s.takeTexts(texts[size:]); err != nil {
		return nil, err
	}
	return s, nil
}

// takeTexts gives the lists their texts.
func (s *Snapshot) takeTexts(texts []byte) error {
	for i := range s.Lists {
		for j := range s.Lists[i].Texts {
			text := &s.Lists[i].Texts[j]
			if text.Length < 0 || text.Length > len(texts) {
				return refused(CauseDamaged, "its lists do not fit")
			}
			text.text, texts = texts[:text.Length:text.Length], texts[text.Length:]
		}
	}
	if len(texts) > 0 {
		return refused(CauseDamaged, "it has more than its lists")
	}
	return nil
}
