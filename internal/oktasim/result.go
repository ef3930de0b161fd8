package oktasim

import (
	"net/http"
	"time"
)

// Outcome is what becomes of the registration or profile update. The zero value is Failed.
type Outcome uint8

const (
	// Failed: the hook gave no usable answer, and Okta denies with a generic text.
	Failed Outcome = iota
	// Denied: the hook said no, by DENY or by an error, and Okta shows its texts.
	Denied
	// Registered: the user is created or changed.
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

// Result is what Okta made of a call.
type Result struct {
	// Outcome is what becomes of the person.
	Outcome Outcome
	// ByDefault says that he came in because the answer did not say otherwise, not because it allowed him.
	ByDefault bool
	// Classic and IdentityEngine are what the person reads on each engine; empty when he comes in. Classic is empty for
	// a progressive profile, which only Identity Engine has.
	Classic, IdentityEngine Page
	// ProfileUpdates are the attributes that Okta sets, in the order given, as far as its schema has them.
	ProfileUpdates []ProfileUpdate
	// DebugContext is the JSON text that reaches the System Log; "" if the answer has none.
	DebugContext string

	// Status is the HTTP status of the last answer; 0 if there was none.
	Status int
	// Attempts is how often the hook was called.
	Attempts int
	// Latency is the time from the first call to the end of the last answer.
	Latency time.Duration
	// LastLatency is the time of the last attempt alone.
	LastLatency time.Duration
	// Err is the error of a last attempt without a whole answer, nil where there was one. It holds neither URL nor
	// credential.
	Err error
	// Header is the header of the last answer, with the credential taken out; nil where there was no whole answer.
	Header http.Header
	// RedirectHost is the host that a redirect names, without the path, which may hold a secret; "" where it names
	// none.
	RedirectHost string
	// Trouble says what is wrong with the answers, each with its name and place: what Okta could not use, ignored, or
	// takes but should not have been sent. It is empty for an answer as it should be.
	Trouble []Trouble
}

// ProfileUpdate is one attribute that Okta sets.
type ProfileUpdate struct {
	// Attribute is the attribute's name.
	Attribute string
	// Value is JSON text.
	Value string
}
