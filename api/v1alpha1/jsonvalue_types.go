package v1alpha1

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// JSONValue is a JSON string, number, boolean, or list of strings. It holds the JSON text, so that a number keeps its
// digits. The API server refuses every other value. This type nevertheless holds any JSON: otherwise a client could not
// decode a list of policies in which one value is invalid.
//
// No kubebuilder marker can express this schema, so tools/crdschema writes it.
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
		return JSONValue{}, fmt.Errorf("profile value: %w", err) // NaN or an infinity
	}
	return JSONValue{Raw: text}, nil
}
