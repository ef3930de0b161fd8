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
	// Namespaces are those that are watched, by name.
	Namespaces map[string]*Namespace
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

// Namespace is what was stored in a namespace, and when it could be read.
type Namespace struct {
	// Policies are the times of the states of its policies, Lists those of each of its lists, from the first. Policies are watched apart
	// from lists, and lists are read one by one, so that a replica may know a newer policy with an older list, or a newer list with
	// another older one.
	Policies []Span
	Lists    [ListCount][]Span
	// Stored says which state of the policies was the first to have a generation.
	Stored map[Generation]int
	// Refused are the times in which its policies were more than its budget.
	Refused []Span
	// Unreadable are the times in which the API server did not let replicas read it.
	Unreadable []Span
	// InScope tells whether its policies decide calls of that kind.
	InScope func(kind int) bool
}

// ListCount is how many lists there are in a namespace.
const ListCount = 2

// Unused is the number of a list's state that makes no difference.
const Unused = -1

// Span is a time: from Begin, when the write was sent that began it, to End, when the one was known to be stored that ended it; Never
// while there was none.
type Span struct{ Begin, End Moment }

// Version is what a replica may decide by: a part of each namespace.
type Version struct {
	// Parts are what is in force of each namespace.
	Parts map[string]Part
	// Decide returns the answer to a call of that kind.
	Decide func(kind int) Answer
}

// Part is what is in force of a namespace.
type Part struct {
	// Policies and Lists number the states that it is made of; Unused stands for a list that no policy names.
	Policies int
	Lists    [ListCount]int
	// Denied says that all calls of the namespace's scope are denied instead: a replica has never read it, or its policies are more
	// than its budget.
	Denied bool
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
	// Namespace and Policy are the policy's, and UID tells it from others of that name.
	Namespace, Policy, UID string
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
	// Pod is the address of the pod that answered, Start how often its container had been started, and Started when it last was.
	Pod     string
	Start   int
	Started Moment
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
