// Package history records a run of the chaos suite, and checks every answer and every status against what the product
// promises. It does no I/O: Check takes a history and returns a report.
package history

import (
	"math"
	"time"
)

// Moment is a time since the beginning of the run, by the monotonic clock.
type Moment = time.Duration

// Never is the moment of an event that has not happened.
const Never Moment = math.MaxInt64

// History is the record of a run.
type History struct {
	// Versions are the rules that follow from the states stored in the API server, by digest.
	Versions map[string]*Version
	// Namespaces are the watched namespaces, by name.
	Namespaces map[string]*Namespace
	// Calls are the registrations, in any order.
	Calls []Call
	// Observations are the observed conditions Ready of all policies, in the order of Asked.
	Observations []Observation
	// ServingPeriods are the periods in which a replica was serving according to the Service's EndpointSlices.
	ServingPeriods []ServingPeriod
	// Unfenced are the addresses of pods without --fence-after, which keep answering by their last rules while they are
	// cut off.
	Unfenced map[string]bool
	// Stalls are the periods in which the test process itself did not run, so late answers in them are excused.
	Stalls []Stall
}

// Namespace is the record of a namespace: what was stored in it, and when it could be read.
type Namespace struct {
	// Policies has the period of each state of the policies, and Lists the period of each state of each list, oldest
	// first. Policies and lists are separate because a replica watches policies apart from lists and reads lists one by
	// one: it may know a newer policy with an older list, or a newer list with an older one.
	Policies []Span
	Lists    [ListCount][]Span
	// Stored maps each generation to the first state of the policies that contains it.
	Stored map[Generation]int
	// Refused are the periods in which its policies took more than its memory budget.
	Refused []Span
	// Unreadable are the periods in which replicas had no rights to read it.
	Unreadable []Span
	// InScope reports whether its policies decide a call. kind is Call.Kind.
	InScope func(kind int) bool
}

// ListCount is the number of lists in a namespace.
const ListCount = 2

// Unused is the index in Part.Lists of a list that no policy names.
const Unused = -1

// Span is the longest period in which a state may have been stored: from Begin, when the write of the state was sent,
// to End, when the write of the next state was known to be stored, or Never.
type Span struct{ Begin, End Moment }

// Version is a version of the rules by which a replica may decide. It has a part for each namespace.
type Version struct {
	// Parts are the parts, by namespace.
	Parts map[string]Part
	// Decide returns the answer to a call. kind is Call.Kind.
	Decide func(kind int) Answer
	// Again are later versions with the same rules, and so with the same digest, oldest first: a namespace can be emptied
	// twice while no other changes.
	Again []*Version
}

// Part is the part of a version that was compiled from one namespace.
type Part struct {
	// Policies and Lists are the compiled states, as indexes in the fields of these names in Namespace. A list that no
	// policy names has the index Unused.
	Policies int
	Lists    [ListCount]int
	// Denied says that all calls in the namespace's scope are denied instead, because the replica has never read the
	// namespace, or its policies are beyond its budget.
	Denied bool
}

// Answer is the answer to Okta.
type Answer struct {
	// Allow is false for a denial.
	Allow bool
	// Reason is the reason in debugContext.
	Reason string
}

// Generation is a generation of a policy's spec.
type Generation struct {
	// Namespace, Policy and UID identify the policy.
	Namespace, Policy, UID string
	// Number is metadata.generation.
	Number int64
}

// Call is a registration, with all of Okta's attempts.
type Call struct {
	// ID is Okta's id of the call, which is in the replica's log.
	ID string
	// Kind is the index of the call in the run's list of different registrations.
	Kind int
	// Begin and LastBegin are when the first and the last attempt were sent. End is when the last answer was complete.
	Begin, LastBegin, End Moment
	// Attempts is the number of attempts.
	Attempts int
	// Answered says that Okta got an answer that it can use.
	Answered bool
	// Answer is the answer. Digest is the digest in its debugContext, and HeaderDigest the one in its header.
	Answer
	Digest, HeaderDigest string
	// Pod is the address of the pod that answered. Start counts the starts of its container until then, and Started is
	// the time of the last one.
	Pod     string
	Start   int
	Started Moment
	// Faults lists the faults that Okta would find in the attempts.
	Faults string
	// Unusual says that the last answer has a fault.
	Unusual bool
}

// Observation is an observation of a policy's condition Ready.
type Observation struct {
	// Generation is the policy's generation at that time.
	Generation
	// Ready says that the condition was True for this generation.
	Ready bool
	// Reason is the condition's reason.
	Reason string
	// Asked is when the read was sent, and Seen when its response arrived.
	Asked, Seen Moment
}

// ServingPeriod is the longest period in which the EndpointSlices may have listed a pod as serving.
type ServingPeriod struct {
	// Pod is the address of the pod.
	Pod string
	// From is when the write that lists it was sent. Until is when the write that ends it was stored, or Never.
	From, Until Moment
}

// Stall is a period, From and Until, in which a busy machine gave the test process no CPU time.
type Stall struct{ From, Until Moment }
