package okta

// Malformed says why a body is not a JSON text by our reading. It never holds any of the body. The set is closed: log
// lines use its text as a class.
type Malformed string

// Error returns the class.
func (m Malformed) Error() string { return string(m) }

const (
	// TooLarge: over MaxBody bytes.
	TooLarge Malformed = "TooLarge"
	// NotJSON: no JSON text (RFC 8259), a byte order mark before it, invalid UTF-8 or a lone surrogate in it (RFC
	// 7493 2.1).
	NotJSON Malformed = "NotJSON"
	// DuplicateMember: an object has two members of one name (RFC 7493 2.3): two programs may read different ones.
	DuplicateMember Malformed = "DuplicateMember"
	// TrailingData: something other than white space after the JSON text.
	TrailingData Malformed = "TrailingData"
	// TooDeep: arrays and objects nested over 32 levels.
	TooDeep Malformed = "TooDeep"
	// TooManyMembers: over 256 members in one object outside of the profile.
	TooManyMembers Malformed = "TooManyMembers"
)
