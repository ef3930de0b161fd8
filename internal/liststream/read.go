package liststream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Read calls take with each object of a list, as JSON that is valid until take returns, and returns the resourceVersion of the list. The
// members of the list may come in any order. A body that is cut off, or is no whole list of the kind, is an error, so that it never passes
// for a list with fewer objects: what was taken before is then not to be used. No error quotes the body.
func Read(body io.Reader, kind string, take func(item []byte) error) (version string, err error) {
	decoder := json.NewDecoder(body)
	if err := expect(decoder, json.Delim('{')); err != nil {
		return "", err
	}
	var found struct {
		kind     string
		metadata metav1.ListMeta
		items    bool
	}
	for decoder.More() {
		name, err := decoder.Token()
		if err != nil {
			return "", whole(err)
		}
		switch name {
		case "kind":
			err = decoder.Decode(&found.kind)
		case "metadata":
			err = decoder.Decode(&found.metadata)
		case "items":
			found.items = true
			err = readItems(decoder, take)
		default:
			err = decoder.Decode(&json.RawMessage{})
		}
		if err != nil {
			return "", whole(err)
		}
	}
	if err := expect(decoder, json.Delim('}')); err != nil {
		return "", err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) { // read to its end, the connection can be used again
		return "", errors.New("the answer has more than a list")
	}
	if found.kind != kind || !found.items || found.metadata.ResourceVersion == "" || found.metadata.Continue != "" {
		return "", fmt.Errorf("the answer is no whole %s", kind)
	}
	return found.metadata.ResourceVersion, nil
}

// readItems reads an array of objects, or null: that is how an API server writes a list of metadata in which there is none.
func readItems(decoder *json.Decoder, take func(item []byte) error) error {
	switch token, err := decoder.Token(); {
	case err != nil:
		return err
	case token == nil:
		return nil
	case token != json.Delim('['):
		return errors.New("the answer is no list: its items are no array")
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
		return whole(err)
	}
	if token != want {
		return fmt.Errorf("the answer is no list: %s is missing", want)
	}
	return nil
}

// whole returns err, with the end of a body where more should follow as what it is: a body that was cut off.
func whole(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Errorf("the answer is no JSON from byte %d on", syntax.Offset) // its text quotes the body
	}
	return err
}
