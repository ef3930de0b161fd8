package rules

import (
	"cmp"
	"slices"
	"strings"
)

// Role is the part that a policy had in a decision. The set is closed, and part of the product's API.
type Role string

const (
	// RoleDecides: this policy decided.
	RoleDecides Role = "Decides"
	// RoleDenies: this policy denies an address, but the policy that decides denies one too and is first by name.
	RoleDenies Role = "Denies"
	// RoleAllows: this policy allows every address, but the policy that decides does so too and is first by name. Okta
	// gets the profile attributes of both policies.
	RoleAllows Role = "Allows"
	// RoleOverruled: this policy allows every address, but another policy denies one, or is not enforceable.
	RoleOverruled Role = "Overruled"
	// RoleAllowsPart: this policy allows some addresses of the call, but not all, so it cannot allow the call.
	RoleAllowsPart Role = "AllowsPart"
	// RoleNoMatch: no entry of this policy matches an address of the call.
	RoleNoMatch Role = "NoMatch"
	// RoleNotEnforceable: this policy is not enforceable, so it would deny the call, but another policy decided: one that
	// denies an address, or one that is not enforceable either and precedes this policy by name.
	RoleNotEnforceable Role = "NotEnforceable"
	// RoleAudit: this policy applies to the call, but decides nothing, since it is in mode Audit.
	RoleAudit Role = "Audit"
	// RoleOtherRequestType: this policy's appliesTo does not include the request type.
	RoleOtherRequestType Role = "OtherRequestType"
	// RoleOtherSource: this policy's appliesTo does not include the call's source.
	RoleOtherSource Role = "OtherSource"
	// RoleNotAsked: the call was decided without the policies, for example because its address is not valid.
	RoleNotAsked Role = "NotAsked"
)

// Roles returns every role, in the order above.
func Roles() []Role {
	return []Role{
		RoleDecides, RoleDenies, RoleAllows, RoleOverruled, RoleAllowsPart, RoleNoMatch,
		RoleNotEnforceable, RoleAudit, RoleOtherRequestType, RoleOtherSource, RoleNotAsked,
	}
}

// Trace explains what part one policy had in the decision on one call.
type Trace struct {
	PolicySummary
	// Request is the request type as which the call was decided; "" for RoleNotAsked. A call of the shape Both is decided
	// as each of the two request types, and has a Trace for each.
	Request RequestType
	// Role is the part that the policy had in the decision on Request.
	Role Role
	// Applies: the policy's appliesTo includes Request and the call's source.
	Applies bool
	// By is the policy that decided the call as this request type, as in [Decision.Policy]; zero if no policy decided.
	By PolicyName
	// Verdicts has one Verdict for each address of the call, in the order of the attributes. It is empty if the policy
	// does not apply, or is not enforceable.
	Verdicts []Verdict
}

// Verdict says what one policy does with one address of a call: it allows it, denies it, or does not match it.
type Verdict struct {
	// Attribute is the attribute that holds the address.
	Attribute string
	// Denies and Allows: at most one is true. Both are false if no entry of the policy matches the address.
	Denies, Allows bool
	// Entry is the entry that gave the verdict; zero if no entry matches.
	Entry Entry
	// Overridden holds the policy's other entries that match the address, highest precedence first. They have no effect
	// on this address, because Entry has precedence over them.
	Overridden []Entry
	// NearMisses holds allow entries that do not match the address, for a reason that authors often overlook: an allowed
	// domain does not match the names below it, and a wildcard does not match the domain itself. It is set only if no
	// entry of the policy matches.
	NearMisses []Entry
}

// Explain decides a call as [Snapshot.Decide] does, and returns a trace of every policy, sorted by name. For a call of
// the shape Both, it returns the traces for the sign-up first and those for the update after them. A trace holds no
// local part.
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
	matches := s.matchAll(request, source, subjects)
	for i, c := range s.policies {
		n := 0
		for n < len(matches) && int(matches[n].policy()) == i {
			n++
		}
		t := Trace{PolicySummary: c.summary(), Request: requestType, By: decision.Policy}
		switch {
		case c.requests&request == 0:
			t.Role = RoleOtherRequestType
		case len(c.sources) > 0 && !slices.Contains(c.sources, source):
			t.Role = RoleOtherSource
		default:
			t.Applies = true
			if c.enforceable {
				t.Verdicts = verdictsOf(matches[:n], subjects)
				s.addNearMisses(t.Verdicts, s.slots[i], subjects)
			}
			t.Role = t.role(&decision)
		}
		matches = matches[n:]
		traces = append(traces, t)
	}
	return traces
}

// matchAll returns the sorted matches of every address of a call with the policies that apply.
func (s *Snapshot) matchAll(request requestSet, source string, subjects []subject) []match {
	c := s.policiesFor(request, source)
	var matches []match
	for i := range subjects {
		matches = c.match(matches, uint8(i), subjects[i].address)
	}
	slices.Sort(matches)
	return matches
}

// verdictsOf returns the verdict of one policy on each address of a call. The policy's matches are sorted: the first
// one with an address is the verdict, and the others are overridden.
func verdictsOf(matches []match, subjects []subject) []Verdict {
	verdicts := make([]Verdict, len(subjects))
	for i := range subjects {
		verdicts[i].Attribute = subjects[i].attribute
	}
	for _, m := range matches {
		v, denies := &verdicts[m.subject()], m.precedence().denies()
		switch entry := m.entry(); {
		case v.Entry.Field == NoEntry:
			v.Entry, v.Denies, v.Allows = entry, denies, !denies
		case entry != v.Entry && !slices.Contains(v.Overridden, entry):
			v.Overridden = append(v.Overridden, entry)
		}
	}
	return verdicts
}

// addNearMisses sets NearMisses in the verdicts of the policy in a slot, where no entry matched.
func (s *Snapshot) addNearMisses(verdicts []Verdict, slot uint32, subjects []subject) {
	for i := range verdicts {
		v := &verdicts[i]
		if v.Entry.Field != NoEntry {
			continue
		}
		// For an address of mail.acme.com, a near miss is *.mail.acme.com, which matches only names below the domain. At a
		// parent of the domain, a near miss is acme.com, which matches only itself.
		near := matchesBelow
		for name := subjects[i].address.Domain().String(); ; _, name, _ = strings.Cut(name, ".") {
			for _, p := range s.postingsAt(slot, find(s, nameHash(s.seed, name), name)) {
				if t := p.traits(); t&near != 0 && !t.precedence().denies() {
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

// postingsAt returns the given postings that belong to the policy in a slot. They must be sorted and have one key.
func (s *Snapshot) postingsAt(slot uint32, postings []posting) []posting {
	compare := func(p posting, slot uint32) int {
		return cmp.Or(cmp.Compare(s.scopeAt[p.slot], s.scopeAt[slot]), cmp.Compare(p.slot, slot))
	}
	begin, _ := slices.BinarySearchFunc(postings, slot, compare)
	end := begin
	for end < len(postings) && postings[end].slot == slot {
		end++
	}
	return postings[begin:end]
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

// ListEntry returns the line of a list that matches every address of a domain, in canonical form: acme.com or
// *.acme.com. e is the policy's entry that names the list. ListEntry returns "" if e names no list, or if no such line
// matches: a line that is a whole address does not count.
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

// EntryText returns the text of an entry as its author wrote it; for an entry of a list, the name of the list. It
// returns "" if the policy has no such entry. The text may hold a local part.
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
