package oktasim

import "fmt"

// Kind is what sort of trouble an answer makes: a stable name from a closed set.
type Kind string

// The kinds of trouble.
const (
	// KindTimeout: no whole answer in time.
	KindTimeout Kind = "Timeout"
	// KindConnection: no connection, or one that broke.
	KindConnection Kind = "Connection"
	// KindRedirect: a 3xx.
	KindRedirect Kind = "Redirect"
	// KindStatus: a status that is a failure.
	KindStatus Kind = "Status"
	// KindUnusualStatus: a 2xx that Okta's documentation does not mention.
	KindUnusualStatus Kind = "UnusualStatus"
	// KindTooLarge: a body of [MaxAnswer] or more.
	KindTooLarge Kind = "TooLarge"
	// KindContentType: not application/json.
	KindContentType Kind = "ContentType"
	// KindEmptyBody: a 200 without a body.
	KindEmptyBody Kind = "EmptyBody"
	// KindNotJSON: not a JSON object.
	KindNotJSON Kind = "NotJSON"
	// KindDuplicateMember: a member is there twice.
	KindDuplicateMember Kind = "DuplicateMember"
	// KindMisspeltMember: a member of a known name with other capitals, such as Error.
	KindMisspeltMember Kind = "MisspeltMember"
	// KindUnknownMember: a member that Okta does not read.
	KindUnknownMember Kind = "UnknownMember"
	// KindDebugContext: debugContext is not an object.
	KindDebugContext Kind = "DebugContext"
	// KindUnreadableCommands: commands is not a list of objects.
	KindUnreadableCommands Kind = "UnreadableCommands"
	// KindNoCommand: no command that Okta knows, and so an allow by default.
	KindNoCommand Kind = "NoCommand"
	// KindCommandName: a command whose name Okta does not know.
	KindCommandName Kind = "CommandName"
	// KindRegistrationValue: neither ALLOW nor DENY.
	KindRegistrationValue Kind = "RegistrationValue"
	// KindSecondAction: more than one command that allows or denies.
	KindSecondAction Kind = "SecondAction"
	// KindOtherShape: a profile update that does nothing in a call of this shape.
	KindOtherShape Kind = "OtherShape"
	// KindProfileUpdate: a profile update that sets no attribute.
	KindProfileUpdate Kind = "ProfileUpdate"
	// KindDroppedUpdate: a profile update beside a denial.
	KindDroppedUpdate Kind = "DroppedUpdate"
	// KindErrorOnAllow: an error beside an ALLOW.
	KindErrorOnAllow Kind = "ErrorOnAllow"
	// KindErrorWithoutDeny: an error, and no command that allows or denies.
	KindErrorWithoutDeny Kind = "ErrorWithoutDeny"
	// KindDenyWithoutError: a DENY without a text for the person.
	KindDenyWithoutError Kind = "DenyWithoutError"
	// KindErrorForm: an error that lacks its summary or causes, or is not an object.
	KindErrorForm Kind = "ErrorForm"
	// KindCauseForm: a cause that lacks a member, or holds a value that Okta treats otherwise.
	KindCauseForm Kind = "CauseForm"
	// KindCauseElsewhere: a cause that is not located at an attribute of data.userProfile.
	KindCauseElsewhere Kind = "CauseElsewhere"
)

// Trouble is one thing that is wrong with an answer.
type Trouble struct {
	// Kind is its sort.
	Kind Kind
	// Text says what is wrong, and where.
	Text string
	// Earlier says that it was an attempt's that was not the last.
	Earlier bool
}

// String returns the text.
func (t Trouble) String() string { return t.Text }

func (r *Result) trouble(kind Kind, format string, args ...any) {
	r.Trouble = append(r.Trouble, Trouble{Kind: kind, Text: fmt.Sprintf(format, args...)})
}
