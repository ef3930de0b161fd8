package pastcalls

import (
	"bytes"

	"registrationpolicy.dev/operator/hookserver/okta"
)

// requestBuffer is memory that is used again for each row or line with addresses.
type requestBuffer struct {
	request    okta.Request
	attributes []okta.Attribute
	fields     [][]byte
}

// address reads a line that is one address. It also accepts a comment, which starts with #.
func (in *input) address(line []byte) bool {
	if line[0] == '#' {
		return true
	}
	in.begin(in.options.RequestType, in.options.Source)
	for i := range in.request.attributes {
		// In a sign-up, Okta uses the address as the login too, unless the org's form has a field for the login.
		if i == 0 || in.request.attributes[i].Name == "login" && in.options.RequestType != okta.ProgressiveProfile {
			in.request.attributes[i].Kind, in.request.attributes[i].Text = okta.String, string(line)
		}
	}
	in.call = Call{Request: &in.request.request}
	in.found()
	return true
}

// row reads a row of a table. It returns false if the row has the wrong number of columns, or an invalid value.
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

// requestTypes maps the values that a table may have in the column requestType to Okta's names of the request types.
// recordTypes maps Okta's names to those of [Record.RequestType].
var (
	requestTypes = map[string]string{
		"": "", okta.SelfServiceRegistration: okta.SelfServiceRegistration, okta.ProgressiveProfile: okta.ProgressiveProfile,
		"SelfServiceRegistration": okta.SelfServiceRegistration, "ProgressiveProfile": okta.ProgressiveProfile,
	}
	recordTypes = map[string]string{
		okta.SelfServiceRegistration: "SelfServiceRegistration", okta.ProgressiveProfile: "ProgressiveProfile",
	}
)

// begin sets in.request to a call of a request type from a source. The attributes have no values yet.
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

// splitRow appends the fields of a row. In a field in quotes, "" stands for one quote. It returns false if a field has
// no closing quote, or if something other than the separator follows that quote.
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

// quotedField returns a field in quotes, and what follows its closing quote. line begins after the opening quote. ok is
// false if there is no closing quote.
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
