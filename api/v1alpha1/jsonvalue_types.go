package v1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSONValue is a JSON string, number, boolean, or list of strings, kept as the text it was read from: a number keeps
// its digits. The API server refuses everything else; this type carries any JSON, so that one bad value never keeps a
// client from reading a list of policies.
//
// No marker can say so: see tools/crdschema, which writes the schema.
type JSONValue struct {
	// Raw is JSON text. Empty means null.
	Raw []byte `json:"-"`
}

// MarshalJSON returns the text.
func (v JSONValue) MarshalJSON() ([]byte, error) {
	if len(v.Raw) == 0 {
		return []byte("null"), nil
	}
	return v.Raw, nil
}

// UnmarshalJSON keeps a copy of the text.
func (v *JSONValue) UnmarshalJSON(text []byte) error {
	v.Raw = nil
	if !bytes.Equal(text, []byte("null")) {
		v.Raw = bytes.Clone(text)
	}
	return nil
}

// NewJSONValue returns the JSON of a string, number, boolean or list of strings.
func NewJSONValue[T string | bool | int | int64 | float64 | []string](value T) (JSONValue, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return JSONValue{}, fmt.Errorf("profile value: %w", err) // a float that is no number
	}
	return JSONValue{Raw: text}, nil
}
