package pastcalls

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// format is the format of an input.
type format int

const (
	// logLines: each line is a JSON object, or a line of the operator's log as text.
	logLines format = iota + 1
	// jsonValues: JSON whose values may span several lines: one array, or a sequence of objects.
	jsonValues
	// table: a table (CSV) whose first line names its columns.
	table
	// eventTable: events of Okta's System Log as a table (CSV), as Okta's admin console exports them.
	eventTable
	// addresses: one address a line.
	addresses
)

// recognise returns the format of an input, and the columns if it is a table. begin is the start of the input: its
// first line that fits any format decides.
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
			return jsonValues, nil, nil // the object continues on the next line
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

// maxPrefix is the maximum length in bytes of a prefix before a log line. kubectl logs --prefix writes the names of the
// pod and the container there, and --timestamps writes a time.
const maxPrefix = 400

// afterPrefix returns the part of a line that starts with begin. The part may come after a prefix that ends in a space.
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

// columns says where a table has which column. The index of a column is -1 if the table does not have it.
type columns struct {
	line                                 int // the number of the line that names the columns
	separator                            byte
	count                                int   // the number of all columns
	attributes                           []int // the index of the column for each of Options.Attributes
	source, requestType, domain, outcome int   // the indexes of these columns
}

// header returns the columns that a line names, or nil if it names no known column. It fails if the line names known
// columns, but neither the first address attribute nor the domain: a call cannot be decided without one of them.
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

// foldASCII returns a text with A–Z in lower case.
func foldASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		return r
	}, text)
}
