package hookserver

import (
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// CallOf converts a decoded call to the input of [rules.Snapshot.Decide], as a server does.
func CallOf(r *okta.Request) rules.Call { return callOf(r, new(scratch)) }

// callOf converts a decoded call to the input of [rules.Snapshot.Decide]. The slices of the result belong to memory.
// Call.Shape depends on eventType and on which profiles the call has, not on requestType, which Classic does not send.
func callOf(r *okta.Request, memory *scratch) rules.Call {
	memory.profile = appendAttributes(memory.profile[:0], &r.Profile)
	memory.update = appendAttributes(memory.update[:0], &r.Update)
	return rules.Call{
		Shape:         shapeOf(r),
		Source:        r.Source,
		Contradictory: r.RequestTypeContradicts(),
		Profile:       memory.profile,
		Update:        memory.update,
	}
}

func shapeOf(r *okta.Request) rules.Shape {
	if r.EventType != okta.EventType || r.Profile.Presence == okta.WrongType || r.Update.Presence == okta.WrongType {
		return rules.UnrecognisedShape
	}
	signUp, update := r.Profile.Presence == okta.Present, r.Update.Presence == okta.Present
	switch {
	case signUp && update:
		return rules.Both
	case signUp:
		return rules.SignUp
	case update:
		return rules.ProfileUpdate
	default:
		return rules.UnrecognisedShape
	}
}

// appendAttributes appends the attributes of a profile. A profile that is not an object has none.
func appendAttributes(to []rules.Attribute, p *okta.Profile) []rules.Attribute {
	for _, a := range p.Attributes {
		to = append(to, rules.Attribute{Name: a.Name, Kind: kindOf(a.Kind), Text: a.Text})
	}
	return to
}

func kindOf(k okta.Kind) rules.ValueKind {
	switch k {
	case okta.Missing:
		return rules.Absent
	case okta.Null:
		return rules.Null
	case okta.String:
		return rules.Text
	default:
		return rules.Other
	}
}
