package pastcalls

import (
	"bytes"
	"strconv"
)

// textLine reads a log line that the operator wrote with --log-format text: key=value pairs, where a value may be in
// quotes. It returns false if the line is damaged.
func (in *input) textLine(line []byte) bool {
	in.call = Call{}
	decided, leftOut, lines := false, false, 0
	for len(line) > 0 {
		equals := bytes.IndexByte(line, '=')
		if equals < 0 {
			return false
		}
		key := line[:equals]
		value, rest, ok := textValue(line[equals+1:])
		if !ok {
			return false
		}
		line = rest
		switch string(key) {
		case "msg":
			decided, leftOut = string(value) == decidedMessage, string(value) == leftOutMessage
		case "lines":
			lines, _ = strconv.Atoi(string(value)) // 0 if it is not a number
		case "outcome", "reason", "policy", "attribute", "digest", "domain", "source", "requestType":
			in.call.Record.set(string(key), in.intern(value))
		}
	}
	if decided {
		return in.record()
	}
	if leftOut {
		in.counts.LeftOut += lines
	}
	in.counts.Other++
	return true
}

// textValue returns the value at the start of a text, and the rest after the space that follows the value. ok is false
// if a value in quotes is damaged, or if something other than a space follows it.
func textValue(text []byte) (value, rest []byte, ok bool) {
	if len(text) == 0 || text[0] != '"' {
		value, rest, _ = bytes.Cut(text, []byte(" "))
		return value, rest, true
	}
	end := stringValue(text)
	if end == 0 {
		return nil, nil, false
	}
	value, rest = text[:end], text[end:]
	if len(rest) > 0 && rest[0] != ' ' {
		return nil, nil, false
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1], bytes.TrimPrefix(rest, []byte(" ")), true
	}
	unquoted, err := strconv.Unquote(string(value))
	return []byte(unquoted), bytes.TrimPrefix(rest, []byte(" ")), err == nil
}
