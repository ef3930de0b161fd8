package okta_test

import (
	"bytes"
	"errors"
	"io"
	"math"

	"github.com/go-json-experiment/json/jsontext"

	"registrationpolicy.dev/operator/hookserver/okta"
)

const (
	referenceDepth            = 32
	referenceMembers          = 256
	referenceUnlimitedMembers = math.MaxInt
)

// referenceDecode is the slow reference of Decode, by a general decoder of JSON, token by token. Both must return the
// same for every body.
func referenceDecode(body []byte, attributes []string) (okta.Request, error) {
	if len(body) > okta.MaxBody {
		return okta.Request{}, okta.TooLarge
	}
	d := referenceDecoder{json: jsontext.NewDecoder(bytes.NewBuffer(body)), attributes: attributes}
	var r okta.Request
	if err := d.request(&r); err != nil {
		return okta.Request{}, malformed(err)
	}
	if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
		return okta.Request{}, okta.TrailingData
	}
	return r, nil
}

func malformed(err error) okta.Malformed {
	if m, ok := errors.AsType[okta.Malformed](err); ok {
		return m
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return okta.DuplicateMember
	}
	return okta.NotJSON
}

type referenceDecoder struct {
	json       *jsontext.Decoder
	attributes []string
	depth      int
}

func (d *referenceDecoder) request(r *okta.Request) error {
	_, err := d.object(referenceMembers, func(name []byte) (err error) {
		switch string(name) {
		case "eventId":
			r.EventID, err = d.text()
		case "eventType":
			r.EventType, err = d.text()
		case "source":
			r.Source, err = d.text()
		case "requestType":
			r.HasRequestType = d.json.PeekKind() != 'n'
			r.RequestType, err = d.text()
		case "data":
			_, err = d.object(referenceMembers, func(name []byte) (err error) {
				switch string(name) {
				case "context":
					r.RequestID, err = d.requestID()
				case "userProfile":
					r.Profile, err = d.profile()
				case "userProfileUpdate":
					r.Update, err = d.profile()
				default:
					err = d.skip(referenceMembers)
				}
				return err
			})
		default:
			err = d.skip(referenceMembers)
		}
		return err
	})
	return err
}

// requestID reads data.context and returns its request.id.
func (d *referenceDecoder) requestID() (id string, err error) {
	_, err = d.object(referenceMembers, func(name []byte) (err error) {
		if string(name) != "request" {
			return d.skip(referenceMembers)
		}
		_, err = d.object(referenceMembers, func(name []byte) (err error) {
			if string(name) != "id" {
				return d.skip(referenceMembers)
			}
			id, err = d.text()
			return err
		})
		return err
	})
	return id, err
}

func (d *referenceDecoder) profile() (okta.Profile, error) {
	p := okta.Profile{Attributes: make([]okta.Attribute, len(d.attributes))}
	for i, name := range d.attributes {
		p.Attributes[i].Name = name
	}
	var err error
	p.Presence, err = d.object(referenceUnlimitedMembers, func(name []byte) (err error) {
		for i := range p.Attributes {
			if p.Attributes[i].Name == string(name) {
				p.Attributes[i].Kind, p.Attributes[i].Text, err = d.value(referenceUnlimitedMembers)
				return err
			}
		}
		return d.skip(referenceUnlimitedMembers)
	})
	if p.Presence != okta.Present {
		p.Attributes = nil
	}
	return p, err
}

// text reads any value. It returns a string's text, and "" for other values.
func (d *referenceDecoder) text() (string, error) {
	_, text, err := d.value(referenceMembers)
	return text, err
}

// value reads any value. It returns its kind, and a string's text.
func (d *referenceDecoder) value(limit int) (okta.Kind, string, error) {
	switch d.json.PeekKind() {
	case '"':
		token, err := d.json.ReadToken()
		if err != nil {
			return okta.Missing, "", err
		}
		return okta.String, token.String(), nil
	case 'n':
		return okta.Null, "", d.skip(limit)
	default:
		return okta.Other, "", d.skip(limit)
	}
}

// object reads any value. If it is an object, it calls member for each member. member must read the member's value, and
// may use name only before that.
func (d *referenceDecoder) object(limit int, member func(name []byte) error) (okta.Presence, error) {
	switch d.json.PeekKind() {
	case '{':
	case 'n':
		return okta.Absent, d.skip(limit)
	default:
		return okta.WrongType, d.skip(limit)
	}
	if err := d.open(); err != nil {
		return okta.WrongType, err
	}
	for count := 1; d.json.PeekKind() != '}'; count++ {
		if count > limit {
			return okta.WrongType, okta.TooManyMembers
		}
		quoted, err := d.name()
		if err != nil {
			return okta.WrongType, err
		}
		name, err := jsontext.AppendUnquote(nil, quoted)
		if err != nil {
			return okta.WrongType, err
		}
		if err := member(name); err != nil {
			return okta.WrongType, err
		}
	}
	return okta.Present, d.close()
}

// skip reads any value and discards it.
func (d *referenceDecoder) skip(limit int) error {
	switch kind := d.json.PeekKind(); kind {
	case '{', '[':
		if err := d.open(); err != nil {
			return err
		}
		for count := 1; d.json.PeekKind() != kind+2; count++ { // in ASCII, ] is [+2 and } is {+2
			if kind == '{' {
				if count > limit {
					return okta.TooManyMembers
				}
				if _, err := d.name(); err != nil {
					return err
				}
			}
			if err := d.skip(limit); err != nil {
				return err
			}
		}
		return d.close()
	default:
		_, err := d.json.ReadValue()
		return err
	}
}

// name reads the name of a member. jsontext reads a name that is not a string to its end before it refuses it, and may
// then report a fault inside.
func (d *referenceDecoder) name() (jsontext.Value, error) {
	if d.json.PeekKind() != '"' {
		return nil, okta.NotJSON
	}
	return d.json.ReadValue()
}

func (d *referenceDecoder) open() error {
	if d.depth++; d.depth > referenceDepth {
		return okta.TooDeep
	}
	_, err := d.json.ReadToken()
	return err
}

func (d *referenceDecoder) close() error {
	d.depth--
	_, err := d.json.ReadToken()
	return err
}
