package oktasim

// Shape is the kind of a call: its purpose (sign-up or progressive profile) and the engine of Okta that sends it
// (Classic or Identity Engine). The body of the call and Okta's texts depend on it. The zero value is SignUp.
type Shape uint8

const (
	// SignUp is a self-service registration on Identity Engine.
	SignUp Shape = iota
	// ClassicSignUp is a self-service registration on Classic.
	ClassicSignUp
	// ProgressiveProfile is a profile update of an existing user. Only Identity Engine has it.
	ProgressiveProfile
)

// String returns the shape in words, for example "Identity Engine sign-up".
func (s Shape) String() string {
	switch s {
	case ClassicSignUp:
		return "Classic sign-up"
	case ProgressiveProfile:
		return "Identity Engine progressive profile"
	default:
		return "Identity Engine sign-up"
	}
}

// profileCommand returns the command that sets attributes in calls of this shape. Okta ignores the command for other
// shapes.
func (s Shape) profileCommand() string {
	if s == ProgressiveProfile {
		return commandProgressiveUpdate
	}
	return commandProfileUpdate
}
