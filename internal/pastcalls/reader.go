package pastcalls

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

const (
	// maxLine is the maximum length in bytes of a line or a JSON value. A line of the operator's log has at most a few
	// thousand bytes, and the body of a call at most 64 KiB.
	maxLine = 1 << 20
	// bufferSize is how many bytes of the input are searched to recognise its format.
	bufferSize = 64 << 10
)

// ErrEmpty is the error of an input without any text. The caller writes the name of the input before it.
var ErrEmpty = errors.New("is empty")

// The errors of an input that Read cannot read at all. As before [ErrEmpty], the caller writes the name of the input
// before them.
var (
	errBinary     = errors.New("is binary, because it has NUL bytes: give the text of a log or an export")
	errUTF16      = errors.New("is UTF-16: save it as UTF-8")
	errCompressed = errors.New("is compressed: unpack it, for example with gunzip -c FILE | regpol replay -")
	errUnknown    = errors.New("is in no format that is known: give the operator's log, bodies of calls, an export of Okta's System Log, " +
		"addresses one a line, or a table whose first line names its columns")
)

// Read calls yield for each past call of an input, in order. The Call is valid until yield returns. Read fails if the
// input cannot be read or its format is not known, and if JSON that is not in lines is damaged. A damaged line is
// counted, and Read goes on.
func Read(r io.Reader, options Options, yield func(*Call)) (Counts, error) {
	in := &input{buffered: bufio.NewReaderSize(r, bufferSize), options: options, yield: yield, interned: map[string]string{}}
	begin, err := in.buffered.Peek(bufferSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return in.counts, err
	}
	if bytes.HasPrefix(begin, []byte(byteOrderMark)) {
		begin = begin[len(byteOrderMark):]
		_, _ = in.buffered.Discard(len(byteOrderMark)) // never fails: Peek has put these bytes into the buffer
	}
	switch {
	case len(bytes.TrimSpace(begin)) == 0 && err != nil:
		return in.counts, ErrEmpty
	case bytes.HasPrefix(begin, []byte{0xff, 0xfe}), bytes.HasPrefix(begin, []byte{0xfe, 0xff}):
		return in.counts, errUTF16
	case bytes.HasPrefix(begin, []byte{0x1f, 0x8b}), bytes.HasPrefix(begin, []byte("\x28\xb5\x2f\xfd")):
		return in.counts, errCompressed // gzip, zstd
	}
	format, columns, err := in.recognise(begin)
	isText := bytes.IndexByte(begin, 0) < 0
	switch {
	case !isText && format != logLines && format != jsonValues: // a log may have NUL bytes after a crash of its host
		return in.counts, errBinary
	case err != nil:
		return in.counts, err
	case format == jsonValues:
		err = in.readValues()
		return in.counts, err
	case format == table:
		in.columns = columns
		return in.counts, in.readLines(in.row)
	case format == eventTable:
		in.columns = columns
		return in.counts, in.readLines(in.eventRow)
	case format == addresses:
		return in.counts, in.readLines(in.address)
	default:
		return in.counts, in.readLines(in.logLine)
	}
}

const byteOrderMark = "\ufeff"

// input is the state of one [Read].
type input struct {
	buffered *bufio.Reader
	options  Options
	yield    func(*Call)
	counts   Counts
	at       int // the number of the current line, or of the current value in JSON that is not in lines

	columns  *columns          // of a table
	interned map[string]string // see intern
	call     Call              // the call that yield gets; the memory is used again for the next call
	request  requestBuffer
	text     []byte // a buffer for unquoted strings
}

// readLines calls read for each line, without the spaces around it. It skips empty lines. It counts a line as
// unreadable if the line is too long, is not text, or makes read return false.
func (in *input) readLines(read func(line []byte) bool) error {
	var long []byte // the start of a line that is longer than the buffer of in.buffered
	skipping := false
	for {
		part, err := in.buffered.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			if skipping = skipping || len(long)+len(part) > maxLine; skipping {
				long = long[:0]
			} else {
				long = append(long, part...)
			}
			continue
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		line := part
		if len(long) > 0 {
			long = append(long, part...)
			line = long
		}
		if len(line) > 0 || skipping {
			in.at++
		}
		line = bytes.TrimSpace(line)
		switch {
		case skipping, !utf8.Valid(line), bytes.IndexByte(line, 0) >= 0:
			in.unreadable("line")
		case len(line) > 0 && !read(line):
			in.unreadable("line")
		}
		if err != nil {
			return nil //nolint:nilerr // the end of the input
		}
		long, skipping = long[:0], false
	}
}

// unreadable counts the current line or value as damaged. what is "line" or "value".
func (in *input) unreadable(what string) {
	if in.counts.Unreadable == 0 {
		in.counts.FirstUnreadable = fmt.Sprintf("%s %d", what, in.at)
	}
	in.counts.Unreadable++
}

// found counts in.call, and passes it to the caller of [Read].
func (in *input) found() {
	in.counts.Calls++
	in.yield(&in.call)
}

// maxInterned is the maximum number of strings that intern keeps. When intern has so many, it drops all of them.
const maxInterned = 1 << 12

// intern returns a text as a string. Equal texts share one string, because most values occur in many calls.
func (in *input) intern(text []byte) string {
	if len(text) > maxText {
		return string(text)
	}
	if known, ok := in.interned[string(text)]; ok {
		return known
	}
	if len(in.interned) >= maxInterned {
		clear(in.interned)
	}
	made := string(text)
	in.interned[made] = made
	return made
}
