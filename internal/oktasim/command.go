package oktasim

import (
	"bytes"
	"errors"
	"maps"
	"slices"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// command is one of the answer's commands.
type command struct {
	Type  jsontext.Value `json:"type"`
	Value jsontext.Value `json:"value"`
}

// says is what the answer's commands say about the registration. The zero value is nothing.
type says uint8

const (
	saysNothing says = iota
	saysAllow
	saysDeny
)

var errCommands = errors.New("commands is not a list of objects: Okta cannot read the answer")

// readCommands reads the member "commands"; without one, or with null, there are none.
func readCommands(value jsontext.Value) ([]command, error) {
	if value == nil {
		return nil, nil
	}
	var commands []command
	if err := json.Unmarshal(value, &commands, lenient); err != nil {
		return nil, errCommands // inferred: the whole answer is unreadable then
	}
	return commands, nil
}

// run carries out the commands in the order given. What Okta does not know has no effect.
func (r *Result) run(shape Shape, commands []command) says {
	var said says
	for i, c := range commands {
		switch name := text(c.Type); name {
		case commandAction:
			next := r.action(i, c)
			if said != saysNothing && next != saysNothing {
				r.trouble(KindSecondAction, "commands[%d]: a second %s", i, commandAction)
			}
			if next != saysNothing {
				said = next // inferred: the commands run in order, so the last one counts
			}
		case shape.profileCommand():
			r.update(i, c)
		case commandProfileUpdate, commandProgressiveUpdate:
			r.trouble(KindOtherShape, "commands[%d].type is %s, which does nothing in a call of the shape %s: send %s",
				i, name, shape, shape.profileCommand())
		case "com.action.update":
			r.trouble(KindCommandName, "commands[%d].type is com.action.update, which Okta does not know: send %s", i, commandAction)
		case "":
			r.trouble(KindCommandName, "commands[%d].type is missing", i)
		default:
			r.trouble(KindCommandName, "commands[%d].type is %.60q, which Okta does not know", i, name)
		}
	}
	return said
}

func (r *Result) action(i int, c command) says {
	var value struct {
		Registration jsontext.Value `json:"registration"`
	}
	if err := json.Unmarshal(c.Value, &value, lenient); err == nil {
		switch text(value.Registration) {
		case "ALLOW":
			return saysAllow
		case "DENY":
			return saysDeny
		}
	}
	// That it has no effect is inferred.
	r.trouble(KindRegistrationValue, "commands[%d].value.registration is neither ALLOW nor DENY: the command has no effect", i)
	return saysNothing
}

func (r *Result) update(i int, c command) {
	updates, err := readUpdates(c.Value)
	if err != nil {
		r.trouble(KindProfileUpdate, "commands[%d].value is not an object: it sets no attribute", i)
		return
	}
	if len(updates) == 0 {
		r.trouble(KindProfileUpdate, "commands[%d].value sets no attribute", i)
	}
	r.ProfileUpdates = append(r.ProfileUpdates, updates...)
}

// readUpdates reads the members of an object in the order of the text.
func readUpdates(value jsontext.Value) ([]ProfileUpdate, error) {
	if value.Kind() != jsontext.KindBeginObject {
		return nil, errors.New("not an object")
	}
	d := jsontext.NewDecoder(bytes.NewReader(value), lenient)
	if _, err := d.ReadToken(); err != nil {
		return nil, err
	}
	var updates []ProfileUpdate
	for d.PeekKind() != jsontext.KindEndObject {
		name, err := d.ReadToken()
		if err != nil {
			return nil, err
		}
		attribute := name.String() // before the next read, which takes the token's memory
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		updates = append(updates, ProfileUpdate{Attribute: attribute, Value: compact(v)})
	}
	return updates, nil
}

// text returns a JSON string's content, and "" for any other value.
func text(value jsontext.Value) string {
	var s string
	if value.Kind() != jsontext.KindString || json.Unmarshal(value, &s) != nil {
		return ""
	}
	return s
}

func compact(value jsontext.Value) string {
	v := value.Clone()
	if v.Compact(lenient) != nil {
		return ""
	}
	return string(v)
}

func sortedNames(members map[string]jsontext.Value) []string {
	return slices.Sorted(maps.Keys(members))
}
