package rules

import (
	"slices"
	"strings"
)

// Role is the part that a policy had in a decision. The set is closed, and part of the product's API.
type Role string

const (
	// RoleDecides: this policy decided.
	RoleDecides Role = "Decides"
	// RoleDenies: it denies an address too, but comes after the one that decides, by name.
	RoleDenies Role = "Denies"
	// RoleAllows: it allows every address too, but comes after the one that decides, by name. Its profile counts.
	RoleAllows Role = "Allows"
	// RoleOverruled: it allows every address, but another policy denies, or cannot be enforced.
	RoleOverruled Role = "Overruled"
	// RoleAllowsPart: it allows some addresses of the call, but not all, so it does not count.
	RoleAllowsPart Role = "AllowsPart"
	// RoleNoMatch: none of its entries matches an address of the call.
	RoleNoMatch Role = "NoMatch"
	// RoleNotEnforceable: it cannot be enforced and blocks the call, but another policy decided: one that denies, or
	// one that cannot be enforced either and comes first by name.
	RoleNotEnforceable Role = "NotEnforceable"
	// RoleAudit: it applies, but decides nothing in mode Audit.
	RoleAudit Role = "Audit"
	// RoleOtherRequestType: its appliesTo does not include this type of request.
	RoleOtherRequestType Role = "OtherRequestType"
	// RoleOtherSource: its appliesTo does not include the call's source.
	RoleOtherSource Role = "OtherSource"
	// RoleNotAsked: the call was decided regardless of the policies.
	RoleNotAsked Role = "NotAsked"
)

// Roles returns every role, in the order above.
func Roles() []Role {
	return []Role{
		RoleDecides, RoleDenies, RoleAllows, RoleOverruled, RoleAllowsPart, RoleNoMatch,
		RoleNotEnforceable, RoleAudit, RoleOtherRequestType, RoleOtherSource, RoleNotAsked,
	}
}

// Trace explains the part of one policy in the decision on one call, as a request of one type.
type Trace struct {
	PolicySummary
	// Request is the type as which the call was decided; "" for RoleNotAsked. A call of the shape Both is decided as
	// each of the two.
	Request RequestType
	// Role is the part that the policy had in the decision on Request.
	Role Role
	// Applies: the policy's appliesTo matches.
	Applies bool
	// By is the policy that decided the request, or zero. See [Decision.Policy].
	By PolicyName
	// Verdicts has one for each address of the call, in order. It is empty if the policy does not apply, or cannot
	// be enforced.
	Verdicts []Verdict
}

// Verdict is that of one policy on one address.
type Verdict struct {
	// Attribute is the attribute that holds the address.
	Attribute string
	// Denies and Allows are the verdict. Both are false if no entry matches.
	Denies, Allows bool
	// Entry is the entry that gave the verdict, or zero.
	Entry Entry
	// Overridden holds the policy's other entries that match the address, by precedence. Entry has precedence over
	// them.
	Overridden []Entry
	// NearMisses holds, if no entry matches, the allow entries that miss the address by a rule that is often
	// overlooked: a domain does not match the names below it, and a wildcard does not match the domain itself.
	NearMisses []Entry
}

// Explain decides a call as [Snapshot.Decide] does, and returns a trace of every policy, by name: first all for a
// sign-up, then all for a progressive profile, if the call is one. A trace holds no local part.
func (s *Snapshot) Explain(call Call) (Decision, []Trace) {
	decision := s.Decide(call)
	subjects, denial := call.read(nil)
	if denial.Reason != "" || len(subjects) == 0 {
		traces := make([]Trace, len(s.policies))
		for i, c := range s.policies {
			traces[i] = Trace{PolicySummary: c.summary(), Role: RoleNotAsked}
		}
		return decision, traces
	}
	var traces []Trace
	if call.Shape != ProfileUpdate {
		traces = s.traces(traces, signUps, call.Source, subjects)
	}
	if call.Shape != SignUp {
		traces = s.traces(traces, profileUpdates, call.Source, subjects)
	}
	return decision, traces
}

func (s *Snapshot) traces(traces []Trace, request requestSet, source string, subjects []subject) []Trace {
	requestType := SelfServiceRegistration
	if request == profileUpdates {
		requestType = ProgressiveProfile
	}
	decision := s.evaluate(request, source, subjects)
	matches := map[*scope][]match{}
	for i, c := range s.policies {
		t := Trace{PolicySummary: c.summary(), Request: requestType, By: decision.Policy}
		switch {
		case c.requests&request == 0:
			t.Role = RoleOtherRequestType
		case len(c.sources) > 0 && !slices.Contains(c.sources, source):
			t.Role = RoleOtherSource
		default:
			t.Applies = true
			scope := s.scopeFor(c)
			found, looked := matches[scope]
			if !looked {
				found = s.matchAll(scope, subjects)
				matches[scope] = found
			}
			if c.enforceable {
				t.Verdicts = verdictsOf(int32(i), found, subjects)
				s.addNearMisses(scope, t.Verdicts, s.slots[i], subjects)
			}
			t.Role = t.role(&decision)
		}
		traces = append(traces, t)
	}
	return traces
}

