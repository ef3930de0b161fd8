package pastcalls

import (
	"bytes"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// requestBuffer holds a request that is reused.
type requestBuffer struct {
	request    okta.Request
	attributes []okta.Attribute
	fields     [][]byte
}

// address reads a line of an input with one address a line.
func (in *input) address(line []byte) bool {
	if line[0] == '#' {
		return true
	}
	in.begin(in.options.RequestType, in.options.Source)
	for i := range in.request.attributes {
		// In a sign-up, the login is the address unless the org's form has a field of its own for it.
		if i == 0 || in.request.attributes[i].Name == "login" && in.options.RequestType != okta.ProgressiveProfile {
			in.request.attributes[i].Kind, in.request.attributes[i].Text = okta.String, string(line)
		}
	}
	in.call = Call{Request: &in.request.request}
	in.found()
	return true
}

// row reads a row of a table.
func (in *input) row(line []byte) bool {
	if in.at <= in.columns.line || line[0] == '#' {
		return true
	}
	fields, ok := splitRow(in.request.fields[:0], line, in.columns.separator)
	in.request.fields = fields
	c := in.columns
	if !ok || len(fields) != c.count {
		return false
	}
	cell := func(column int) []byte {
		if column < 0 {
			return nil
		}
		return bytes.TrimSpace(fields[column])
	}
	requestType, known := requestTypes[string(cell(c.requestType))]
	if !known {
		return false
	}
	if requestType == "" {
		requestType = in.options.RequestType
	}
	source := in.options.Source
	if text := cell(c.source); len(text) > maxText {
		return false
	} else if len(text) > 0 {
		source = in.intern(text)
	}
	outcome := in.intern(cell(c.outcome))
	if outcome != "" && outcome != "ALLOW" && outcome != "DENY" {
		return false
	}
	if domain := cell(c.domain); c.attributes[0] < 0 || len(cell(c.attributes[0])) == 0 && len(domain) > 0 {
		if len(domain) == 0 || len(domain) > maxText {
			return false
		}
		in.call = Call{Record: Record{
			RequestType: recordTypes[requestType], Source: source, Outcome: outcome, Domain: in.intern(domain),
		}}
		in.found()
		return true
	}
	in.begin(requestType, source)
	for i, column := range c.attributes {
		if text := cell(column); len(text) > 0 {
			in.request.attributes[i].Kind, in.request.attributes[i].Text = okta.String, string(text)
		}
	}
	in.call = Call{Request: &in.request.request, Record: Record{Outcome: outcome}}
	in.found()
	return true
}

// requestTypes are the texts that a table may have for the request types, and recordTypes are what the log calls them.
var (
	requestTypes = map[string]string{
		"": "", okta.SelfServiceRegistration: okta.SelfServiceRegistration, okta.ProgressiveProfile: okta.ProgressiveProfile,
		"SelfServiceRegistration": okta.SelfServiceRegistration, "ProgressiveProfile": okta.ProgressiveProfile,
	}
	recordTypes = map[string]string{
		okta.SelfServiceRegistration: "SelfServiceRegistration", okta.ProgressiveProfile: "ProgressiveProfile",
	}
)

// begin prepares the request: a call of this type without values of its attributes.
func (in *input) begin(requestType, source string) {
	b := &in.request
	b.attributes = b.attributes[:0]
	for _, name := range in.options.Attributes {
		b.attributes = append(b.attributes, okta.Attribute{Name: name})
	}
	b.request = okta.Request{EventType: okta.EventType, Source: source, RequestType: requestType, HasRequestType: true}
	profile := okta.Profile{Presence: okta.Present, Attributes: b.attributes}
	if requestType == okta.ProgressiveProfile {
		b.request.Update = profile
	} else {
		b.request.Profile = profile
	}
}

// splitRow appends the fields of a row. A field may be in quotes, in which "" stands for one. It returns false if the
// quotes do not end.
func splitRow(fields [][]byte, line []byte, separator byte) ([][]byte, bool) {
	for {
		if len(line) == 0 || line[0] != '"' {
			end := bytes.IndexByte(line, separator)
			if end < 0 {
				return append(fields, line), true
			}
			fields, line = append(fields, line[:end]), line[end+1:]
			continue
		}
		field, rest, ok := quotedField(line[1:])
		if !ok {
			return fields, false
		}
		fields = append(fields, field)
		if len(rest) == 0 {
			return fields, true
		}
		if rest[0] != separator {
			return fields, false
		}
		line = rest[1:]
	}
}

// quotedField returns the field that begins after a quote, and what follows its end.
func quotedField(line []byte) (field, rest []byte, ok bool) {
	for from := 0; ; {
		end := bytes.IndexByte(line[from:], '"')
		if end < 0 {
			return nil, nil, false
		}
		end += from
		if end+1 == len(line) || line[end+1] != '"' {
			return bytes.ReplaceAll(line[:end], []byte(`""`), []byte(`"`)), line[end+1:], true
		}
		from = end + 2
	}
}
