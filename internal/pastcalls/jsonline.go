package pastcalls

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// Messages of the operator's log.
const (
	decidedMessage = "Decided"
	leftOutMessage = "Log lines left out"
)

// logLine reads a log line as JSON or text, or another JSON object that is one line. It returns false if the line is
// damaged.
func (in *input) logLine(line []byte) bool {
	if object, found := afterPrefix(line, "{"); found {
		return in.object(object)
	}
	if text, found := afterPrefix(line, "time="); found {
		return in.textLine(text)
	}
	if bytes.Contains(line, []byte(decidedMessage)) {
		return false // the start of the line is missing, as when a log was cut
	}
	in.counts.Other++
	return true
}

// object reads a JSON object: a log line, the body of a call, or an event of the System Log. It returns false if the
// object is damaged.
func (in *input) object(object []byte) bool {
	var members struct {
		message, data, uuid bool
		decided, leftOut    bool
	}
	in.call = Call{}
	lines := 0
	complete := scanObject(object, func(name, value []byte) bool {
		switch string(name) {
		case "msg":
			members.message = true
			members.decided = string(value) == `"`+decidedMessage+`"`
			members.leftOut = string(value) == `"`+leftOutMessage+`"`
		case "lines":
			lines, _ = strconv.Atoi(string(value)) // 0 if it is not a number
		case "data":
			members.data = true
		case "uuid":
			members.uuid = true
		case "outcome", "reason", "policy", "attribute", "digest", "domain", "source", "requestType":
			if text, ok := in.unquote(value); ok { // false for outcome in a System Log event, where it is an object
				in.call.Record.set(string(name), in.intern(text))
			}
		}
		return true
	})
	switch {
	case !complete:
		return false
	case members.decided:
		return in.record()
	case members.leftOut:
		in.counts.LeftOut += lines
		in.counts.Other++
		return true
	case members.message:
		in.counts.Other++
		return true
	case members.uuid:
		return in.event(object)
	case members.data:
		return in.body(object)
	default:
		in.counts.Other++
		return true
	}
}

// maxText is the maximum length in bytes of a value in a Record, so that callers can keep many records in memory. The
// longest value that an operator writes is the namespace and name of a policy, with 317 bytes.
const maxText = 512

// record passes in.call to the caller of [Read]. It returns false, and passes nothing, if no operator can have written
// such a Record.
func (in *input) record() bool {
	r := &in.call.Record
	if r.Outcome != "ALLOW" && r.Outcome != "DENY" {
		return false
	}
	for _, text := range []string{r.Source, r.Reason, r.Policy, r.Attribute, r.Domain, r.Digest} {
		if len(text) > maxText {
			return false
		}
	}
	switch r.RequestType {
	case "", "SelfServiceRegistration", "ProgressiveProfile", "Both", "Unrecognised":
		in.found()
		return true
	default:
		return false
	}
}

// set sets a field of the record. key is the name of the field in the operator's log.
func (r *Record) set(key, value string) {
	switch key {
	case "outcome":
		r.Outcome = value
	case "reason":
		r.Reason = value
	case "policy":
		r.Policy = value
	case "attribute":
		r.Attribute = value
	case "digest":
		r.Digest = value
	case "domain":
		r.Domain = value
	case "source":
		r.Source = value
	case "requestType":
		r.RequestType = value
	}
}

// body reads the body of a call, as Okta posts it. It returns false if okta.Decode cannot read the body.
func (in *input) body(body []byte) bool {
	request, err := okta.Decode(body, in.options.Attributes)
	if err != nil {
		return false
	}
	in.call = Call{Request: &request}
	in.found()
	return true
}

// unquote returns the text of a JSON string, or false if value is not a valid string. The text may share the buffer
// in.text, so it is valid only until unquote is called again.
func (in *input) unquote(value []byte) ([]byte, bool) {
	if len(value) < 2 || value[0] != '"' {
		return nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], true
	}
	var err error
	in.text, err = jsontext.AppendUnquote(in.text[:0], value)
	return in.text, err == nil
}

