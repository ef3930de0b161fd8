package pastcalls

import (
	"registrationpolicy.dev/operator/hookserver/okta"
)

// Call is a past call.
type Call struct {
	// Request is the call with its addresses. It is nil if the input has no addresses: a log of the operator has none.
	Request *okta.Request
	// Record is what the input says about the decision.
	Record Record
}

// Record is what the operator records of a decision, in its log and in Okta's System Log. A field is "" if the input
// does not have it. docs/reference/log-fields.md describes the values.
type Record struct {
	// RequestType is a value as in the operator's log: SelfServiceRegistration, not Okta's self.service.registration.
	RequestType string
	// Source is the id of the enrolment policy or rule that called. A value such as !Personal replaces an id that the
	// operator must not log.
	Source string
	// Outcome is ALLOW or DENY, and Reason says why.
	Outcome string
	Reason  string
	// Policy is the policy that decided, as namespace/name.
	Policy string
	// Attribute is the first address attribute that failed.
	Attribute string
	// Domain is the domain of the address in Attribute. If no attribute failed, it is that of the first address.
	Domain string
	// Digest identifies the rules that decided.
	Digest string
}

// Options are the options of [Read].
type Options struct {
	// Attributes are the names of the attributes of a call that have addresses. The first is required in a sign-up.
	Attributes []string
	// Source and RequestType are used for calls for which the input gives none, such as a line with only an address.
	// RequestType is [okta.SelfServiceRegistration] or [okta.ProgressiveProfile].
	Source      string
	RequestType string
}

// Counts says how many calls, other lines and damaged lines [Read] has read.
type Counts struct {
	// Calls is the number of calls.
	Calls int
	// Other is the number of log lines, events and objects that are neither a call nor a decision, and not damaged.
	Other int
	// Unreadable is the number of damaged lines, or of damaged values in JSON that is not in lines. FirstUnreadable names
	// the first one: "line 17" or "value 17".
	Unreadable      int
	FirstUnreadable string
	// LeftOut is the number of lines that are missing from a log. The operator leaves out lines if the program that reads
	// its log is too slow, and logs how many.
	LeftOut int
}
