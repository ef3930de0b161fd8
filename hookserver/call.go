package hookserver

import (
	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/rules"
)

// callOf converts a decoded call to the input of [rules.Snapshot.Decide]. Its shape depends on which profiles the call
// has, and not on requestType, which Classic does not send.
func callOf(r *okta.Request) rules.Call {
	return rules.Call{
		Shape:         shapeOf(r),
		Source:        r.Source,
		Contradictory: r.RequestTypeContradicts(),
		Profile:       attributesOf(&r.Profile),
		Update:        attributesOf(&r.Update),
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

func attributesOf(p *okta.Profile) []rules.Attribute {
	if p.Presence != okta.Present {
		return nil
	}
	attributes := make([]rules.Attribute, len(p.Attributes))
	for i, a := range p.Attributes {
		attributes[i] = rules.Attribute{Name: a.Name, Kind: kindOf(a.Kind), Text: a.Text}
	}
	return attributes
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
