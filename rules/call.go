package rules

// Call is what a decision needs of one hook call.
type Call struct {
	// Shape says which profiles the call's data contain.
	Shape Shape
	// Source is Okta's `source`: the id of the enrolment policy or rule that called.
	Source string
	// Contradictory: the call's requestType is unknown or contradicts its data. No profile attribute is sent then.
	Contradictory bool

	// Profile holds the address attributes of data.userProfile (shapes SignUp and Both), in the operator's order,
	// absent ones included. The first one is required.
	Profile []Attribute
	// Update is the same for data.userProfileUpdate (shapes ProfileUpdate and Both).
	Update []Attribute
}

// Shape says which profiles a call's data contain. The zero value is UnrecognisedShape.
type Shape uint8

const (
	// UnrecognisedShape is data with no profile, one of a wrong type, or another event: denied.
	UnrecognisedShape Shape = iota
	// SignUp is data with a userProfile only.
	SignUp
	// ProfileUpdate is data with a userProfileUpdate only.
	ProfileUpdate
	// Both is data with both. The call is decided as each of the two, with all addresses, and allowed only if both
	// decisions allow.
	Both
)

// String returns the word that log lines and metrics use for the shape.
func (s Shape) String() string {
	switch s {
	case SignUp:
		return string(SelfServiceRegistration)
	case ProfileUpdate:
		return string(ProgressiveProfile)
	case Both:
		return "Both"
	default:
		return "Unrecognised"
	}
}

// Attribute is one address attribute of a call.
type Attribute struct {
	// Name is the attribute's name, for example email.
	Name string
	// Kind is the kind of the JSON value. The zero value means that the call has no such attribute.
	Kind ValueKind
	// Text is the value, for the kind Text only.
	Text string
}

// ValueKind is the kind of JSON value that an attribute has in a call.
type ValueKind uint8

const (
	// Absent means that there is no member of that name.
	Absent ValueKind = iota
	// Null is JSON null.
	Null
	// Text is a JSON string.
	Text
	// Other is any other JSON value: never an address.
	Other
)
