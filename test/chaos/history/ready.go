package history

import "sort"

// checkReady checks that a call sent after an observed Ready=True is not answered by an older generation.
//
// The status is written with a delay. So an observation only counts if the next one, read after the answer, does not
// withdraw Ready for the same generation. Two kinds of answers are excused: by a replica that was not serving according
// to the EndpointSlices, because the proxy had not yet seen the change; and after an observation since which the
// namespace was unreadable, because the leader cannot withdraw Ready then.
func (c *checker) checkReady() {
	type name struct{ namespace, policy string }
	byPolicy := map[name][]Observation{}
	for _, observation := range c.h.Observations {
		of := name{observation.Namespace, observation.Policy}
		byPolicy[of] = append(byPolicy[of], observation)
	}
	periods := map[string][]ServingPeriod{}
	for _, period := range c.h.ServingPeriods {
		periods[period.Pod] = append(periods[period.Pod], period)
	}
	for i := range c.h.Calls {
		call := &c.h.Calls[i]
		version := c.newestOf(call)
		if !call.Answered || version == nil {
			continue
		}
		for of, observations := range byPolicy {
			part := version.Parts[of.namespace]
			observation, claimed := claim(observations, call)
			if !claimed || part.Denied {
				continue // without rights in the namespace, the leader cannot withdraw Ready
			}
			first, stored := c.h.Namespaces[of.namespace].Stored[observation.Generation]
			older := !stored || part.Policies < first
			if older && (!serves(periods[call.Pod], call) || c.unreadableSince(c.h.Namespaces[of.namespace], observation.Seen, call)) {
				c.report.Excused++
				continue
			}
			c.record(PrematureReady, i, older, "Ready was True for %s/%s generation %d from %s on, but state %d answered, which is older than %d",
				observation.Namespace, observation.Policy, observation.Number, observation.Seen, part.Policies, first)
		}
	}
}

// claim returns the last observation of a policy before a call is sent, if it is Ready=True and the next one does not
// withdraw that.
func claim(observations []Observation, call *Call) (Observation, bool) {
	later := sort.Search(len(observations), func(i int) bool { return observations[i].Seen > call.LastBegin })
	if later == 0 || !observations[later-1].Ready {
		return Observation{}, false
	}
	observation := observations[later-1]
	next := sort.Search(len(observations), func(i int) bool { return observations[i].Asked >= call.End })
	if next < len(observations) && observations[next].Generation == observation.Generation && !observations[next].Ready {
		return Observation{}, false
	}
	return observation, true
}

// serves reports whether a pod may have been serving at any time during the call.
func serves(periods []ServingPeriod, call *Call) bool {
	for _, period := range periods {
		if period.From <= call.End && period.Until >= call.LastBegin {
			return true
		}
	}
	return false
}

// unreadableSince reports whether a namespace was unreadable at any time between a moment and the answer to a call, and
// whether a replica may not have found out by the call that it can read the namespace again.
func (c *checker) unreadableSince(n *Namespace, since Moment, call *Call) bool {
	for _, unreadable := range n.Unreadable {
		again := unreadable.End
		if again != Never {
			again += c.limits.Again
		}
		if unreadable.Begin <= call.End && unreadable.End >= since && again >= call.LastBegin {
			return true
		}
	}
	return false
}
