package analysis

import (
	"encoding/json"
	"fmt"
	"slices"

	"registrationpolicy.dev/operator/rules"
)

// Result has the parts of a [rules.Decision] that are the same for all addresses of a class.
type Result struct {
	// Outcome and Reason are as in [rules.Decision].
	Outcome rules.Outcome
	Reason  rules.Reason
	// Policy is the policy that decided, and Entry is its entry that matched; both as in [rules.Decision].
	Policy rules.PolicyName
	Entry  rules.Entry
	// Message is the policy's text for the person; "" means the built-in text for the reason.
	Message string
	// Profile is a JSON object with the profile attributes that Okta sets, or "" if there are none.
	Profile string
}

// Calls are the calls of one request type from some sources.
type Calls struct {
	// Request is the request type.
	Request rules.RequestType
	// AnySource means that the calls may come from every source. Otherwise Sources are the sources; OtherSources adds
	// every source that no policy names.
	AnySource    bool
	Sources      []string
	OtherSources bool
}

// Witness is an address of a class, as an example.
type Witness struct {
	// Address is a valid address.
	Address string
	// Personal: the local part comes from an entry of a policy or a list, so it may be personal. Otherwise it is made up.
	Personal bool
}

// problem is the input of an analysis: the sets of policies, with the classes of addresses and the kinds of calls that
// they distinguish.
type problem struct {
	sides    []side
	space    *space
	contexts []context
}

// side is one of the sets of policies that are analysed together, such as the old policies or the new ones.
type side struct {
	snapshot *rules.Snapshot
	policies []*rules.Compiled // those in mode Enforce, sorted by name
}

// newProblem compiles the sets of policies, each of which becomes a side. contextsOf says what the sources are for.
func newProblem(sources []string, sets ...[]rules.Policy) problem {
	p := problem{sides: make([]side, len(sets))}
	for i, policies := range sets {
		compiled := make([]*rules.Compiled, len(policies))
		for j := range policies {
			compiled[j] = rules.CompilePolicy(policies[j])
		}
		p.sides[i].snapshot = rules.Assemble(nil, compiled)
		for _, c := range compiled {
			if c.Mode() == rules.Enforce {
				p.sides[i].policies = append(p.sides[i].policies, c)
			}
		}
		slices.SortStableFunc(p.sides[i].policies, func(a, b *rules.Compiled) int { return a.Name().Compare(b.Name()) })
	}
	p.space = newSpace(p.sides)
	p.contexts = contextsOf(p.sides, sources)
	return p
}

// decide decides a call of a context, with the addresses of the witnesses, by the policies of one side. side and
// context are the indexes in p.sides and p.contexts.
func (p *problem) decide(side, context int, witnesses ...Witness) Result {
	d := p.sides[side].snapshot.Decide(p.contexts[context].call(witnesses))
	return Result{
		Outcome: d.Outcome, Reason: d.Reason, Policy: d.Policy, Entry: d.Entry, Message: d.Message, Profile: profileText(d.Profile),
	}
}

// callsOf returns the calls of some contexts, given by their indexes in ascending order.
func (p *problem) callsOf(contexts []int) []Calls {
	var all []Calls
	for _, request := range []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile} {
		calls, found, missing := Calls{Request: request}, false, false
		for i := range p.contexts {
			switch context := &p.contexts[i]; {
			case context.request != request:
			case len(contexts) == 0 || contexts[0] != i:
				missing = true
			default:
				contexts = contexts[1:]
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

// profileText returns attributes as one JSON object, "" without attributes. The values of the attributes are JSON.
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
