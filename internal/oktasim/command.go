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

// action is the effect of a command com.okta.action.update. The zero value is noAction.
type action uint8

const (
	noAction action = iota
	allowAction
	denyAction
)

var errCommands = errors.New("commands is not a list of objects: Okta cannot read the answer")

// readCommands reads the member commands of an answer. It returns no command if the member is absent or null.
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

// run runs the commands in order, and returns the last action. Unknown commands have no effect.
func (r *Result) run(shape Shape, commands []command) action {
	var last action
	for i, c := range commands {
		switch name := text(c.Type); name {
		case commandAction:
			next := r.readAction(i, c)
			if last != noAction && next != noAction {
				r.addFault(KindSecondAction, "commands[%d]: a second %s", i, commandAction)
			}
			if next != noAction {
				last = next // inferred: the commands run in order, so the last one counts
			}
		case shape.profileCommand():
			r.update(i, c)
		case commandProfileUpdate, commandProgressiveUpdate:
			r.addFault(KindOtherShape, "commands[%d].type is %s, which does nothing in a call of the shape %s: send %s",
				i, name, shape, shape.profileCommand())
		case "com.action.update":
			r.addFault(KindCommandName, "commands[%d].type is com.action.update, which Okta does not know: send %s", i, commandAction)
		case "":
			r.addFault(KindCommandName, "commands[%d].type is missing", i)
		default:
			r.addFault(KindCommandName, "commands[%d].type is %.60q, which Okta does not know", i, name)
		}
	}
	return last
}

func (r *Result) readAction(i int, c command) action {
	var value struct {
		Registration jsontext.Value `json:"registration"`
	}
	if err := json.Unmarshal(c.Value, &value, lenient); err == nil {
		switch text(value.Registration) {
		case "ALLOW":
			return allowAction
		case "DENY":
			return denyAction
		}
	}
	// Inferred: the command has no effect.
	r.addFault(KindRegistrationValue, "commands[%d].value.registration is neither ALLOW nor DENY: the command has no effect", i)
	return noAction
}

func (r *Result) update(i int, c command) {
	updates, err := readUpdates(c.Value)
	if err != nil {
		r.addFault(KindProfileUpdate, "commands[%d].value is not an object: it sets no attribute", i)
		return
	}
	if len(updates) == 0 {
		r.addFault(KindProfileUpdate, "commands[%d].value sets no attribute", i)
	}
	r.ProfileUpdates = append(r.ProfileUpdates, updates...)
}

// readUpdates returns the members of an object in order.
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
		attribute := name.String() // before the next read, which invalidates the token
		v, err := d.ReadValue()
		if err != nil {
			return nil, err
		}
		updates = append(updates, ProfileUpdate{Attribute: attribute, Value: compact(v)})
	}
	return updates, nil
}

// text returns the content of a JSON string, and "" for other values.
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
