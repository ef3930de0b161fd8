package call

import (
	"encoding/json"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"registrationpolicy.dev/operator/internal/oktasim"
)

// redactor holds the credential and removes it from what the hook sent. [oktasim.Hook] has already removed it where it
// is spelled literally. The redactor also finds it where JSON escapes hide it, such as \u0061 for a.
type redactor string

func (m redactor) text(s string) string {
	if m == "" {
		return s
	}
	return strings.ReplaceAll(s, string(m), oktasim.Redacted)
}

// json redacts a JSON text, after it has removed all unnecessary escapes.
func (m redactor) json(s string) json.RawMessage {
	value := jsontext.Value(s)
	if m == "" || value.Format(jsontext.AllowDuplicateNames(true), jsontext.PreserveRawStrings(false)) != nil {
		return json.RawMessage(s)
	}
	quoted, err := jsontext.AppendQuote(nil, string(m))
	if err != nil { // the credential is not UTF-8, so no JSON text contains it
		return json.RawMessage(value)
	}
	return json.RawMessage(strings.ReplaceAll(string(value), string(quoted[1:len(quoted)-1]), oktasim.Redacted))
}
