package history

import (
	"slices"
	"time"
)

// begin returns when the write of the newest state in a version was sent. No replica can have had the version earlier.
func (c *checker) begin(v *Version) Moment {
	var begin Moment
	for name, part := range v.Parts {
		if !part.Denied {
			of, _ := c.h.Namespaces[name].span(part)
			begin = max(begin, of)
		}
	}
	return begin
}

// span returns when the write of the newest state in a part was sent, and when the first of its states was superseded
// by a later one.
func (n *Namespace) span(part Part) (begin, superseded Moment) {
	begin, superseded = n.Policies[part.Policies].Begin, n.Policies[part.Policies].End
	for i, state := range part.Lists {
		if state == Unused {
			continue
		}
		begin, superseded = max(begin, n.Lists[i][state].Begin), min(superseded, n.Lists[i][state].End)
	}
	return begin, superseded
}

// age returns for how long replicas could already have had a later state than a version when a call was sent: the time
// since the first of its states was superseded, as long as its namespace was readable.
func (c *checker) age(v *Version, call *Call) time.Duration {
	var age time.Duration
	for name, part := range v.Parts {
		namespace := c.h.Namespaces[name]
		if part.Denied {
			age = max(age, c.ageOfDenial(namespace, call))
			continue
		}
		_, superseded := namespace.span(part)
		age = max(age, c.readable(namespace, superseded, call.LastBegin))
	}
	return age
}

// ageOfDenial returns for how long there had been no more reason to deny all calls in a namespace's scope when a call
// was sent. A reason is that its policies were beyond its budget, or that it was unreadable. ageOfDenial returns Never
// if there was no reason before the call.
func (c *checker) ageOfDenial(n *Namespace, call *Call) time.Duration {
	age := Never
	for _, refused := range n.Refused {
		if refused.Begin <= call.End {
			age = min(age, c.readable(n, refused.End, call.LastBegin))
		}
	}
	for _, unreadable := range n.Unreadable {
		if unreadable.Begin <= call.End && unreadable.End >= call.Started {
			age = min(age, c.readable(n, unreadable.End, call.LastBegin))
		}
	}
	return age
}

// readable returns the longest uninterrupted period between two moments in which a replica could read a namespace.
// After an unreadable period, the time that a replica may take to find out (Limits.Again) does not count.
func (c *checker) readable(n *Namespace, from, until Moment) time.Duration {
	var longest time.Duration
	for _, unreadable := range n.Unreadable {
		if unreadable.End <= from || unreadable.Begin >= until {
			continue
		}
		longest = max(longest, unreadable.Begin-from)
		if unreadable.End == Never {
			return longest
		}
		from = max(from, unreadable.End+c.limits.Again)
	}
	return max(longest, until-from)
}

// checkDenied checks answers by which all calls in a namespace's scope are denied. Only a replica that has never read
// the namespace, or that refuses it for its budget, may give them. A replica with --fence-after does not answer from
// its stored snapshot, so that it has read every namespace that it decides by policies.
func (c *checker) checkDenied() {
	type process struct {
		pod       string
		start     int
		namespace string
	}
	read := map[process]Moment{}
	ended := c.sorted(func(call *Call) Moment { return call.End })
	for _, i := range ended {
		call := &c.h.Calls[i]
		version := c.newestOf(call)
		if version == nil {
			continue
		}
		for name, part := range version.Parts {
			namespace, of := c.h.Namespaces[name], process{call.Pod, call.Start, name}
			if _, known := read[of]; !part.Denied && !known && c.hasRead(namespace, part, call) {
				read[of] = call.End
			}
			inScope := namespace.InScope(call.Kind)
			unreadable := during(namespace.Unreadable, call)
			if !part.Denied {
				c.record(UnfoundedDenial, i, false, "")
				if inScope && unreadable {
					c.report.LastKnown++
				}
				continue
			}
			if during(namespace.Refused, call) {
				if inScope {
					c.report.OverBudget++
				}
			} else if inScope && unreadable {
				c.report.NeverRead++
			}
			since, known := read[of]
			forgotten := known && since < call.LastBegin && !c.wasRefused(namespace, call)
			c.record(UnfoundedDenial, i, forgotten || c.ageOfDenial(namespace, call) == Never,
				"all calls of %s are denied, although it is within its budget; read by the replica before: %t", name, known)
		}
	}
}

// hasRead reports whether an answer by the namespace's policies shows that the process has read them from the API
// server. A replica without --fence-after may have policies that are older than its start from its stored snapshot.
func (c *checker) hasRead(n *Namespace, part Part, call *Call) bool {
	begin, _ := n.span(part)
	return !c.h.Unfenced[call.Pod] || begin > call.Started
}

// wasRefused reports whether a replica may still refuse the namespace for its budget when it answers a call.
func (c *checker) wasRefused(n *Namespace, call *Call) bool {
	return slices.ContainsFunc(n.Refused, func(refused Span) bool {
		return refused.Begin <= call.End && c.readable(n, refused.End, call.LastBegin) <= c.staleness(call)
	})
}

// during reports whether a call was entirely within one of the periods.
func during(spans []Span, call *Call) bool {
	return slices.ContainsFunc(spans, func(s Span) bool { return s.Begin < call.LastBegin && call.End < s.End })
}
