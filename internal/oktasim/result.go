package oktasim

import (
	"net/http"
	"time"
)

// Outcome is the outcome of a registration or profile update. The zero value is Failed.
type Outcome uint8

const (
	// Failed: the hook gave no usable answer. Okta denies with a generic text.
	Failed Outcome = iota
	// Denied: the hook denied, by DENY or by an error. Okta shows the hook's texts.
	Denied
	// Registered: Okta creates or changes the user.
	Registered
)

// String returns the outcome's name.
func (o Outcome) String() string {
	switch o {
	case Registered:
		return "Registered"
	case Denied:
		return "Denied"
	default:
		return "Failed"
	}
}

// Result is the result of a call in Okta.
type Result struct {
	// Outcome is the outcome of the registration.
	Outcome Outcome
	// ByDefault is true if Okta registers the person although the answer neither allows nor denies.
	ByDefault bool
	// Classic and IdentityEngine are what the person reads on each engine; empty if registered. Classic is empty for a
	// progressive profile, which only Identity Engine has.
	Classic, IdentityEngine Page
	// ProfileUpdates are the attributes that Okta sets if its schema has them, in the order of the answer.
	ProfileUpdates []ProfileUpdate
	// DebugContext is the JSON text for the System Log; "" if the answer has none.
	DebugContext string

	// Status is the HTTP status of the last answer; 0 if there was none.
	Status int
	// Attempts is how often the hook was called.
	Attempts int
	// Latency is the time from the start of the first attempt to the end of the last.
	Latency time.Duration
	// LastLatency is the duration of the last attempt.
	LastLatency time.Duration
	// Err is the error of the last attempt; nil if it got a complete answer. It has neither the URL nor the credential.
	Err error
	// Header is the header of the last answer, with the credential redacted; nil without a complete answer.
	Header http.Header
	// RedirectHost is the host in a redirect's Location, without the path, which may have a secret; "" without one.
	RedirectHost string
	// Faults are the faults of all attempts: failures, parts of answers that Okta ignores, and parts that Okta accepts
	// although its documentation says otherwise.
	Faults []Fault
}

// ProfileUpdate is one attribute that Okta sets.
type ProfileUpdate struct {
	// Attribute is the attribute's name.
	Attribute string
	// Value is JSON text.
	Value string
}
