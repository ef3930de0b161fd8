package pastcalls

import (
	"registrationpolicy.dev/operator/hookserver/okta"
)

// Call is a past call.
type Call struct {
	// Request is the call, if its addresses are known. Otherwise it is nil, and Record has what else is known.
	Request *okta.Request
	// Record is what was recorded of the decision.
	Record Record
}

// Record is what the operator records of a decision, in its log and in Okta's System Log. A field is "" if the record
// does not have it. The values are those of docs/reference/log-fields.md.
type Record struct {
	// RequestType is SelfServiceRegistration or another value of the log, not Okta's self.service.registration.
	RequestType string
	// Source is the enrolment policy or rule that called. A text that begins with ! stands for one that must not be logged.
	Source string
	// Outcome is ALLOW or DENY, and Reason says why.
	Outcome string
	Reason  string
	// Policy is the policy that decided, as namespace/name.
	Policy string
	// Attribute is the first address attribute that failed.
	Attribute string
	// Domain is that of the address at Attribute, or of the first address.
	Domain string
	// Digest identifies the rules that decided.
	Digest string
}

// Options say how to read tables and lists, and which attributes of a call have addresses.
type Options struct {
	// Attributes are the names of the address attributes; the first is required in a sign-up.
	Attributes []string
	// Source and RequestType are those of calls for which the input has none: it has one address a line, or a table has
	// no value there. RequestType is [okta.SelfServiceRegistration] or [okta.ProgressiveProfile].
	Source      string
	RequestType string
}

// Counts are what was read.
type Counts struct {
	// Calls is the number of calls.
	Calls int
	// Other is the number of lines with other messages, and of events that are no decision.
	Other int
	// Unreadable is the number of lines and JSON values that are damaged. FirstUnreadable says which is the first: "line 17",
	// or "value 17" in JSON that is not in lines.
	Unreadable      int
	FirstUnreadable string
	// LeftOut is the number of lines that the log itself says are missing, because its reader was too slow.
	LeftOut int
}
