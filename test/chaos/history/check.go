package history

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// Limits are the limits that the product promises.
type Limits struct {
	// Answer is the time that Okta gives a registration, including its retry.
	Answer time.Duration
	// Staleness is the maximum age of the rules of an answer: the time from when newer ones were stored to the sending
	// of the call.
	Staleness time.Duration
	// Unfenced is the same for replicas without --fence-after.
	Unfenced time.Duration
	// Again is how long a replica may take to find out that it can read a namespace again.
	Again time.Duration
}

func (c *checker) staleness(call *Call) time.Duration {
	if c.h.Unfenced[call.Pod] {
		return c.limits.Unfenced
	}
	return c.limits.Staleness
}

// Name is the name of a check: the violation that it looks for.
type Name string

// The checks.
const (
	// Lost: a registration without a usable answer, after Okta's retry.
	Lost Name = "Lost"
	// Late: an answer after Okta's timeout.
	Late Name = "Late"
	// Unusual: an answer that Okta accepts although it has a fault.
	Unusual Name = "Unusual"
	// UnknownDigest: an answer by rules that did not follow from any state stored by then.
	UnknownDigest Name = "UnknownDigest"
	// OtherDigest: header and debugContext have different digests.
	OtherDigest Name = "OtherDigest"
	// Stale: an answer by rules that were superseded longer ago than Limits.Staleness, or Limits.Unfenced.
	Stale Name = "Stale"
	// WrongAllow: an allow that no version within the same limit gives.
	WrongAllow Name = "WrongAllow"
	// WrongAnswer: an answer that differs from the decision of its version.
	WrongAnswer Name = "WrongAnswer"
	// WentBack: an answer by older rules than an earlier answer of the same replica, before or after a restart.
	WentBack Name = "WentBack"
	// UnfoundedDenial: all calls in a namespace's scope are denied although it is within its budget and was read
	// before. A replica that has read a namespace must keep deciding by what it read while the namespace is unreadable.
	UnfoundedDenial Name = "Unfounded"
	// PrematureReady: an answer by an older generation than one observed as Ready=True.
	PrematureReady Name = "PrematureReady"
)

// Names returns all names, in the order of the report.
func Names() []Name {
	return []Name{
		Lost, Late, Unusual, UnknownDigest, OtherDigest, Stale, WrongAllow, WrongAnswer, WentBack, UnfoundedDenial, PrematureReady,
	}
}

// Violation is a failed check of a call.
type Violation struct {
	Name Name
	// Call is the index in History.Calls.
	Call int
	// Text describes the violation.
	Text string
}

// Report is the result of Check.
type Report struct {
	// Checked counts how often each check was made.
	Checked map[Name]int
	// Violations are sorted by the time of the call.
	Violations []Violation
	// Excused counts answers by an older generation than one observed as Ready that are no violations, because their
	// replica was not serving according to the EndpointSlices, or because the namespace was unreadable.
	Excused int
	// Stalled counts registrations that were late or lost because the test process stalled.
	Stalled int
	// LastKnown, NeverRead and OverBudget count answers to calls in the scope of a namespace. LastKnown: it was
	// unreadable, and the policies last read decided. NeverRead: it was unreadable, and the replica, which had never
	// read it, denied. OverBudget: its policies were refused for its budget, and the replica denied.
	LastKnown, NeverRead, OverBudget int
	// Stalest is the greatest age of the rules of an answer. StalestUnfenced is the same for replicas without
	// --fence-after.
	Stalest, StalestUnfenced time.Duration
}

// Check checks a history against the limits.
func Check(h *History, limits Limits) Report {
	c := &checker{h: h, limits: limits, report: Report{Checked: map[Name]int{}}}
	for _, version := range h.Versions {
		for _, same := range append([]*Version{version}, version.Again...) {
			c.byBegin = append(c.byBegin, begun{c.begin(same), same})
		}
	}
	slices.SortFunc(c.byBegin, func(a, b begun) int { return cmp.Compare(a.at, b.at) })
	for i := range h.Calls {
		c.checkCall(i)
	}
	c.checkOrder()
	c.checkDenied()
	c.checkReady()
	slices.SortStableFunc(c.report.Violations, func(a, b Violation) int {
		return cmp.Compare(h.Calls[a.Call].Begin, h.Calls[b.Call].Begin)
	})
	return c.report
}

type checker struct {
	h       *History
	limits  Limits
	byBegin []begun
	report  Report
}

// begun is a version with the moment that checker.begin returns for it.
type begun struct {
	at      Moment
	version *Version
}

// record counts a check of a call, and adds a violation if it failed.
func (c *checker) record(name Name, call int, broken bool, format string, arguments ...any) {
	c.report.Checked[name]++
	if broken {
		c.report.Violations = append(c.report.Violations, Violation{name, call, fmt.Sprintf(format, arguments...)})
	}
}

