package oktasim

// Shape is one of the three shapes of body that Okta sends. The zero value is SignUp.
type Shape uint8

const (
	// SignUp is the self-service registration of Identity Engine.
	SignUp Shape = iota
	// ClassicSignUp is the self-service registration of Classic.
	ClassicSignUp
	// ProgressiveProfile is an existing user's change of his profile. Only Identity Engine has it.
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

// profileCommand is the command that sets attributes in calls of this shape. Okta does not know the other one there.
func (s Shape) profileCommand() string {
	if s == ProgressiveProfile {
		return commandProgressiveUpdate
	}
	return commandProfileUpdate
}
