package pastcalls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// format is how an input is read.
type format int

const (
	// logLines: each line is JSON, or a line of a log as text.
	logLines format = iota + 1
	// jsonValues: JSON whose values may span several lines: one array, or a sequence of objects.
	jsonValues
	// table: rows of columns, which the first line names.
	table
	// eventTable: events of Okta's System Log as a table, as the admin console exports them.
	eventTable
	// addresses: one address a line.
	addresses
)

// recognise returns the format of an input by its begin, and the columns of a table. The first line that fits a format
// says which one it is.
func (in *input) recognise(begin []byte) (format, *columns, error) {
	number := 0
	for line := range bytes.Lines(begin) {
		number++
		whole := line[len(line)-1] == '\n'
		line = bytes.TrimSpace(line)
		switch {
		case len(line) == 0 || line[0] == '#':
			continue
		case whole && line[0] == '{' && bytes.IndexByte([]byte("{[,"), line[len(line)-1]) >= 0:
			return jsonValues, nil, nil // an object over several lines
		case line[0] == '[' && (len(line) == 1 || bytes.IndexByte([]byte("{]"), bytes.TrimSpace(line[1:])[0]) >= 0):
			return jsonValues, nil, nil
		case isJSONLine(line), isTextLine(line):
			return logLines, nil, nil
		}
		if columns := eventHeader(line); columns != nil {
			columns.line = number
			return eventTable, columns, nil
		}
		if columns, err := in.header(line); columns != nil || err != nil {
			if columns != nil {
				columns.line = number
			}
			return table, columns, err
		}
		at := bytes.IndexByte(line, '@')
		switch {
		case at < 0 || bytes.ContainsAny(line[:at], " =("):
		case bytes.ContainsAny(line, ",;\t"):
			return 0, nil, errors.New("is a table without names of its columns: write a first line such as email,login,source,requestType")
		default:
			return addresses, nil, nil
		}
	}
	return 0, nil, errUnknown
}

// maxPrefix bounds in bytes what may stand before a line of the log: kubectl logs --prefix writes the names of the pod
// and the container, --timestamps a time.
const maxPrefix = 400

// afterPrefix returns a line from where begin stands in it: at the start, or after a prefix that ends in a space.
func afterPrefix(line []byte, begin string) ([]byte, bool) {
	at := bytes.Index(line[:min(len(line), maxPrefix)], []byte(begin))
	if at < 0 || at > 0 && line[at-1] != ' ' {
		return nil, false
	}
	return line[at:], true
}

func isJSONLine(line []byte) bool {
	_, found := afterPrefix(line, `{"`)
	return found || line[0] == '{'
}

func isTextLine(line []byte) bool {
	line, found := afterPrefix(line, "time=")
	return found && bytes.Contains(line, []byte(" level=")) && bytes.Contains(line, []byte(" msg="))
}

// columns are the columns of a table, by their indexes; -1 for one that the table does not have.
type columns struct {
	line                                 int // the number of the line that names them
	separator                            byte
	count                                int
	attributes                           []int
	source, requestType, domain, outcome int
}

// header returns the columns that a line names, or nil if it names no known column. It fails if the line names neither
// the first address attribute nor the domain: each row must have one of them.
func (in *input) header(line []byte) (*columns, error) {
	for _, separator := range []byte(",;\t") {
		fields, ok := splitRow(nil, line, separator)
		if !ok {
			continue
		}
		var names []string
		for _, field := range fields {
			names = append(names, foldASCII(string(bytes.TrimSpace(field))))
		}
		c := &columns{separator: separator, count: len(names)}
		known := false
		find := func(name string) int {
			at := slices.Index(names, foldASCII(name))
			known = known || at >= 0
			return at
		}
		for _, attribute := range in.options.Attributes {
			c.attributes = append(c.attributes, find(attribute))
		}
		c.source, c.requestType, c.domain, c.outcome = find("source"), find("requestType"), find("domain"), find("outcome")
		if !known {
			continue
		}
		first := in.options.Attributes[0]
		if c.attributes[0] < 0 && c.domain < 0 {
			return nil, fmt.Errorf("names no column %s or domain: every sign-up has %s, so name its column, "+
				"or give another first attribute with --address-attributes", first, first)
		}
		return c, nil
	}
	return nil, nil //nolint:nilnil // nil says that the line is no header
}

// foldASCII returns a text with small letters for the capital letters A to Z.
func foldASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
}
