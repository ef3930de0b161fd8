package okta

import (
	"bytes"
	"errors"
	"io"
	"math"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
)

const (
	// MaxBody is the maximum length of a body in bytes. Okta's calls have 0.5 to 2 kB.
	MaxBody = 64 << 10
	// maxDepth is the maximum nesting of arrays and objects, including the outermost. Okta's calls have 6 levels.
	maxDepth = 32
	// maxMembers is the maximum number of members of an object. Okta's calls have 12 at most, outside of the profile.
	maxMembers = 256
	// unlimitedMembers is the limit for a profile, whose members are the fields of the org's form. MaxBody limits them.
	unlimitedMembers = math.MaxInt
	// nameCapacity is the initial size in bytes of the buffer for a member's name.
	nameCapacity = 64
)

// Decode decodes the body of a call. Of the profiles it keeps only the named attributes.
//
// It returns a [Malformed] error and an empty Request for a body that two programs could read differently, or that
// costs too much to read. Names are case-sensitive. Any other JSON text decodes without an error, even if it is no
// call: its profiles are then absent or of the wrong type.
func Decode(body []byte, attributes []string) (Request, error) {
	if len(body) > MaxBody {
		return Request{}, TooLarge
	}
	d := decoders.Get().(*decoder)
	defer d.putBack()
	d.attributes = attributes
	d.json.Reset(bytes.NewBuffer(body))
	var r Request
	if err := d.request(&r); err != nil {
		return Request{}, malformed(err)
	}
	if _, err := d.json.ReadToken(); !errors.Is(err, io.EOF) {
		return Request{}, TrailingData
	}
	return r, nil
}

// malformed returns the class of an error. The text of a syntax error must not be kept: it quotes the body.
func malformed(err error) Malformed {
	if m, ok := errors.AsType[Malformed](err); ok {
		return m
	}
	if errors.Is(err, jsontext.ErrDuplicateName) {
		return DuplicateMember
	}
	return NotJSON
}

// decoder reads the text token by token, so that the limits also apply to the values that it skips.
type decoder struct {
	json       *jsontext.Decoder
	attributes []string
	depth      int
	name       []byte // the name of the member being read
}

// decoders saves most of a call's allocations.
var decoders = sync.Pool{New: func() any {
	return &decoder{json: new(jsontext.Decoder), name: make([]byte, 0, nameCapacity)}
}}

// putBack drops the references to the body, which has personal data, before the decoder is pooled.
func (d *decoder) putBack() {
	d.json.Reset(bytes.NewReader(nil))
	*d = decoder{json: d.json, name: d.name[:0]}
	decoders.Put(d)
}

func (d *decoder) request(r *Request) error {
	_, err := d.object(maxMembers, func(name []byte) (err error) {
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
			_, err = d.object(maxMembers, func(name []byte) (err error) {
				switch string(name) {
				case "context":
					r.RequestID, err = d.requestID()
				case "userProfile":
					r.Profile, err = d.profile()
				case "userProfileUpdate":
					r.Update, err = d.profile()
				default:
					err = d.skip(maxMembers)
				}
				return err
			})
		default:
			err = d.skip(maxMembers)
		}
		return err
	})
	return err
}

// requestID reads data.context and returns its request.id.
func (d *decoder) requestID() (id string, err error) {
	_, err = d.object(maxMembers, func(name []byte) (err error) {
		if string(name) != "request" {
			return d.skip(maxMembers)
		}
		_, err = d.object(maxMembers, func(name []byte) (err error) {
			if string(name) != "id" {
				return d.skip(maxMembers)
			}
			id, err = d.text()
			return err
		})
		return err
	})
	return id, err
}

func (d *decoder) profile() (Profile, error) {
	p := Profile{Attributes: make([]Attribute, len(d.attributes))}
	for i, name := range d.attributes {
		p.Attributes[i].Name = name
	}
	var err error
	p.Presence, err = d.object(unlimitedMembers, func(name []byte) (err error) {
		for i := range p.Attributes {
			if p.Attributes[i].Name == string(name) {
				p.Attributes[i].Kind, p.Attributes[i].Text, err = d.value(unlimitedMembers)
				return err
			}
		}
		return d.skip(unlimitedMembers)
	})
	if p.Presence != Present {
		p.Attributes = nil
	}
	return p, err
}

// text reads any value. It returns a string's text, and "" for other values.
func (d *decoder) text() (string, error) {
	_, text, err := d.value(maxMembers)
	return text, err
}

// value reads any value. It returns its kind, and a string's text.
func (d *decoder) value(limit int) (Kind, string, error) {
	switch d.json.PeekKind() {
	case '"':
		token, err := d.json.ReadToken()
		if err != nil {
			return Missing, "", err
		}
		return String, token.String(), nil
	case 'n':
		return Null, "", d.skip(limit)
	default:
		return Other, "", d.skip(limit)
	}
}

// object reads any value. If it is an object, it calls member for each member. member must read the member's value, and
// may use name only before that.
func (d *decoder) object(limit int, member func(name []byte) error) (Presence, error) {
	switch d.json.PeekKind() {
	case '{':
	case 'n':
		return Absent, d.skip(limit)
	default:
		return WrongType, d.skip(limit)
	}
	if err := d.open(); err != nil {
		return WrongType, err
	}
	for count := 1; d.json.PeekKind() != '}'; count++ {
		if count > limit {
			return WrongType, TooManyMembers
		}
		quoted, err := d.json.ReadValue()
		if err != nil {
			return WrongType, err
		}
		if d.name, err = jsontext.AppendUnquote(d.name[:0], quoted); err != nil {
			return WrongType, err
		}
		if err := member(d.name); err != nil {
			return WrongType, err
		}
	}
	return Present, d.close()
}

// skip reads any value and discards it.
func (d *decoder) skip(limit int) error {
	switch kind := d.json.PeekKind(); kind {
	case '{', '[':
		if err := d.open(); err != nil {
			return err
		}
		for count := 1; d.json.PeekKind() != kind+2; count++ { // in ASCII, ] is [+2 and } is {+2
			if kind == '{' {
				if count > limit {
					return TooManyMembers
				}
				if _, err := d.json.ReadValue(); err != nil {
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

func (d *decoder) open() error {
	if d.depth++; d.depth > maxDepth {
		return TooDeep
	}
	_, err := d.json.ReadToken()
	return err
}

func (d *decoder) close() error {
	d.depth--
	_, err := d.json.ReadToken()
	return err
}
