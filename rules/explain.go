package rules

import (
	"slices"
	"strings"
)

// Role says what part a policy had in deciding a call. The set is closed, and part of the product's API.
type Role string

const (
	// RoleDecides: the decision is this policy's.
	RoleDecides Role = "Decides"
	// RoleDenies: it denies an address too, but comes after the one that decides, by name.
	RoleDenies Role = "Denies"
	// RoleAllows: it allows every address too, but comes after the one that decides, by name. Its profile counts.
	RoleAllows Role = "Allows"
	// RoleOverruled: it allows every address, and a policy that denies, or that cannot be enforced, stands against
	// it.
	RoleOverruled Role = "Overruled"
	// RoleAllowsPart: it allows some addresses of the call, not all, and so does not count.
	RoleAllowsPart Role = "AllowsPart"
	// RoleNoMatch: none of its entries matches an address of the call.
	RoleNoMatch Role = "NoMatch"
	// RoleNotEnforceable: it blocks the call, but another decides: one that denies, or one like it that comes
	// before.
	RoleNotEnforceable Role = "NotEnforceable"
	// RoleAudit: it applies, and is in mode Audit: it decides nothing.
	RoleAudit Role = "Audit"
	// RoleOtherRequestType: its appliesTo leaves out this type of request.
	RoleOtherRequestType Role = "OtherRequestType"
	// RoleOtherSource: its appliesTo leaves out the call's source.
	RoleOtherSource Role = "OtherSource"
	// RoleNotAsked: the call was decided before any policy was asked.
	RoleNotAsked Role = "NotAsked"
)

// Roles returns every role, in the order above.
func Roles() []Role {
	return []Role{
		RoleDecides, RoleDenies, RoleAllows, RoleOverruled, RoleAllowsPart, RoleNoMatch,
		RoleNotEnforceable, RoleAudit, RoleOtherRequestType, RoleOtherSource, RoleNotAsked,
	}
}

// Trace is what there is to say of one policy and one call, as a request of one type.
type Trace struct {
	PolicySummary
	// Request is what the call was decided as; "" for RoleNotAsked. A call of the shape Both is decided as each of
	// the two.
	Request RequestType
	// Role is the part that the policy had. Where Request is one of two, it is the part in the decision on that
	// one.
	Role Role
	// Applies says that the policy's appliesTo matches.
	Applies bool
	// By is the policy that decided the request; zero where none did. See [Decision.Policy].
	By PolicyName
	// Verdicts holds one for each address of the call, in order. It is empty where the policy does not apply, or cannot
	// be enforced.
	Verdicts []Verdict
}

// Verdict is what one policy says of one address.
type Verdict struct {
	// Attribute is the attribute that holds the address.
	Attribute string
	// Denies and Allows say what the policy says. It may say nothing.
	Denies, Allows bool
	// Entry is the entry by which it says so; zero where it says nothing.
	Entry Entry
	// Overridden holds the policy's other entries that match the address, as the ladder has them: Entry stands before them.
	Overridden []Entry
	// NearMisses holds, where the policy says nothing, its allow entries that miss the address by the one rule that is often
	// overlooked: a domain is not what is below it, and a wildcard is not the domain itself.
	NearMisses []Entry
}

// Explain decides a call as [Snapshot.Decide] does, and gives an account of every policy, by name: first all for a
// sign-up, then all for a progressive profile, as far as the call is one. It holds no local part.
func (s *Snapshot) Explain(call Call) (Decision, []Trace) {
	decision := s.Decide(call)
	subjects, refusal := call.read(nil)
	if refusal.Reason != "" || len(subjects) == 0 {
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
		a := Trace{PolicySummary: c.summary(), Request: requestType, By: decision.Policy}
		switch {
		case c.requests&request == 0:
			a.Role = RoleOtherRequestType
		case len(c.sources) > 0 && !slices.Contains(c.sources, source):
			a.Role = RoleOtherSource
		default:
			a.Applies = true
			scope := s.scopeFor(c)
			found, looked := matches[scope]
			if !looked {
				found = s.matchAll(scope, subjects)
				matches[scope] = found
			}
			if c.enforceable {
				a.Verdicts = verdictsOf(int32(i), found, subjects)
				s.addNearMisses(scope, a.Verdicts, s.slots[i], subjects)
			}
			a.Role = a.role(&decision)
		}
		traces = append(traces, a)
	}
	return traces
}

// matchAll returns what matches any of the subjects in one scope, sorted.
func (s *Snapshot) matchAll(in *scope, subjects []subject) []match {
	var matches []match
	for i := range subjects {
		matches = s.match(matches, []*scope{in}, uint8(i), subjects[i].address)
	}
	slices.SortFunc(matches, match.compare)
	return matches
}

// verdictsOf returns what one policy says of each subject. Of its sorted matches with a subject, the first is the
// verdict.
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

// addNearMisses fills in NearMisses.
func (s *Snapshot) addNearMisses(in *scope, verdicts []Verdict, slot uint32, subjects []subject) {
	for i := range verdicts {
		v := &verdicts[i]
		if v.Entry.Field != NoEntry {
			continue
		}
		near := matchesBelow // of the name itself what is below it, and the other way round
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

// role tells the part of a policy that applies from its verdicts and the decision on the request.
func (a *Trace) role(decision *Decision) Role {
	allowed, denied := 0, 0
	for _, v := range a.Verdicts {
		if v.Allows {
			allowed++
		}
		if v.Denies {
			denied++
		}
	}
	switch {
	case a.Mode == Audit:
		return RoleAudit
	case a.PolicyName == decision.Policy:
		return RoleDecides
	case !a.Enforceable:
		return RoleNotEnforceable
	case denied > 0:
		return RoleDenies
	case allowed == 0:
		return RoleNoMatch
	case allowed < len(a.Verdicts):
		return RoleAllowsPart
	case decision.Outcome == Allow:
		return RoleAllows
	default:
		return RoleOverruled
	}
}

// ListEntry returns what of the list that an entry names matches the addresses of a domain, in canonical form: acme.com or
// *.acme.com. It returns "" where the entry is no list, or what matches is a whole address.
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

// EntryText returns an entry as its author wrote it, of a list its name, and "" for one that the policy does not have. It may
// hold a local part.
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
