package okta

// EventType is the eventType of every call of the registration inline hook, Classic and Identity Engine alike.
const EventType = "com.okta.user.pre-registration"

// Values of requestType, which Identity Engine sends and Classic does not.
const (
	// SelfServiceRegistration goes with data.userProfile.
	SelfServiceRegistration = "self.service.registration"
	// ProgressiveProfile goes with data.userProfileUpdate.
	ProgressiveProfile = "progressive.profile"
)

// Request is the part of one call that the server needs. What else the call says about the person is not kept.
//
// A member that is absent, null, or of another JSON type than a string is "" here: Okta leaves ids out in some calls,
// and no decision may depend on what kind of nonsense stands in for one.
type Request struct {
	// EventID is the event's id, and EventType its type; see the constant of that name.
	EventID   string
	EventType string
	// Source is the id of the enrolment policy or rule that called.
	Source string
	// RequestID is data.context.request.id, by which the call is found in Okta's System Log.
	RequestID string

	// RequestType is requestType as it was sent; "" if it is absent, null or not a string.
	RequestType string
	// HasRequestType says that there is a requestType other than null, a string or not.
	HasRequestType bool

	// Profile is data.userProfile.
	Profile Profile
	// Update is data.userProfileUpdate.
	Update Profile
}

// Presence says what a call holds where an object should be. The zero value is Absent.
type Presence uint8

const (
	// Absent is no such member, or null.
	Absent Presence = iota
	// Present is an object, if an empty one.
	Present
	// WrongType is any other JSON value.
	WrongType
)

// Profile is data.userProfile or data.userProfileUpdate.
type Profile struct {
	Presence Presence
	// Attributes holds the attributes that were asked for, in the order in which they were asked for, those that are
	// not in the call included. It is nil unless Presence is Present.
	Attributes []Attribute
}

// Attribute is one attribute of a profile.
type Attribute struct {
	// Name is the attribute's name, and Kind what the call holds under it.
	Name string
	Kind Kind
	// Text is the string, for Kind String only.
	Text string
}

// Kind is the kind of JSON value that an attribute has. The zero value is Missing.
type Kind uint8

const (
	// Missing is no such member.
	Missing Kind = iota
	// Null is JSON null.
	Null
	// String is a JSON string.
	String
	// Other is any other JSON value.
	Other
)

// RequestTypeContradicts reports whether the call's requestType is unknown, or is not the one that goes with its
// data. A call without a requestType, as Classic sends it, contradicts nothing; one with both profiles fits no
// requestType.
func (r *Request) RequestTypeContradicts() bool {
	signUp, update := r.Profile.Presence != Absent, r.Update.Presence != Absent
	if signUp && update {
		return true
	}
	if !r.HasRequestType {
		return false
	}
	switch r.RequestType {
	case SelfServiceRegistration:
		return !signUp
	case ProgressiveProfile:
		return !update
	default:
		return true
	}
}
