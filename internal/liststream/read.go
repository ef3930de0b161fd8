package liststream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Read calls take with the JSON of each object of a list, which is valid until take returns, and returns the
// resourceVersion of the list. The fields of the list may come in any order. Read fails if the body is cut off or is
// not a complete list of that kind; the caller must then discard the objects taken so far, because some are missing. No
// error quotes the body.
func Read(body io.Reader, kind string, take func(item []byte) error) (version string, err error) {
	decoder := json.NewDecoder(body)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return "", err
	}
	var list struct {
		kind     string
		metadata metav1.ListMeta
		items    bool
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return "", decodeError(err)
		}
		switch name {
		case "kind":
			err = decoder.Decode(&list.kind)
		case "metadata":
			err = decoder.Decode(&list.metadata)
		case "items":
			list.items = true
			err = readItems(decoder, take)
		default:
			err = decoder.Decode(&json.RawMessage{})
		}
		if err != nil {
			return "", decodeError(err)
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return "", err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) { // net/http reuses the connection only if the body is read to its end
		return "", errors.New("the response has more data after the list")
	}
	if list.kind != kind || !list.items || list.metadata.ResourceVersion == "" || list.metadata.Continue != "" {
		return "", fmt.Errorf("the response is not a complete %s", kind)
	}
	return list.metadata.ResourceVersion, nil
}

// readItems reads an array of objects, or null, which is how an API server writes an empty list of metadata.
func readItems(decoder *json.Decoder, take func(item []byte) error) error {
	switch token, err := decoder.Token(); {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != json.Delim('['):
		return errors.New("the response is not a list: its items are not an array")
	}
	var item json.RawMessage
	for decoder.More() {
		if err := decoder.Decode(&item); err != nil {
			return err
		}
		if err := take(item); err != nil {
			return err
		}
	}
	return expect(decoder, json.Delim(']'))
}

func expect(decoder *json.Decoder, want json.Delim) error {
	token, err := decoder.Token()
	if err != nil {
		return decodeError(err)
	}
	if token != want {
		return fmt.Errorf("the response is not a list: %s is missing", want)
	}
	return nil
}

// decodeError returns io.ErrUnexpectedEOF for the early end of a body, and removes quotes of the body from err.
func decodeError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the response is not valid JSON at byte %d", syntax.Offset) // syntax quotes the body
	}
	return err
}
