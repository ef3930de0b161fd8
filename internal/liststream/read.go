package liststream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Read calls take with the JSON of each object of a list, and returns the resourceVersion of the list. kind is the kind
// of the list, such as ConfigMapList. take must not keep item after it returns.
//
// Read fails if the body is cut off, or is not a complete list of that kind. The caller must then discard the objects
// that take received, because others are missing. No error quotes the body, which may hold addresses.
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
	// The body must be read to its end. Otherwise net/http closes the connection, instead of reusing it.
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return "", errors.New("the response has more data after the list")
	}
	if list.kind != kind || !list.items || list.metadata.ResourceVersion == "" || list.metadata.Continue != "" {
		return "", fmt.Errorf("the response is not a complete %s", kind)
	}
	return list.metadata.ResourceVersion, nil
}

// readItems reads the field items: an array of objects, or null. An API server writes null for an empty
// PartialObjectMetadataList.
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

// expect reads a token, and returns an error if it is another one than want.
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

// decodeError returns an error that does not quote the body, and io.ErrUnexpectedEOF for a body that ends too early.
func decodeError(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok { // quotes the body
		return fmt.Errorf("the response is not valid JSON at byte %d", syntax.Offset)
	}
	return err
}
