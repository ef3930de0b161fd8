package rules

import (
	"math/bits"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

const (
	// maxAddresses bounds the addresses of one call. The operator never reaches it: its flag --address-attributes
	// permits 10 attributes, and a call may have two profiles with each of them.
	maxAddresses = 32
	// usualAddresses and usualMatches are how many addresses and matches a decision holds on the stack. With more, it
	// allocates.
	usualAddresses = 4
	usualMatches   = 16
)

// loginAttribute is Okta's attribute for the name by which a user signs in. An Okta org can permit a user name in it
// that is not an address.
const loginAttribute = "login"

// subject is one address of a call.
type subject struct {
	attribute string
	text      string // the value of the attribute, from which address was parsed
	address   Address
}

// Decide decides a call. The result depends on the snapshot and the call only. Decide denies a call whose addresses are
// not valid.
func (s *Snapshot) Decide(call Call) Decision {
	var buf [usualAddresses]subject
	subjects, denial := call.read(buf[:0])
	if denial.Reason != "" {
		return denial
	}
	if len(subjects) == 0 {
		return Decision{Outcome: Allow, Reason: ReasonNoAddressChanged}
	}

	switch call.Shape {
	case SignUp:
		d := s.evaluate(signUps, call.Source, subjects)
		if call.Contradictory {
			d.Profile = nil
		}
		return d
	case ProfileUpdate:
		d := s.evaluate(profileUpdates, call.Source, subjects)
		if call.Contradictory {
			d.Profile = nil
		}
		return d
	default:
		return both(s.evaluate(signUps, call.Source, subjects), s.evaluate(profileUpdates, call.Source, subjects))
	}
}

// read appends the addresses of a call to subjects. If the call must be denied whatever the policies say, read returns
// that decision instead; its Reason is "" otherwise.
func (c *Call) read(subjects []subject) ([]subject, Decision) {
	switch c.Shape {
	case SignUp, ProfileUpdate, Both:
	default:
		return nil, Decision{Reason: ReasonUnrecognisedCall}
	}
	if len(c.Profile)+len(c.Update) > maxAddresses {
		return nil, Decision{Reason: ReasonUnrecognisedCall}
	}
	var denial Decision
	if c.Shape != ProfileUpdate {
		if subjects, denial = readProfile(subjects, c.Profile); denial.Reason != "" {
			return nil, denial
		}
	}
	if c.Shape != SignUp {
		if subjects, denial = readUpdate(subjects, c.Update); denial.Reason != "" {
			return nil, denial
		}
	}
	return subjects, Decision{}
}

// readProfile appends the addresses of a sign-up to subjects. A call without an address in the first attribute is
// denied.
func readProfile(subjects []subject, attributes []Attribute) ([]subject, Decision) {
	if len(attributes) == 0 {
		return nil, Decision{Reason: ReasonMissingAddress}
	}
	for i := range attributes {
		a := &attributes[i]
		noAddress := a.isEmpty() || a.isUserName()
		if i == 0 && noAddress {
			return nil, Decision{Reason: ReasonMissingAddress, Attribute: a.Name}
		}
		if noAddress {
			continue
		}
		var denial Decision
		if subjects, denial = a.read(subjects); denial.Reason != "" {
			return nil, denial
		}
	}
	return subjects, Decision{}
}

// readUpdate appends the addresses that an update of a profile changes to subjects. The first attribute is required: an
// update that makes it empty, or a user name, is denied.
func readUpdate(subjects []subject, attributes []Attribute) ([]subject, Decision) {
	for i := range attributes {
		a := &attributes[i]
		if a.Kind == Absent {
			continue
		}
		noAddress := a.isEmpty() || a.isUserName()
		if i == 0 && noAddress {
			return nil, Decision{Reason: ReasonMissingAddress, Attribute: a.Name}
		}
		if noAddress {
			continue
		}
		var denial Decision
		if subjects, denial = a.read(subjects); denial.Reason != "" {
			return nil, denial
		}
	}
	return subjects, Decision{}
}

// isEmpty reports whether the attribute has no value. "" counts as none: a form sends it for a field that the person
// left empty.
func (a *Attribute) isEmpty() bool {
	return a.Kind == Absent || a.Kind == Null || a.Kind == Text && a.Text == ""
}

func (a *Attribute) isUserName() bool {
	return a.Name == loginAttribute && a.Kind == Text && address.IsUserName(a.Text)
}

// read appends the address of an attribute. Most calls have the same text in two attributes; it is parsed only once.
func (a *Attribute) read(subjects []subject) ([]subject, Decision) {
	invalid := NotText
	if a.Kind == Text {
		for i := range subjects {
			if subjects[i].text == a.Text {
				return append(subjects, subject{a.Name, a.Text, subjects[i].address}), Decision{}
			}
		}
		var parsed Address
		if parsed, invalid = address.Read(a.Text, address.Mail); invalid == "" {
			return append(subjects, subject{a.Name, a.Text, parsed}), Decision{}
		}
		if a.onlyBlanksInvalid() {
			invalid = Blank
		}
	}
	return nil, Decision{Reason: ReasonInvalidAddress, Attribute: a.Name, Invalid: invalid, InvalidLength: len(a.Text)}
}

// evaluate decides a call as one request type, sign-up or update, by the policies that apply to that type.
func (s *Snapshot) evaluate(request requestSet, source string, subjects []subject) Decision {
	c := s.policiesFor(request, source)
	v := verdicts{snapshot: s, request: request, blocking: -1, blockingAudit: -1}
	var matchBuf [usualMatches]match
	matches := matchBuf[:0]
	for i := range subjects {
		if !isRepeated(subjects, i) {
			v.all |= 1 << i
			matches = c.match(matches, uint8(i), subjects[i].address)
		}
	}
	slices.Sort(matches)
	v.readGroups(&c)
	v.readMatches(matches)
	d := v.decision(subjects)
	d.Audit = v.audit(d.Outcome, &c, matches)
	d.matched.add(s, matches)
	return d
}

// isRepeated reports whether an earlier attribute has the same address as the i-th. Such an address has the verdicts of
// the earlier one, so a decision looks it up once. Most calls have one address as email and as login.
func isRepeated(subjects []subject, i int) bool {
	for j := range i {
		if subjects[j].address == subjects[i].address {
			return true
		}
	}
	return false
}

// verdicts collects what the policies in mode Enforce say about a call. It must not refer to the slices on the stack of
// Snapshot.evaluate: they would escape to the heap, and every decision would allocate.
type verdicts struct {
	snapshot *Snapshot
	request  requestSet
	all      subjectSet // every address of the call, each once

	tookPart      int    // how many policies apply to the call
	allowing      int    // how many of them have allow entries
	allowingSlot  uint32 // if allowing is 1, the slot of that policy
	blocking      int32  // the first policy that applies and is not enforceable, or -1
	blockingAudit int32  // the first such policy in mode Audit, or -1

	denied, allowed subjectSet // the addresses that some policy denies, or allows
	denial          match      // the deciding match of the first policy that denies an address
	denies          bool
	allowance       match // the deciding match of the first policy that allows every address
	allows          bool
	matchesAudit    bool // some policy in mode Audit matches an address
	profiles        int  // how many policies allow every address and have a profile for this request type
	profile, sent   []ProfileAttribute
}

// subjectSet is a set of addresses of a call: bit i is the i-th address.
type subjectSet uint32

func (v *verdicts) readGroups(c *callPolicies) {
	for _, group := range c.groups {
		if group == nil {
			continue
		}
		totals := group.of(v.request)
		v.tookPart += int(totals.enforcing)
		if totals.allowing > 0 {
			v.allowing += int(totals.allowing)
			v.allowingSlot = totals.allowingSlots
		}
		for policy := range c.blocking(group) {
			first := &v.blocking
			if v.snapshot.policies[policy].mode == Audit {
				first = &v.blockingAudit
			}
			if *first < 0 || policy < *first {
				*first = policy
			}
		}
	}
}

func (v *verdicts) readMatches(matches []match) {
	for len(matches) > 0 {
		n := countOfFirstPolicy(matches)
		policy := v.snapshot.policies[matches[0].policy()]
		denied, allowed, denial, allowance := verdictsOfPolicy(matches[:n])
		matches = matches[n:]
		if policy.mode == Audit {
			v.matchesAudit = true
			continue
		}
		v.denied |= denied
		v.allowed |= allowed
		if denied != 0 && !v.denies {
			v.denies, v.denial = true, denial
		}
		if allowed == v.all {
			if !v.allows {
				v.allows, v.allowance = true, allowance
			}
			v.addProfile(policy)
		}
	}
}

// countOfFirstPolicy returns how many matches the first policy has, in matches that are sorted by policy. It is not an
// iterator over policies, because an iterator would make every decision allocate.
func countOfFirstPolicy(matches []match) int {
	n := 1
	for n < len(matches) && matches[n].policy() == matches[0].policy() {
		n++
	}
	return n
}

// verdictsOfPolicy returns which addresses one policy denies and which it allows, and the match that decides the first
// denied and the first allowed one.
func verdictsOfPolicy(matches []match) (denied, allowed subjectSet, denial, allowance match) {
	for i, m := range matches {
		if i > 0 && matches[i-1].subject() == m.subject() {
			continue // an earlier match with the same address has precedence
		}
		if m.precedence().denies() {
			if denied == 0 {
				denial = m
			}
			denied |= 1 << m.subject()
		} else {
			if allowed == 0 {
				allowance = m
			}
			allowed |= 1 << m.subject()
		}
	}
	return denied, allowed, denial, allowance
}

// addProfile merges the profile of a policy that allows the call into v.profile. It allocates only if that changes
// v.profile.
func (v *verdicts) addProfile(policy *Compiled) {
	if len(policy.profile) == 0 || policy.profileOn&v.request == 0 {
		return
	}
	v.profiles++
	if v.profiles == 1 {
		v.profile, v.sent = policy.profile, policy.sent
		return
	}
	if !slices.ContainsFunc(policy.profile, v.changesProfile) {
		return
	}
	v.profile = mergeProfiles(slices.Concat(v.profile, policy.profile))
	v.sent = sendable(v.profile)
}

// changesProfile reports whether an attribute is new, or has another value than in the profiles so far. An attribute
// that is disputed already does not change.
func (v *verdicts) changesProfile(a ProfileAttribute) bool {
	at, found := slices.BinarySearchFunc(v.profile, a.Name, func(known ProfileAttribute, name string) int {
		return strings.Compare(known.Name, name)
	})
	return !found || v.profile[at].Value != a.Value && v.profile[at].Value != disputed
}

// outcome returns the outcome of the call and the reason. The order of the cases matters: an earlier reason has
// precedence over a later one.
func (v *verdicts) outcome() (Outcome, Reason) {
	switch {
	case v.tookPart == 0:
		return Deny, ReasonNoPolicyApplies
	case v.denies:
		return Deny, ReasonDenied
	case v.blocking >= 0:
		return Deny, ReasonPolicyNotEnforceable
	case v.allows:
		return Allow, ReasonAllowed
	default:
		return Deny, ReasonNotAllowed
	}
}

func (v *verdicts) decision(subjects []subject) Decision {
	d := Decision{TookPart: v.tookPart}
	d.Outcome, d.Reason = v.outcome()
	failed := 0
	switch d.Reason {
	case ReasonAllowed:
		d.decidedBy(v.snapshot, v.allowance.policy())
		d.Entry = v.allowance.entry()
		d.Message = ""
		d.Profile = v.sent
	case ReasonDenied:
		d.decidedBy(v.snapshot, v.denial.policy())
		d.Entry = v.denial.entry()
		failed = v.denied.first()
	case ReasonPolicyNotEnforceable:
		d.decidedBy(v.snapshot, v.blocking)
		d.Message = "" // the author wrote the message for denied addresses, and here the address is not the cause
	case ReasonNotAllowed:
		if v.allowing == 1 {
			d.Message = v.snapshot.policies[v.snapshot.policyAt[v.allowingSlot]].message
		}
		if missed := v.all &^ v.allowed; missed != 0 {
			failed = missed.first()
		}
	default: // ReasonNoPolicyApplies: there is no policy to name
	}
	d.Domain = subjects[failed].address.Domain()
	if d.Outcome == Deny {
		d.Attribute = subjects[failed].attribute
	}
	return d
}

func (d *Decision) decidedBy(s *Snapshot, policy int32) {
	d.Policy = s.policies[policy].name
	d.Message = s.policies[policy].message
}

func (s subjectSet) first() int { return bits.TrailingZeros32(uint32(s)) }

// audit returns the policies in mode Audit that would change the outcome if that policy alone were in mode Enforce. A
// policy that denies an address, or is not enforceable, would turn an allow into a deny. A policy that allows every
// address would turn a deny into an allow, unless a policy in mode Enforce denies an address or is not enforceable.
func (v *verdicts) audit(outcome Outcome, c *callPolicies, matches []match) []AuditOutcome {
	var audits []AuditOutcome
	add := func(policy int32, outcome Outcome, reason Reason) {
		audits = append(audits, AuditOutcome{v.snapshot.policies[policy].name, outcome, reason})
	}
	if outcome == Allow && v.blockingAudit >= 0 {
		for _, group := range c.groups {
			if group == nil {
				continue
			}
			for policy := range c.blocking(group) {
				if v.snapshot.policies[policy].mode == Audit {
					add(policy, Deny, ReasonPolicyNotEnforceable)
				}
			}
		}
	}
	for v.matchesAudit && len(matches) > 0 {
		n := countOfFirstPolicy(matches)
		policy := matches[0].policy()
		denied, allowed, _, _ := verdictsOfPolicy(matches[:n])
		matches = matches[n:]
		if v.snapshot.policies[policy].mode != Audit {
			continue
		}
		switch {
		case outcome == Allow && denied != 0:
			add(policy, Deny, ReasonDenied)
		case outcome == Deny && allowed == v.all && !v.denies && v.blocking < 0:
			add(policy, Allow, ReasonAllowed)
		}
	}
	if len(audits) > 1 {
		slices.SortFunc(audits, func(a, b AuditOutcome) int { return a.Policy.Compare(b.Policy) })
	}
	return audits
}

// both joins the decisions on a call of the shape Both. The call is allowed only if it is allowed as a sign-up and as
// an update. A policy in mode Audit is reported if it would change the joined outcome.
func both(signUp, update Decision) Decision {
	d, other := signUp, update
	if signUp.Outcome == Allow && update.Outcome == Deny {
		d, other = update, signUp
	}
	d.Profile = nil
	var audits []AuditOutcome
	for _, candidate := range slices.Concat(signUp.Audit, update.Audit) {
		a, b := signUp.outcomeWith(candidate.Policy), update.outcomeWith(candidate.Policy)
		would := b
		if a.Outcome == Deny {
			would = a
		}
		if would.Outcome != d.Outcome && !slices.Contains(audits, would) {
			audits = append(audits, would)
		}
	}
	slices.SortFunc(audits, func(a, b AuditOutcome) int { return a.Policy.Compare(b.Policy) })
	d.Audit = audits
	d.matched.join(&other.matched)
	return d
}

// outcomeWith returns the outcome of the call if one policy in mode Audit were in mode Enforce.
func (d *Decision) outcomeWith(policy PolicyName) AuditOutcome {
	for _, audit := range d.Audit {
		if audit.Policy == policy {
			return audit
		}
	}
	return AuditOutcome{policy, d.Outcome, d.Reason}
}
