package okta

// EventType is the eventType of every call of the registration inline hook, in Classic and in Identity Engine.
const EventType = "com.okta.user.pre-registration"

// Values of requestType. Identity Engine sends it; Classic does not.
const (
	// SelfServiceRegistration: the call has data.userProfile.
	SelfServiceRegistration = "self.service.registration"
	// ProgressiveProfile: the call has data.userProfileUpdate.
	ProgressiveProfile = "progressive.profile"
)

// Request is the part of a call that the server needs. It keeps no other personal data of the call.
//
// A string is "" if its member is absent, null or of another JSON type. Okta omits ids in some calls; an id of a wrong
// type is treated like an absent one.
type Request struct {
	// EventID is the event's id. EventType is its type, normally the constant EventType.
	EventID   string
	EventType string
	// Source is the id of the enrolment policy or rule that called.
	Source string
	// RequestID is data.context.request.id, the id of the call in Okta's System Log.
	RequestID string

	// RequestType is requestType.
	RequestType string
	// HasRequestType is true if requestType is present and not null, whatever its type.
	HasRequestType bool

	// Profile is data.userProfile.
	Profile Profile
	// Update is data.userProfileUpdate.
	Update Profile
}

// Presence says whether a call has an object. The zero value is Absent.
type Presence uint8

const (
	// Absent: the member is absent or null.
	Absent Presence = iota
	// Present: the member is an object, possibly empty.
	Present
	// WrongType: the member is another JSON value.
	WrongType
)

// Profile is data.userProfile or data.userProfileUpdate.
type Profile struct {
	Presence Presence
	// Attributes has an element for each attribute passed to Decode, in that order, even if the call does not have it.
	// It is nil unless Presence is Present.
	Attributes []Attribute
}

// Attribute is one attribute of a profile.
type Attribute struct {
	// Name is the attribute's name, and Kind the kind of its value.
	Name string
	Kind Kind
	// Text is the value if Kind is String, else "".
	Text string
}

// Kind is the kind of an attribute's JSON value. The zero value is Missing.
type Kind uint8

const (
	// Missing: the member is absent.
	Missing Kind = iota
	// Null: the value is null.
	Null
	// String: the value is a string.
	String
	// Other: the value is of another type.
	Other
)

// RequestTypeContradicts reports whether requestType is unknown or does not match the call's data. It returns false for
// a call without a requestType, as from Classic, and true for a call with both profiles, which no requestType matches.
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
