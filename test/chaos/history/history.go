// Package history holds what happened in a run of the chaos suite, and checks that every answer, and every word of status,
// is one that the product promises. It is pure: what happened goes in, what is wrong comes out.
package history

import (
	"math"
	"time"
)

// Moment is a time on the run's own clock: since its beginning, by the monotonic clock.
type Moment = time.Duration

// Never is the moment of what has not happened.
const Never Moment = math.MaxInt64

// History is what happened.
type History struct {
	// Versions are the rules that were in force by what the API server had stored, by their digest.
	Versions map[string]*Version
	// Stored says which state of the policies was the first to have a generation.
	Stored map[Generation]int
	// Calls are the registrations, in any order.
	Calls []Call
	// Sights are what was seen of the condition Ready of each policy, in the order of Asked.
	Sights []Sight
	// Terms are the times in which a replica could be asked, by what the Service's EndpointSlices said.
	Terms []Term
	// Unfenced are the pods that answer by what they know for as long as they are cut off (no --fence-after).
	Unfenced map[string]bool
	// Standstills are the times in which the run itself did not run: neither Okta's clock nor what was to answer is to blame
	// for them.
	Standstills []Standstill
}

// Version is one state of what is stored, as rules.
//
// Policies and lists are watched apart, so that a replica may know a newer policy with an older list: such a version is one
// too, as old as the older of its parts.
type Version struct {
	// Policies and Lists number the states of policies and of lists that make the version, each from 0.
	Policies, Lists int
	// Begin is when the write was sent that made it: no replica can have had it before.
	Begin Moment
	// Superseded is when the next write was known to be stored; Never while there was none.
	Superseded Moment
	// Decide returns the answer to a call of that kind.
	Decide func(kind int) Answer
}

// Answer is what Okta is told.
type Answer struct {
	// Allow is false for a denial.
	Allow bool
	// Reason is the word in debugContext.
	Reason string
}

// Generation is one version of a policy's spec, as Kubernetes counts them.
type Generation struct {
	// Policy is the policy's name, and UID tells it from others of that name.
	Policy, UID string
	// Number is metadata.generation.
	Number int64
}

// Call is one registration, with all that Okta tried for it.
type Call struct {
	// ID is Okta's id of the call, by which it is found in a replica's log.
	ID string
	// Kind is which of the run's calls it was.
	Kind int
	// Begin is when Okta first called, LastBegin when it did for the last time, End when the last answer was whole.
	Begin, LastBegin, End Moment
	// Attempts is how often it called.
	Attempts int
	// Answered says that there was an answer that Okta can use.
	Answered bool
	// Answer is the answer, and Digest the one in its debugContext, HeaderDigest the one in its header.
	Answer
	Digest, HeaderDigest string
	// Pod is the address of the pod that answered, and Start how often its container had been started.
	Pod   string
	Start int
	// Trouble is what Okta disliked about the attempts, each.
	Trouble string
	// Unusual says that Okta disliked something about the last answer.
	Unusual bool
}

// Sight is what was read of a policy's condition Ready.
type Sight struct {
	// Generation is the policy's, as stored at that time.
	Generation
	// Ready says that the condition was True, and spoke of this generation.
	Ready bool
	// Reason is the condition's reason.
	Reason string
	// Asked is when the read was sent, and Seen when its answer was there.
	Asked, Seen Moment
}

// Term is a time in which the EndpointSlices said that a pod serves.
type Term struct {
	// Pod is the address of the pod.
	Pod string
	// From is when the write was sent that said so, and Until when the one was stored that took it back; Never until then.
	From, Until Moment
}

// Standstill is a time, From and Until, in which a busy machine let nothing of the run have the processor.
type Standstill struct{ From, Until Moment }
