package analysis

import (
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// context is a kind of call: one request type, and all sources to which the same policies apply on every side.
type context struct {
	request rules.RequestType
	sources []string // if others is true, the last one is made up and stands for every source that no policy names
	others  bool
	// applies[i][j] is true if the policy with index j in sides[i].policies applies to the calls of the context.
	// unrestricted[i][j] is true if this policy names no source: then it applies to calls from every source.
	applies, unrestricted [][]bool
	// sameFor encodes the request type, and how the policies of each side decide a call that no entry matches.
	sameFor string
	// changes: the policies that apply differ between the two sides. changesWithoutMatch: the decisions on a call that
	// no entry matches differ. Both are false unless there are two sides.
	changes, changesWithoutMatch bool
}

// contextsOf returns all contexts of the sides: first those of sign-ups. No context mixes given sources with others, so
// that [Every] can take only the calls from the given sources.
func contextsOf(sides []side, sources []string) []context {
	named := slices.Clone(sources)
	for i := range sides {
		for _, p := range sides[i].policies {
			_, sources := p.AppliesTo()
			named = append(named, sources...)
		}
	}
	slices.Sort(named)
	named = slices.Compact(named)
	other := "any"
	for slices.Contains(named, other) {
		other += "-other"
	}

	var contexts []context
	byKey := map[string]int{}
	for _, request := range []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile} {
		for _, source := range append(slices.Clone(named), other) {
			c := context{request: request, applies: make([][]bool, len(sides)), unrestricted: make([][]bool, len(sides))}
			for i := range sides {
				c.applies[i], c.unrestricted[i] = sides[i].applying(request, source)
				c.sameFor += sides[i].withoutMatch(c.applies[i])
			}
			c.sameFor = fmt.Sprint(request, c.sameFor)
			key := fmt.Sprint(request, c.applies, slices.Contains(sources, source))
			at, known := byKey[key]
			if !known {
				at = len(contexts)
				byKey[key] = at
				if len(sides) == 2 {
					c.compare(sides)
				}
				contexts = append(contexts, c)
			}
			contexts[at].sources = append(contexts[at].sources, source)
			if source == other {
				contexts[at].others = true
			}
		}
	}
	return contexts
}

// compare sets changes and changesWithoutMatch.
func (c *context) compare(sides []side) {
	var applying [2][]*rules.Compiled
	for i := range sides {
		for j, p := range sides[i].policies {
			if c.applies[i][j] {
				applying[i] = append(applying[i], p)
			}
		}
	}
	c.changes = !slices.EqualFunc(applying[0], applying[1], (*rules.Compiled).Same)
	c.changesWithoutMatch = sides[0].withoutMatch(c.applies[0]) != sides[1].withoutMatch(c.applies[1])
}

// applying returns for each policy whether it applies to calls of a request type from a source, and whether it names no
// source.
func (s *side) applying(request rules.RequestType, source string) (applies, unrestricted []bool) {
	applies, unrestricted = make([]bool, len(s.policies)), make([]bool, len(s.policies))
	for i, p := range s.policies {
		requests, sources := p.AppliesTo()
		unrestricted[i] = len(sources) == 0
		applies[i] = slices.Contains(requests, request) && (unrestricted[i] || slices.Contains(sources, source))
	}
	return applies, unrestricted
}

// withoutMatch encodes how a call is decided if no entry matches it. That depends on whether any policy applies, on the
// first policy that is not enforceable, and on the message of the policy with allow entries, if there is only one.
func (s *side) withoutMatch(applies []bool) string {
	applying, allowing, message := 0, 0, ""
	var blocking rules.PolicyName
	for i, p := range s.policies {
		if !applies[i] {
			continue
		}
		applying++
		if p.HasAllow() {
			allowing++
			message = p.Message()
		}
		if !p.Enforceable() && blocking == (rules.PolicyName{}) {
			blocking = p.Name()
		}
	}
	if allowing != 1 {
		message = ""
	}
	return fmt.Sprintf("%t %q %q;", applying > 0, blocking, message)
}

// appendDecisionKey appends a text to key: what decides calls of this context with an address that has the state. These
// are sameFor, and which of the policies that match the address apply. Two contexts with the same text decide the
// address alike, so one decision is enough for both. Policies without sources are left out, as they apply in both.
func (c *context) appendDecisionKey(key []byte, s *space, state stateID) []byte {
	key = append(key, c.sameFor...)
	for _, number := range s.states.sets[state] {
		for _, r := range s.matchers[number].rules {
			if c.unrestricted[r.side][r.policy] {
				continue
			}
			if c.applies[r.side][r.policy] {
				key = append(key, 1)
			} else {
				key = append(key, 0)
			}
		}
	}
	return key
}

// call returns a call of this context, with the addresses of the witnesses.
func (c *context) call(witnesses []Witness) rules.Call {
	names := []string{"email", "login"}
	var attributes []rules.Attribute
	for i, w := range witnesses {
		attributes = append(attributes, rules.Attribute{Name: names[i], Kind: rules.Text, Text: w.Address})
	}
	call := rules.Call{Shape: rules.SignUp, Source: c.sources[0], Profile: attributes}
	if c.request == rules.ProgressiveProfile {
		call = rules.Call{Shape: rules.ProfileUpdate, Source: c.sources[0], Update: attributes}
	}
	return call
}
