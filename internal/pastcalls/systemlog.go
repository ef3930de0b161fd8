package pastcalls

import (
	"bytes"
	"encoding/json"
	"slices"
)

// eventColumns are two columns of Okta's System Log. A table that has both is taken for an export of it.
var eventColumns = []string{"event_type", "outcome.result"}

// eventHeader returns the separator of an export of Okta's System Log as a table, or nil if the line does not name the
// columns of one. It sets no index of a column: Okta does not document the name of the column that has the operator's
// debugContext, so eventRow searches all columns.
func eventHeader(line []byte) *columns {
	for _, separator := range []byte(",;\t") {
		fields, ok := splitRow(nil, line, separator)
		names := map[string]bool{}
		for _, field := range fields {
			names[foldASCII(string(bytes.TrimSpace(field)))] = true
		}
		if ok && !slices.ContainsFunc(eventColumns, func(name string) bool { return !names[name] }) {
			return &columns{separator: separator}
		}
	}
	return nil
}

// event reads an event of Okta's System Log. The operator puts the record of its decision into the debugContext of its
// answer, which Okta copies into the event. Okta does not document where, so the whole event is searched.
func (in *input) event(text []byte) bool {
	var event any
	if err := json.Unmarshal(text, &event); err != nil {
		return false
	}
	return in.debugRecord(debugContext(event, maxEventDepth))
}

// eventRow reads a row of an export of Okta's System Log as a table. One of the cells is a JSON text that is the
// operator's debugContext, or contains it.
func (in *input) eventRow(line []byte) bool {
	if in.at <= in.columns.line {
		return true
	}
	fields, ok := splitRow(in.request.fields[:0], line, in.columns.separator)
	in.request.fields = fields
	if !ok {
		return false
	}
	for _, field := range fields {
		if debug := debugContext(string(bytes.TrimSpace(field)), maxEventDepth); debug != nil {
			return in.debugRecord(debug)
		}
	}
	return in.debugRecord(nil)
}

// debugRecord reads the record in the operator's debugContext. debug is nil for an event without one.
func (in *input) debugRecord(debug map[string]any) bool {
	if debug == nil {
		in.counts.Other++
		return true
	}
	in.call = Call{}
	for key, value := range debug {
		if text, ok := value.(string); ok {
			in.call.Record.set(key, text)
		}
	}
	return in.record()
}

// maxEventDepth bounds how many levels of nested values are searched. Okta's events have about five levels.
const maxEventDepth = 16

// debugContext looks for the operator's debugContext in a decoded JSON value, down to so many levels as depth says. It
// finds an object, or a string that has an object as JSON. Without any it returns nil.
func debugContext(value any, depth int) map[string]any {
	if depth == 0 {
		return nil
	}
	switch value := value.(type) {
	case map[string]any:
		if value["decisionID"] != nil && value["outcome"] != nil && value["reason"] != nil {
			return value
		}
		for _, member := range value {
			if found := debugContext(member, depth-1); found != nil {
				return found
			}
		}
	case []any:
		for _, element := range value {
			if found := debugContext(element, depth-1); found != nil {
				return found
			}
		}
	case string:
		var inner map[string]any
		if len(value) > 0 && value[0] == '{' && json.Unmarshal([]byte(value), &inner) == nil {
			return debugContext(inner, depth-1)
		}
	}
	return nil
}
