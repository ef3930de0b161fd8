package history

import "sort"

// checkReady checks that no call that was sent after Ready was seen to be True for a generation is answered by an older one.
//
// Status lags behind by its nature: a sight is held against a call only if the next one, asked after the answer, does not say
// that Ready has been taken back for the same generation. A replica of which the EndpointSlices said all the while that it does
// not serve could not be asked: whoever sent the call there had not heard of that yet.
func (c *checker) checkReady() {
	type name struct{ namespace, policy string }
	byPolicy := map[name][]Sight{}
	for _, sight := range c.h.Sights {
		of := name{sight.Namespace, sight.Policy}
		byPolicy[of] = append(byPolicy[of], sight)
	}
	terms := map[string][]Term{}
	for _, term := range c.h.Terms {
		terms[term.Pod] = append(terms[term.Pod], term)
	}
	for i := range c.h.Calls {
		call := &c.h.Calls[i]
		version := c.h.Versions[call.Digest]
		if !call.Answered || version == nil {
			continue
		}
		for of, sights := range byPolicy {
			part := version.Parts[of.namespace]
			sight, claimed := claim(sights, call)
			if !claimed || part.Denied {
				continue // nobody can take Ready back in a namespace without rights
			}
			first, stored := c.h.Namespaces[of.namespace].Stored[sight.Generation]
			older := !stored || part.Policies < first
			if older && !serves(terms[call.Pod], call) {
				c.report.Excused++
				continue
			}
			c.hold(PrematureReady, i, older, "Ready was True for %s/%s generation %d from %s on, answered by state %d, which is before %d",
				sight.Namespace, sight.Policy, sight.Number, sight.Seen, part.Policies, first)
		}
	}
}

// claim returns the sight that says that a generation is in force when the call is sent.
func claim(sights []Sight, call *Call) (Sight, bool) {
	later := sort.Search(len(sights), func(i int) bool { return sights[i].Seen > call.LastBegin })
	if later == 0 || !sights[later-1].Ready {
		return Sight{}, false
	}
	sight := sights[later-1]
	next := sort.Search(len(sights), func(i int) bool { return sights[i].Asked >= call.End })
	if next < len(sights) && sights[next].Generation == sight.Generation && !sights[next].Ready {
		return Sight{}, false
	}
	return sight, true
}

// serves tells whether a pod may have been serving at any time of the call.
func serves(terms []Term, call *Call) bool {
	for _, term := range terms {
		if term.From <= call.End && term.Until >= call.LastBegin {
			return true
		}
	}
	return false
}
