package oktasim

import "fmt"

// Kind is the kind of a fault: a stable name from a closed set.
type Kind string

// The kinds of faults.
const (
	// KindTimeout: no complete answer in time.
	KindTimeout Kind = "Timeout"
	// KindConnection: no connection, or the connection broke.
	KindConnection Kind = "Connection"
	// KindRedirect: a status 3xx.
	KindRedirect Kind = "Redirect"
	// KindStatus: a status that is neither 2xx nor 3xx. Okta takes it for a failure.
	KindStatus Kind = "Status"
	// KindUnusualStatus: a status 2xx that Okta's documentation does not mention.
	KindUnusualStatus Kind = "UnusualStatus"
	// KindTooLarge: a body of [MaxAnswer] or more.
	KindTooLarge Kind = "TooLarge"
	// KindContentType: a Content-Type other than application/json.
	KindContentType Kind = "ContentType"
	// KindEmptyBody: a 200 without a body.
	KindEmptyBody Kind = "EmptyBody"
	// KindNotJSON: a body that is not a JSON object.
	KindNotJSON Kind = "NotJSON"
	// KindDuplicateMember: an object has two members of the same name.
	KindDuplicateMember Kind = "DuplicateMember"
	// KindMisspeltMember: a member whose name has the wrong case, such as Error.
	KindMisspeltMember Kind = "MisspeltMember"
	// KindUnknownMember: a member that Okta does not read.
	KindUnknownMember Kind = "UnknownMember"
	// KindDebugContext: debugContext is not an object.
	KindDebugContext Kind = "DebugContext"
	// KindUnreadableCommands: commands is not a list of objects.
	KindUnreadableCommands Kind = "UnreadableCommands"
	// KindNoCommand: no command that Okta knows: Okta allows by default.
	KindNoCommand Kind = "NoCommand"
	// KindCommandName: a command whose name Okta does not know.
	KindCommandName Kind = "CommandName"
	// KindRegistrationValue: a command com.okta.action.update whose registration is neither ALLOW nor DENY.
	KindRegistrationValue Kind = "RegistrationValue"
	// KindSecondAction: more than one command that allows or denies.
	KindSecondAction Kind = "SecondAction"
	// KindOtherShape: a profile update for another shape of call, which Okta ignores.
	KindOtherShape Kind = "OtherShape"
	// KindProfileUpdate: a profile update that sets no attribute.
	KindProfileUpdate Kind = "ProfileUpdate"
	// KindDroppedUpdate: a profile update beside a denial.
	KindDroppedUpdate Kind = "DroppedUpdate"
	// KindErrorOnAllow: an error beside an ALLOW.
	KindErrorOnAllow Kind = "ErrorOnAllow"
	// KindErrorWithoutDeny: an error without a command that allows or denies.
	KindErrorWithoutDeny Kind = "ErrorWithoutDeny"
	// KindDenyWithoutError: a DENY without an error.
	KindDenyWithoutError Kind = "DenyWithoutError"
	// KindErrorForm: an error without summary or causes, or not an object.
	KindErrorForm Kind = "ErrorForm"
	// KindCauseForm: a cause with a missing member, with the reason UNIQUE_CONSTRAINT, or with a locationType or domain
	// other than "body" and "end-user".
	KindCauseForm Kind = "CauseForm"
	// KindCauseElsewhere: a cause whose location is not an attribute of data.userProfile.
	KindCauseElsewhere Kind = "CauseElsewhere"
)

// Fault is a fault of an answer, or of a call that got no answer.
type Fault struct {
	// Kind is the kind of fault.
	Kind Kind
	// Text says what is wrong, and where.
	Text string
	// Earlier is true if the fault belongs to an attempt before the last.
	Earlier bool
}

// String returns the text.
func (t Fault) String() string { return t.Text }

func (r *Result) addFault(kind Kind, format string, args ...any) {
	r.Faults = append(r.Faults, Fault{Kind: kind, Text: fmt.Sprintf(format, args...)})
}