// matchAll returns the matches of all subjects in one scope, sorted.
func (s *Snapshot) matchAll(in *scope, subjects []subject) []match {
	var matches []match
	for i := range subjects {
		matches = s.match(matches, []*scope{in}, uint8(i), subjects[i].address)
	}
	slices.SortFunc(matches, match.compare)
	return matches
}

// verdictsOf returns the verdicts of one policy. Of its sorted matches with a subject, the first is the verdict.
func verdictsOf(policy int32, matches []match, subjects []subject) []Verdict {
	verdicts := make([]Verdict, len(subjects))
	for i := range subjects {
		verdicts[i].Attribute = subjects[i].attribute
	}
	for _, m := range matches {
		if m.policy != policy {
			continue
		}
		v := &verdicts[m.subject]
		switch entry := m.entry(); {
		case v.Entry.Field == NoEntry:
			v.Entry, v.Denies, v.Allows = entry, m.precedence.denies(), !m.precedence.denies()
		case entry != v.Entry && !slices.Contains(v.Overridden, entry):
			v.Overridden = append(v.Overridden, entry)
		}
	}
	return verdicts
}

// addNearMisses sets NearMisses.
func (s *Snapshot) addNearMisses(in *scope, verdicts []Verdict, slot uint32, subjects []subject) {
	for i := range verdicts {
		v := &verdicts[i]
		if v.Entry.Field != NoEntry {
			continue
		}
		// At the name itself, a rule for the names below misses; at its parents, a rule for the name itself.
		near := matchesBelow
		for name := subjects[i].address.Domain().String(); ; _, name, _ = strings.Cut(name, ".") {
			for _, p := range find(s, &in.index, nameHash(s.seed, name), name) {
				if t := p.traits(); p.slot == slot && t&near != 0 && !t.precedence().denies() {
					v.NearMisses = append(v.NearMisses, Entry{t.field(), int(p.index())})
				}
			}
			if name == "" {
				break
			}
			near = matchesSelf
		}
	}
}

// role returns the part that a policy whose appliesTo matches has in the decision. It follows from the policy's
// verdicts and from the decision on the call as one request type.
func (t *Trace) role(decision *Decision) Role {
	allowed, denied := 0, 0
	for _, v := range t.Verdicts {
		if v.Allows {
			allowed++
		}
		if v.Denies {
			denied++
		}
	}
	switch {
	case t.Mode == Audit:
		return RoleAudit
	case t.PolicyName == decision.Policy:
		return RoleDecides
	case !t.Enforceable:
		return RoleNotEnforceable
	case denied > 0:
		return RoleDenies
	case allowed == 0:
		return RoleNoMatch
	case allowed < len(t.Verdicts):
		return RoleAllowsPart
	case decision.Outcome == Allow:
		return RoleAllows
	default:
		return RoleOverruled
	}
}

// ListEntry returns the line of a list that matches the addresses of a domain, in canonical form: acme.com or
// *.acme.com. e names the list. It returns "" if e is not an entry of a list, or if no line of a domain matches.
func (p *Policy) ListEntry(e Entry, domain Domain) string {
	uses := p.Allow.Lists
	if e.Field == DenyLists {
		uses = p.Deny.Lists
	}
	if e.Field != DenyLists && e.Field != AllowLists || e.Index < 0 || e.Index >= len(uses) || uses[e.Index].List == nil {
		return ""
	}
	return uses[e.Index].List.Match(domain.String(), e.Field == DenyLists)
}

func listNames(uses []ListUse) []string {
	names := make([]string, len(uses))
	for i := range uses {
		names[i] = uses[i].String()
	}
	return names
}

// EntryText returns an entry as its author wrote it, or the name of a list. It is "" for an entry that the policy does
// not have. It may hold a local part.
func (p *Policy) EntryText(e Entry) string {
	var entries []string
	switch e.Field {
	case DenyAddresses:
		entries = p.Deny.Addresses
	case AllowAddresses:
		entries = p.Allow.Addresses
	case DenyDomains:
		entries = p.Deny.Domains
	case AllowDomains:
		entries = p.Allow.Domains
	case AllowPublicSuffixes:
		entries = p.Allow.PublicSuffixes
	case DenyLists:
		entries = listNames(p.Deny.Lists)
	case AllowLists:
		entries = listNames(p.Allow.Lists)
	default:
	}
	if e.Index < 0 || e.Index >= len(entries) {
		return ""
	}
	return entries[e.Index]
}
