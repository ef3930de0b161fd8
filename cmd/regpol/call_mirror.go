package main

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// mirror is the credential, as a hook may send it back: in an error, in debugContext, in any text. [oktasim.Hook] has
// taken it out where it stands as it is; this takes it out where JSON's escapes hid it.
type mirror string

func (m mirror) text(s string) string {
	if m == "" {
		return s
	}
	return strings.ReplaceAll(s, string(m), oktasim.Redacted)
}

// json writes a JSON text with as few escapes as can be, so that what is in it can be seen.
func (m mirror) json(s string) json.RawMessage {
	value := jsontext.Value(s)
	if m == "" || value.Format(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(false)) != nil {
		return json.RawMessage(s)
	}
	quoted, err := jsontext.AppendQuote(nil, string(m))
	if err != nil { // it is not UTF-8, and so in no JSON text
		return json.RawMessage(value)
	}
	return json.RawMessage(strings.ReplaceAll(string(value), string(quoted[1:len(quoted)-1]), oktasim.Redacted))
}
