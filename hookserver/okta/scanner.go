package okta

import (
	"encoding/binary"
	"math/bits"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// scanner reads a JSON text (RFC 8259) strictly, from the first byte to the last. It also checks the values that it
// skips. This package has its own because Decode with a general decoder, jsontext.Decoder, takes more than twice as
// long. FuzzDecodeLikeTheReference holds both to the same result.
type scanner struct {
	body  []byte
	pos   int
	depth int
	names names
	text  strings.Builder // the texts of all strings read so far: together they take one allocation
}

// peek skips white space and returns the next byte, or 0 at the end of the body. Callers fail on 0, which is right for
// a 0 byte in the body, too: no JSON text has one.
func (s *scanner) peek() byte {
	for ; s.pos < len(s.body); s.pos++ {
		switch c := s.body[s.pos]; c {
		case ' ', '\n', '\r', '\t':
		default:
			return c
		}
	}
	return 0
}

// skip reads any value and discards it. An object in it may have at most limit members.
func (s *scanner) skip(limit int) error {
	switch s.peek() {
	case '{':
		return s.members(limit, func([]byte) error { return s.skip(limit) })
	case '[':
		return s.elements(limit)
	case '"':
		_, _, err := s.rawString()
		return err
	case 't':
		return s.literal("true")
	case 'f':
		return s.literal("false")
	case 'n':
		return s.literal("null")
	default:
		return s.number()
	}
}

// members reads an object, whose { is next, and calls member for each of its at most limit members. member must read
// the member's value, and may use name only before that.
func (s *scanner) members(limit int, member func(name []byte) error) error {
	if err := s.open(); err != nil {
		return err
	}
	outer := s.names.enter()
	defer s.names.leave(outer)
	for count := 0; s.peek() != '}'; count++ {
		if count >= limit {
			return TooManyMembers
		}
		if count > 0 {
			if err := s.expect(','); err != nil {
				return err
			}
		}
		name, err := s.name()
		if err != nil {
			return err
		}
		if err := s.expect(':'); err != nil {
			return err
		}
		if err := member(name); err != nil {
			return err
		}
	}
	s.close()
	return nil
}

// elements reads an array, whose [ is next, and discards it. An object in it may have at most limit members.
func (s *scanner) elements(limit int) error {
	if err := s.open(); err != nil {
		return err
	}
	for count := 0; s.peek() != ']'; count++ {
		if count > 0 {
			if err := s.expect(','); err != nil {
				return err
			}
		}
		if err := s.skip(limit); err != nil {
			return err
		}
	}
	s.close()
	return nil
}

// open reads a { or [.
func (s *scanner) open() error {
	if s.depth++; s.depth > maxDepth {
		return TooDeep
	}
	s.pos++
	return nil
}

// close reads a } or ].
func (s *scanner) close() {
	s.depth--
	s.pos++
}

// expect reads a delimiter.
func (s *scanner) expect(delimiter byte) error {
	if s.peek() != delimiter {
		return NotJSON
	}
	s.pos++
	return nil
}

// name reads the name of a member. It must differ from all names in the same object.
func (s *scanner) name() ([]byte, error) {
	if s.peek() != '"' {
		return nil, NotJSON
	}
	name, escaped, err := s.rawString()
	if err != nil {
		return nil, err
	}
	if escaped {
		name = unescape(name)
	}
	if !s.names.add(name) {
		return nil, DuplicateMember
	}
	return name, nil
}

// string reads a string, whose opening quote is next, and keeps its text.
func (s *scanner) string() (string, error) {
	content, escaped, err := s.rawString()
	if err != nil {
		return "", err
	}
	if escaped {
		content = unescape(content)
	}
	start := s.text.Len()
	s.text.Write(content)
	return s.text.String()[start:], nil
}

// rawString reads a string, whose opening quote is next. It returns what is between the quotes, with escapes as they
// are. escaped reports whether there are any.
func (s *scanner) rawString() (content []byte, escaped bool, err error) {
	start := s.pos + 1
	for at := start; ; {
		at += plainLength(s.body[at:])
		if at == len(s.body) {
			return nil, false, NotJSON
		}
		switch s.body[at] {
		case '"':
			s.pos = at + 1
			return s.body[start:at], escaped, nil
		case '\\':
			_, length := readEscape(s.body[at:])
			if length == 0 {
				return nil, false, NotJSON
			}
			escaped = true
			at += length
		default: // a control character, or the first byte of a rune outside of ASCII
			r, length := utf8.DecodeRune(s.body[at:])
			if r < ' ' || r == utf8.RuneError && length == 1 {
				return nil, false, NotJSON
			}
			at += length
		}
	}
}

// plainLength returns the number of bytes at the start of text that stand for themselves in a string: ASCII without
// control characters, quotes and backslashes. Most of a body is such text, so it looks at eight bytes at once: with a
// loop over single bytes, Decode takes a third longer.
func plainLength(text []byte) int {
	const each = 0x0101010101010101 // each*b has b in all eight bytes
	i := 0
	for ; len(text)-i >= 8; i += 8 {
		// In special, each byte that is not plain has its highest bit set. A borrow may also set it in later bytes, but
		// never in an earlier one, so the first set bit is right.
		eight := binary.LittleEndian.Uint64(text[i:])
		quote, backslash := eight^each*'"', eight^each*'\\'
		special := (eight | (eight - each*' ') | (quote - each) | (backslash - each)) & (each << 7)
		if special != 0 {
			return i + bits.TrailingZeros64(special)/8
		}
	}
	for ; i < len(text); i++ {
		if c := text[i]; c < ' ' || c >= utf8.RuneSelf || c == '"' || c == '\\' {
			break
		}
	}
	return i
}

// unescape replaces each escape in the content of a string by its rune. rawString has checked that all are valid.
func unescape(content []byte) []byte {
	text := make([]byte, 0, len(content))
	for i := 0; i < len(content); {
		if content[i] != '\\' {
			text = append(text, content[i])
			i++
			continue
		}
		r, length := readEscape(content[i:])
		text = utf8.AppendRune(text, r)
		i += length
	}
	return text
}

// readEscape returns the rune of the escape at the start of text, and the escape's length. The length is 0 if it is not
// an escape, or stands for half a surrogate pair.
func readEscape(text []byte) (r rune, length int) {
	if len(text) < 2 {
		return 0, 0
	}
	switch text[1] {
	case '"', '\\', '/':
		return rune(text[1]), 2
	case 'b':
		return '\b', 2
	case 'f':
		return '\f', 2
	case 'n':
		return '\n', 2
	case 'r':
		return '\r', 2
	case 't':
		return '\t', 2
	case 'u':
	default:
		return 0, 0
	}
	r, ok := readUnit(text)
	if !ok || !utf16.IsSurrogate(r) {
		return r, lengthIf(ok, unitLength)
	}
	low, ok := readUnit(text[unitLength:])
	r = utf16.DecodeRune(r, low)
	return r, lengthIf(ok && r != utf8.RuneError, 2*unitLength)
}

// unitLength is the length in bytes of the escape of a UTF-16 code unit, such as \u0041.
const unitLength = 6

// readUnit returns the code unit of an escape at the start of text.
func readUnit(text []byte) (unit rune, ok bool) {
	if len(text) < unitLength || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	for _, c := range text[2:unitLength] {
		unit <<= 4
		switch {
		case '0' <= c && c <= '9':
			unit |= rune(c - '0')
		case 'a' <= c && c <= 'f':
			unit |= rune(c - 'a' + 10)
		case 'A' <= c && c <= 'F':
			unit |= rune(c - 'A' + 10)
		default:
			return 0, false
		}
	}
	return unit, true
}

func lengthIf(ok bool, length int) int {
	if ok {
		return length
	}
	return 0
}

func (s *scanner) literal(word string) error {
	if !strings.HasPrefix(string(s.body[s.pos:min(len(s.body), s.pos+len(word))]), word) {
		return NotJSON
	}
	s.pos += len(word)
	return nil
}

// number reads a number, or fails if the next byte does not begin one.
func (s *scanner) number() error {
	s.accept("-")
	if !s.accept("0") && s.digits() == 0 {
		return NotJSON
	}
	if s.accept(".") && s.digits() == 0 {
		return NotJSON
	}
	if s.accept("eE") {
		s.accept("+-")
		if s.digits() == 0 {
			return NotJSON
		}
	}
	return nil
}

// accept reads one byte if it is one of set.
func (s *scanner) accept(set string) bool {
	if s.pos < len(s.body) && strings.IndexByte(set, s.body[s.pos]) >= 0 {
		s.pos++
		return true
	}
	return false
}

// digits reads as many digits as there are, and returns their number.
func (s *scanner) digits() int {
	start := s.pos
	for s.pos < len(s.body) && '0' <= s.body[s.pos] && s.body[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - start
}
