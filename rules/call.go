package rules

// Call holds the parts of one call of Okta's hook that a decision depends on.
type Call struct {
	// Shape says which profiles the call's data contain.
	Shape Shape
	// Source is Okta's `source`: the id of the enrolment policy or rule that called.
	Source string
	// Contradictory: the call's requestType is unknown, or not the one that its data imply. An allow of such a call sets
	// no profile attributes.
	Contradictory bool

	// Profile holds the address attributes of data.userProfile, in the order of the flag --address-attributes. An
	// attribute that the call lacks is included as Absent. The first one is required. Profile is used only if Shape is
	// [SignUp] or [Both].
	Profile []Attribute
	// Update holds the address attributes of data.userProfileUpdate in the same order. It is used only if Shape is
	// [ProfileUpdate] or [Both].
	Update []Attribute
}

// Shape says which profiles a call's data contain. The zero value is UnrecognisedShape.
type Shape uint8

const (
	// UnrecognisedShape is a call whose data have no profile or one of a wrong type, or a call for another event than a
	// registration. It is denied.
	UnrecognisedShape Shape = iota
	// SignUp is data with a userProfile only.
	SignUp
	// ProfileUpdate is data with a userProfileUpdate only.
	ProfileUpdate
	// Both is data with a userProfile and a userProfileUpdate. The call is decided once as a sign-up and once as an
	// update, each time with the addresses of both profiles. It is allowed only if both decisions allow.
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
	// Absent: the profile in the call has no member of that name.
	Absent ValueKind = iota
	// Null is JSON null.
	Null
	// Text is a JSON string.
	Text
	// Other is a JSON number, boolean, array or object. Such a value is never an address.
	Other
)
