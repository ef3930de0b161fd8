package okta

import (
	"math"
	"sync"
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
	// usualText is the total length in bytes of the texts that Decode keeps of a usual call.
	usualText = 256
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
	d.body, d.attributes = body, attributes
	d.text.Grow(usualText)
	var r Request
	if err := d.request(&r); err != nil {
		return Request{}, err
	}
	if d.peek(); d.pos < len(d.body) {
		return Request{}, TrailingData
	}
	return r, nil
}

// decoder reads a call with a scanner, which reads the JSON.
type decoder struct {
	scanner

	attributes []string
}

var decoders = sync.Pool{New: func() any { return new(decoder) }}

// putBack drops the references to the body, which has personal data, before the decoder is pooled.
func (d *decoder) putBack() {
	stack := d.names.stack[:0]
	if cap(stack) > maxMembers {
		stack = nil
	}
	*d = decoder{scanner: scanner{names: names{stack: stack}}}
	decoders.Put(d)
}

func (d *decoder) request(r *Request) error {
	_, err := d.object(maxMembers, func(name []byte) (err error) {
		switch string(name) {
		case "eventId":
			r.EventID, err = d.stringOrSkip()
		case "eventType":
			r.EventType, err = d.stringOrSkip()
		case "source":
			r.Source, err = d.stringOrSkip()
		case "requestType":
			r.HasRequestType = d.peek() != 'n'
			r.RequestType, err = d.stringOrSkip()
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
			id, err = d.stringOrSkip()
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

// stringOrSkip reads any value. It returns a string's text, and "" for other values.
func (d *decoder) stringOrSkip() (string, error) {
	_, text, err := d.value(maxMembers)
	return text, err
}

// value reads any value. It returns its kind, and a string's text. An object in it may have at most limit members.
func (d *decoder) value(limit int) (Kind, string, error) {
	switch d.peek() {
	case '"':
		text, err := d.string()
		return String, text, err
	case 'n':
		return Null, "", d.skip(limit)
	default:
		return Other, "", d.skip(limit)
	}
}

// object reads any value. If it is an object, it calls member for each of its at most limit members. member must read
// the member's value, and may use name only before that.
func (d *decoder) object(limit int, member func(name []byte) error) (Presence, error) {
	switch d.peek() {
	case '{':
		return Present, d.members(limit, member)
	case 'n':
		return Absent, d.skip(limit)
	default:
		return WrongType, d.skip(limit)
	}
}
