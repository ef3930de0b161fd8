package diff

import (
	"encoding/json"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// context is a kind of call: a request type, and sources to which the same policies apply on both sides.
type context struct {
	request rules.RequestType
	sources []string // those that a policy names
	others  bool     // and all that no policy names
	// applies holds for each policy of each side whether it applies, and unrestricted whether it names no source.
	applies, unrestricted [2][]bool
	// sameFor is equal for contexts in which a call is decided alike, except by the policies that match its address.
	sameFor string
}

// contextsOf returns all contexts of two sets of policies: first those of sign-ups.
func contextsOf(sides *[2]side) []context {
	var named []string
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
			c := context{request: request}
			for i := range sides {
				c.applies[i], c.unrestricted[i] = sides[i].applying(request, source)
				c.sameFor += sides[i].withoutMatch(c.applies[i])
			}
			c.sameFor = fmt.Sprint(request, c.sameFor)
			key := fmt.Sprint(request, c.applies)
			at, known := byKey[key]
			if !known {
				at = len(contexts)
				byKey[key] = at
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

// applying returns for each policy whether it applies to a call, and whether it names no source.
func (s *side) applying(request rules.RequestType, source string) (applies, unrestricted []bool) {
	applies, unrestricted = make([]bool, len(s.policies)), make([]bool, len(s.policies))
	for i, p := range s.policies {
		requests, sources := p.AppliesTo()
		unrestricted[i] = len(sources) == 0
		applies[i] = slices.Contains(requests, request) && (unrestricted[i] || slices.Contains(sources, source))
	}
	return applies, unrestricted
}

// withoutMatch returns a text for how a call is decided if no entry matches: whether a policy applies, which one cannot
// be enforced, and the text for an address that is not allowed.
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

// matching returns a text that is equal for contexts in which the addresses of a state are decided alike.
func (c *context) matching(s *space, state stateID) string {
	text := []byte(c.sameFor)
	for _, number := range s.states.sets[state] {
		for _, r := range s.sources[number].rules {
			if !c.unrestricted[r.side][r.policy] {
				text = fmt.Append(text, c.applies[r.side][r.policy])
			}
		}
	}
	return string(text)
}

// call returns a call with these addresses.
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

// callsOf describes contexts, which are given by their indexes.
func (c *comparison) callsOf(contexts []int) []Calls {
	var all []Calls
	for _, request := range []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile} {
		calls, found, missing := Calls{Request: request}, false, false
		for i := range c.contexts {
			switch context := &c.contexts[i]; {
			case context.request != request:
			case !slices.Contains(contexts, i):
				missing = true
			default:
				found = true
				named := context.sources
				if context.others {
					calls.OtherSources = true
					named = named[:len(named)-1]
				}
				calls.Sources = append(calls.Sources, named...)
			}
		}
		if !found {
			continue
		}
		slices.Sort(calls.Sources)
		if !missing {
			calls = Calls{Request: request, AnySource: true}
		}
		all = append(all, calls)
	}
	return all
}

// profileText returns attributes as a JSON object. Their values are JSON texts.
func profileText(attributes []rules.ProfileAttribute) string {
	if len(attributes) == 0 {
		return ""
	}
	members := map[string]json.RawMessage{}
	for _, a := range attributes {
		members[a.Name] = json.RawMessage(a.Value)
	}
	text, err := json.Marshal(members)
	if err != nil {
		panic(fmt.Sprintf("a compiled policy has a profile value that is not JSON: %v", err))
	}
	return string(text)
}