// scanObject calls member for each member of a JSON object. It returns false if member does, or if text is not exactly
// one object. It is much faster than a decoder, because it does not parse nested values.
func scanObject(text []byte, member func(name, value []byte) bool) bool {
	rest := skipSpace(text[1:])
	if len(rest) > 0 && rest[0] == '}' {
		return len(skipSpace(rest[1:])) == 0
	}
	for {
		name := stringValue(rest)
		if name == 0 {
			return false
		}
		after := skipSpace(rest[name:])
		if len(after) == 0 || after[0] != ':' {
			return false
		}
		after = skipSpace(after[1:])
		value := jsonValue(after)
		if value == 0 || !member(rest[1:name-1], after[:value]) {
			return false
		}
		rest = skipSpace(after[value:])
		if len(rest) == 0 {
			return false
		}
		if rest[0] == '}' {
			return len(skipSpace(rest[1:])) == 0
		}
		if rest[0] != ',' {
			return false
		}
		rest = skipSpace(rest[1:])
	}
}

func skipSpace(text []byte) []byte {
	for len(text) > 0 && (text[0] == ' ' || text[0] == '\t' || text[0] == '\n' || text[0] == '\r') {
		text = text[1:]
	}
	return text
}

// stringValue returns the length of the JSON string at the start of a text, with its quotes. It returns 0 if there is
// none.
func stringValue(text []byte) int {
	if len(text) == 0 || text[0] != '"' {
		return 0
	}
	for at := 1; ; {
		end := bytes.IndexByte(text[at:], '"')
		if end < 0 {
			return 0
		}
		escape := bytes.IndexByte(text[at:at+end], '\\')
		if escape < 0 {
			return at + end + 1
		}
		if at += escape + 2; at > len(text) {
			return 0
		}
	}
}

// jsonValue returns the length in bytes of the JSON value that text begins with; 0 if text begins with something else.
func jsonValue(text []byte) int {
	if len(text) == 0 {
		return 0
	}
	switch text[0] {
	case '"':
		return stringValue(text)
	case '{', '[':
		depth := 0
		for at := 0; at < len(text); at++ {
			switch text[at] {
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			case '"':
				end := stringValue(text[at:])
				if end == 0 {
					return 0
				}
				at += end - 1
			}
		}
		return 0
	default:
		end := bytes.IndexAny(text, ",}] \t\r\n")
		if end < 0 || !jsontext.Value(text[:end]).IsValid() {
			return 0
		}
		return end
	}
}

// errDamaged is the error of damaged JSON that is not in lines. Read cannot continue after the damage, because it does
// not know where the next value starts.
var errDamaged = errors.New("is damaged or cut off")

// readValues reads JSON that is not in lines: an array of objects, or objects one after the other.
func (in *input) readValues() error {
	limited := &limitedReader{reader: in.buffered, left: maxLine}
	decoder := jsontext.NewDecoder(limited, jsontext.AllowDuplicateNames(true))
	for {
		limited.left = maxLine
		in.at++
		switch decoder.PeekKind() {
		case '[', ']':
			if decoder.StackDepth() == 0 || decoder.PeekKind() == ']' {
				in.at--
				if _, err := decoder.ReadToken(); err != nil {
					return in.damaged(limited, err)
				}
				continue
			}
			in.unreadable("value")
			if err := decoder.SkipValue(); err != nil {
				return in.damaged(limited, err)
			}
		case '{':
			value, err := decoder.ReadValue()
			if err != nil {
				return in.damaged(limited, err)
			}
			if !in.object(value) {
				in.unreadable("value")
			}
		default:
			_, err := decoder.ReadToken()
			if errors.Is(err, io.EOF) && decoder.StackDepth() == 0 {
				return nil
			}
			if err != nil {
				return in.damaged(limited, err)
			}
			in.unreadable("value")
		}
	}
}

// damaged returns the error of JSON that cannot be read any further. The error does not quote the JSON.
func (in *input) damaged(limited *limitedReader, err error) error {
	switch {
	case limited.err != nil:
		return limited.err
	case limited.left <= 0:
		return fmt.Errorf("has a JSON value of more than %d bytes, number %d", maxLine, in.at)
	case err != nil:
		return fmt.Errorf("%w: its JSON cannot be read from value %d on; export it again", errDamaged, in.at)
	default:
		return nil
	}
}

// limitedReader fails once it has read as many bytes as left says.
type limitedReader struct {
	reader io.Reader
	left   int
	err    error // an error of reader, so that input.damaged can return it instead of an error about the JSON
}

func (l *limitedReader) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := l.reader.Read(p[:min(len(p), l.left)])
	l.left -= n
	if err != nil && !errors.Is(err, io.EOF) {
		l.err = err
	}
	return n, err
}
