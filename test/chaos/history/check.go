package history

import (
	"cmp"
	"fmt"
	"slices"
	"sort"
	"time"
)

// Limits are what is promised in numbers.
type Limits struct {
	// Answer is the time that Okta gives a registration, its own retry included.
	Answer time.Duration
	// Staleness is how old the rules of an answer may be: the time from when they were superseded to when the call was sent.
	Staleness time.Duration
	// Unfenced is the same for replicas that are not told to fence themselves.
	Unfenced time.Duration
	// Again is how long a replica may take to find out that it may read a namespace again.
	Again time.Duration
}

func (c *checker) staleness(call *Call) time.Duration {
	if c.h.Unfenced[call.Pod] {
		return c.limits.Unfenced
	}
	return c.limits.Staleness
}

// Name names a promise by what breaks it.
type Name string

// The ways in which a promise can be broken.
const (
	// Lost: a registration without an answer that Okta can use, after Okta's own retry.
	Lost Name = "Lost"
	// Late: an answer after Okta has left.
	Late Name = "Late"
	// Unusual: an answer that Okta takes, and that should not have been sent so.
	Unusual Name = "Unusual"
	// UnknownDigest: an answer by rules that nobody had stored by then.
	UnknownDigest Name = "UnknownDigest"
	// OtherDigest: header and debugContext name different rules.
	OtherDigest Name = "OtherDigest"
	// Stale: an answer by rules that were superseded for longer than the bound.
	Stale Name = "Stale"
	// WrongAllow: an allow that no version gave that was in force within the bound.
	WrongAllow Name = "WrongAllow"
	// WrongAnswer: an answer that its own version does not give.
	WrongAnswer Name = "WrongAnswer"
	// WentBack: an answer by older rules than the same replica had already answered by, before it was last started or since.
	WentBack Name = "WentBack"
	// Unfounded: a denial of all calls of a namespace's scope that is due neither to its budget nor to its being unreadable. Who has
	// read a namespace decides by what it has read for as long as it cannot be read.
	Unfounded Name = "Unfounded"
	// PrematureReady: an answer by an older generation than the one for which Ready was seen to be True.
	PrematureReady Name = "PrematureReady"
)

// Names returns all of them, in the order of the report.
func Names() []Name {
	return []Name{
		Lost, Late, Unusual, UnknownDigest, OtherDigest, Stale, WrongAllow, WrongAnswer, WentBack, Unfounded, PrematureReady,
	}
}

// Violation is a promise broken by one call.
type Violation struct {
	Name Name
	// Call is the index in History.Calls.
	Call int
	// Text says what is wrong, for people.
	Text string
}

// Report is what a check found.
type Report struct {
	// Held counts, for each promise, what it was held against.
	Held map[Name]int
	// Violations are sorted by the time of the call.
	Violations []Violation
	// Excused counts answers older than a generation seen to be ready, by replicas that the EndpointSlices said do not serve.
	Excused int
	// Stood counts registrations without an answer in time that had a standstill of the machine in them.
	Stood int
	// LastKnown counts answers to calls of an unreadable namespace's scope by what was last read of it, NeverRead those by replicas that
	// had never read it, and OverBudget those by replicas that refuse its policies for their size.
	LastKnown, NeverRead, OverBudget int
	// Stalest is the greatest age of rules that an answer was given by, and StalestUnfenced that of unfenced replicas.
	Stalest, StalestUnfenced time.Duration
}

// Check holds a history against the limits.
func Check(h *History, limits Limits) Report {
	c := &checker{h: h, limits: limits, report: Report{Held: map[Name]int{}}}
	for _, version := range h.Versions {
		c.byBegin = append(c.byBegin, begun{c.begin(version), version})
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

// begun is a version, and when the newest of its parts began.
type begun struct {
	at      Moment
	version *Version
}

// hold notes that a promise was held against a call, and a violation if it is broken.
func (c *checker) hold(name Name, call int, broken bool, format string, arguments ...any) {
	c.report.Held[name]++
	if broken {
		c.report.Violations = append(c.report.Violations, Violation{name, call, fmt.Sprintf(format, arguments...)})
	}
}

// checkCall checks what can be told of one call alone.
func (c *checker) checkCall(i int) {
	call := &c.h.Calls[i]
	took, stood := call.End-call.Begin, c.stood(call)
	if !call.Answered && stood > 0 || took > c.limits.Answer && took-stood <= c.limits.Answer {
		c.report.Stood++
	}
	c.hold(Lost, i, !call.Answered && stood == 0, "no answer after %d attempts: %s", call.Attempts, call.Trouble)
	if !call.Answered {
		return
	}
	c.hold(Late, i, took-stood > c.limits.Answer, "answered after %s, in %d attempts: %s", took, call.Attempts, call.Trouble)
	c.hold(Unusual, i, call.Unusual, "%s", call.Trouble)
	c.hold(OtherDigest, i, call.Digest != call.HeaderDigest, "debugContext has %q, the header %q", call.Digest, call.HeaderDigest)

	version, known := c.h.Versions[call.Digest]
	known = known && c.begin(version) <= call.End
	c.hold(UnknownDigest, i, !known, "no state stored by then has the digest %q", call.Digest)
	if call.Allow {
		c.hold(WrongAllow, i, !c.allowedBySome(call, version), "no version in force since %s before the call allows it", c.staleness(call))
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
	c.hold(Stale, i, age > c.staleness(call), "answered by rules superseded %s before", age)
	want := version.Decide(call.Kind)
	c.hold(WrongAnswer, i, call.Answer != want, "answered %s, its version says %s", call.Answer, want)
}

// stood returns how much of a call's time was standstill.
func (c *checker) stood(call *Call) time.Duration {
	var stood time.Duration
	for _, still := range c.h.Standstills {
		stood += max(0, min(still.Until, call.End)-max(still.From, call.Begin))
	}
	return stood
}

// String returns the answer in words.
func (a Answer) String() string {
	if a.Allow {
		return "ALLOW " + a.Reason
	}
	return "DENY " + a.Reason
}

// allowedBySome tells whether a version that was in force in the time of the bound allows the call. The one that is likely is
// asked first.
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

// sorted returns the indexes of the answered calls in the order of less.
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

// checkOrder checks that no replica goes back: what it has answered by once, later calls are answered by too, or by newer; after
// it was started anew as well, from what the API server has or from what it had stored. Of a namespace whose scope is denied, it
// shows nothing.
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
		version := c.h.Versions[call.Digest]
		if version == nil {
			continue
		}
		for namespace, part := range version.Parts {
			if at := floor[place{call.Pod, namespace}]; !part.Denied {
				c.hold(WentBack, i, wentBack(at, part), "states %d/%d of %s, after an answer by %d/%d",
					part.Policies, part.Lists, namespace, at.Policies, at.Lists)
			}
		}
	}
}

// wentBack tells whether a state of a part is older than that of an earlier one.
func wentBack(earlier, part Part) bool {
	older := part.Policies < earlier.Policies
	for i, state := range part.Lists {
		older = older || state != Unused && state < earlier.Lists[i]
	}
	return older
}

// newest returns the newer of the states of two parts of a namespace, each.
func newest(a, b Part) Part {
	of := Part{Policies: max(a.Policies, b.Policies)}
	for i := range of.Lists {
		of.Lists[i] = max(a.Lists[i], b.Lists[i])
	}
	return of
}
