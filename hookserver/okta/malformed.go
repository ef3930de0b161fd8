package okta

// Malformed is the error of a body that is not accepted as JSON. It is one of the constants below and never quotes the
// body, so that it can be logged.
type Malformed string

// Error returns the name of the constant, which log lines use.
func (m Malformed) Error() string { return string(m) }

const (
	// TooLarge: the body is over MaxBody bytes.
	TooLarge Malformed = "TooLarge"
	// NotJSON: the body is not a JSON text (RFC 8259), begins with a byte order mark, or has invalid UTF-8 or a lone
	// surrogate (RFC 7493 §2.1).
	NotJSON Malformed = "NotJSON"
	// DuplicateMember: an object has two members of the same name (RFC 7493 §2.3). Programs differ in which they read.
	DuplicateMember Malformed = "DuplicateMember"
	// TrailingData: the JSON text is followed by something other than white space.
	TrailingData Malformed = "TrailingData"
	// TooDeep: arrays and objects are nested over 32 levels deep.
	TooDeep Malformed = "TooDeep"
	// TooManyMembers: an object outside of the profile has over 256 members.
	TooManyMembers Malformed = "TooManyMembers"
)