// checkCall makes the checks of a call that do not depend on other calls.
func (c *checker) checkCall(i int) {
	call := &c.h.Calls[i]
	took, stood := call.End-call.Begin, c.stalledFor(call)
	if !call.Answered && stood > 0 || took > c.limits.Answer && took-stood <= c.limits.Answer {
		c.report.Stalled++
	}
	c.record(Lost, i, !call.Answered && stood == 0, "no answer after %d attempts: %s", call.Attempts, call.Faults)
	if !call.Answered {
		return
	}
	c.record(Late, i, took-stood > c.limits.Answer, "answered after %s, in %d attempts: %s", took, call.Attempts, call.Faults)
	c.record(Unusual, i, call.Unusual, "%s", call.Faults)
	c.record(OtherDigest, i, call.Digest != call.HeaderDigest, "debugContext has %q, the header %q", call.Digest, call.HeaderDigest)

	version := c.newestOf(call)
	known := version != nil && c.begin(version) <= call.End
	c.record(UnknownDigest, i, !known, "no state stored before the answer has the digest %q (stored later: %t)", call.Digest, version != nil)
	if call.Allow {
		c.record(WrongAllow, i, !c.allowedBySome(call, version), "no version in force since %s before the call allows it",
			c.staleness(call))
	}
	if !known {
		return
	}
	age := c.age(version, call)
	if c.h.Unfenced[call.Pod] {
		c.report.StalestUnfenced = max(c.report.StalestUnfenced, age)
	} else {
		c.report.Stalest = max(c.report.Stalest, age)
	}
	c.record(Stale, i, age > c.staleness(call), "answered by rules superseded %s before", age)
	want := version.Decide(call.Kind)
	c.record(WrongAnswer, i, call.Answer != want, "answered %s, its version says %s", call.Answer, want)
}

// newestOf returns the newest version with the digest of a call that was stored before the call ended; the oldest version
// if none was, and nil if no version has the digest.
func (c *checker) newestOf(call *Call) *Version {
	version := c.h.Versions[call.Digest]
	if version == nil {
		return nil
	}
	for _, again := range slices.Backward(version.Again) {
		if c.begin(again) <= call.End {
			return again
		}
	}
	return version
}

// stalledFor returns for how long of a call's time the test process was stalled.
func (c *checker) stalledFor(call *Call) time.Duration {
	var stood time.Duration
	for _, still := range c.h.Stalls {
		stood += max(0, min(still.Until, call.End)-max(still.From, call.Begin))
	}
	return stood
}

// String returns ALLOW or DENY with the reason.
func (a Answer) String() string {
	if a.Allow {
		return "ALLOW " + a.Reason
	}
	return "DENY " + a.Reason
}

// allowedBySome reports whether any version that the replica may have had, within its limit of staleness, allows the
// call. If likely is not nil, it tries that version first.
func (c *checker) allowedBySome(call *Call, likely *Version) bool {
	allows := func(v *Version) bool {
		return c.begin(v) <= call.End && c.age(v, call) <= c.staleness(call) && v.Decide(call.Kind).Allow
	}
	if likely != nil && allows(likely) {
		return true
	}
	count := sort.Search(len(c.byBegin), func(i int) bool { return c.byBegin[i].at > call.End })
	return slices.ContainsFunc(c.byBegin[:count], func(b begun) bool { return allows(b.version) })
}

// sorted returns the indexes of the answered calls, sorted by a moment.
func (c *checker) sorted(by func(call *Call) Moment) []int {
	var order []int
	for i := range c.h.Calls {
		if c.h.Calls[i].Answered {
			order = append(order, i)
		}
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(by(&c.h.Calls[a]), by(&c.h.Calls[b])) })
	return order
}

// checkOrder checks that a replica never answers by older rules than before, also after a restart, from the API server
// or from its stored snapshot. It ignores a namespace in answers that deny all calls in its scope. If several versions
// have the digest of an answer, an earlier answer counts as the oldest of them, and a later one as the newest.
func (c *checker) checkOrder() {
	type place struct{ pod, namespace string }
	floor := map[place]Part{}
	ended := c.sorted(func(call *Call) Moment { return call.End })
	for _, i := range c.sorted(func(call *Call) Moment { return call.LastBegin }) {
		call := &c.h.Calls[i]
		for ; len(ended) > 0 && c.h.Calls[ended[0]].End < call.LastBegin; ended = ended[1:] {
			before := &c.h.Calls[ended[0]]
			if version := c.h.Versions[before.Digest]; version != nil {
				for namespace, part := range version.Parts {
					if of := floor[place{before.Pod, namespace}]; !part.Denied {
						floor[place{before.Pod, namespace}] = newest(of, part)
					}
				}
			}
		}
		version := c.newestOf(call)
		if version == nil {
			continue
		}
		for namespace, part := range version.Parts {
			if at := floor[place{call.Pod, namespace}]; !part.Denied {
				c.record(WentBack, i, wentBack(at, part), "states %d/%d of %s, after an answer by %d/%d",
					part.Policies, part.Lists, namespace, at.Policies, at.Lists)
			}
		}
	}
}

// wentBack reports whether the policies or any list of a part are older than in the part of an earlier answer.
func wentBack(earlier, part Part) bool {
	older := part.Policies < earlier.Policies
	for i, state := range part.Lists {
		older = older || state != Unused && state < earlier.Lists[i]
	}
	return older
}

// newest combines the newer of two states of the policies with the newer state of each list.
func newest(a, b Part) Part {
	of := Part{Policies: max(a.Policies, b.Policies)}
	for i := range of.Lists {
		of.Lists[i] = max(a.Lists[i], b.Lists[i])
	}
	return of
}
