package rules

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules/internal/address"
)

const (
	// maxAddresses bounds the addresses of one call: both profiles with the most attributes that an operator may name.
	maxAddresses = 32
	// usualAddresses, usualScopes and usualMatches are what a decision has room for without allocating.
	usualAddresses = 4
	usualScopes    = 16
	usualMatches   = 16
)

// loginAttribute is the attribute that may hold a user name instead of an address: how Okta is set up decides which.
const loginAttribute = "login"

// subject is one address of a call.
type subject struct {
	attribute string
	address   Address
}

// match is an entry of a policy that matches a subject.
type match struct {
	policy     int32 // its place in Snapshot.policies
	index      int32
	field      EntryField
	precedence precedence
	subject    uint8
}

func (m match) entry() Entry { return Entry{m.field, int(m.index)} }

// Decide decides a call. It depends on the snapshot and the call only, and never fails: what cannot be decided is denied.
func (s *Snapshot) Decide(call Call) Decision {
	var room [usualAddresses]subject
	subjects, refusal := call.read(room[:0])
	if refusal.Reason != "" {
		return refusal
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

// read appends the addresses of a call, or says why it is refused before any policy is asked.
func (c *Call) read(subjects []subject) ([]subject, Decision) {
	switch c.Shape {
	case SignUp, ProfileUpdate, Both:
	default:
		return nil, Decision{Reason: ReasonUnrecognisedCall}
	}
	if len(c.Profile)+len(c.Update) > maxAddresses {
		return nil, Decision{Reason: ReasonUnrecognisedCall}
	}
	var refusal Decision
	if c.Shape != ProfileUpdate {
		if subjects, refusal = readProfile(subjects, c.Profile); refusal.Reason != "" {
			return nil, refusal
		}
	}
	if c.Shape != SignUp {
		if subjects, refusal = readUpdate(subjects, c.Update); refusal.Reason != "" {
			return nil, refusal
		}
	}
	return subjects, Decision{}
}

// readProfile appends the addresses of a sign-up. The first attribute is required.
func readProfile(subjects []subject, attributes []Attribute) ([]subject, Decision) {
	if len(attributes) == 0 {
		return nil, Decision{Reason: ReasonMissingAddress}
	}
	for i := range attributes {
		a := &attributes[i]
		none := a.isEmpty() || a.isUserName()
		if i == 0 && none {
			return nil, Decision{Reason: ReasonMissingAddress, Attribute: a.Name}
		}
		if none {
			continue
		}
		var refusal Decision
		if subjects, refusal = a.read(subjects); refusal.Reason != "" {
			return nil, refusal
		}
	}
	return subjects, Decision{}
}

// readUpdate appends the addresses of a progressive profile: those that it changes. The first must not be taken away.
func readUpdate(subjects []subject, attributes []Attribute) ([]subject, Decision) {
	for i := range attributes {
		a := &attributes[i]
		if a.Kind == Absent {
			continue
		}
		none := a.isEmpty() || a.isUserName()
		if i == 0 && none {
			return nil, Decision{Reason: ReasonMissingAddress, Attribute: a.Name}
		}
		if none {
			continue
		}
		var refusal Decision
		if subjects, refusal = a.read(subjects); refusal.Reason != "" {
			return nil, refusal
		}
	}
	return subjects, Decision{}
}

// isEmpty says that the attribute holds nothing. Forms send "" for a field that is left empty.
func (a *Attribute) isEmpty() bool {
	return a.Kind == Absent || a.Kind == Null || a.Kind == Text && a.Text == ""
}

func (a *Attribute) isUserName() bool {
	return a.Name == loginAttribute && a.Kind == Text && address.IsUserName(a.Text)
}

func (a *Attribute) read(subjects []subject) ([]subject, Decision) {
	invalid := NotText
	if a.Kind == Text {
		var parsed Address
		if parsed, invalid = address.Read(a.Text, address.Mail); invalid == "" {
			return append(subjects, subject{a.Name, parsed}), Decision{}
		}
		if a.onlyBlanksInvalid() {
			invalid = Blank
		}
	}
	return nil, Decision{Reason: ReasonInvalidAddress, Attribute: a.Name, Invalid: invalid, InvalidLength: len(a.Text)}
}

// evaluate decides by the policies that apply to one request type.
func (s *Snapshot) evaluate(request requestSet, source string, subjects []subject) Decision {
	var scopeRoom [usualScopes]*scope
	scopes := scopeRoom[:0]
	ofSource, _ := s.bySource.get(source)
	for _, candidates := range [2][]uint32{s.anySource, ofSource} {
		for _, number := range candidates {
			if scope := s.scopes[number]; scope.requests&request != 0 {
				scopes = append(scopes, scope)
			}
		}
	}
	var matchRoom [usualMatches]match
	matches := matchRoom[:0]
	for i := range subjects {
		matches = s.match(matches, scopes, uint8(i), subjects[i].address)
	}
	slices.SortFunc(matches, match.compare)

	v := verdicts{snapshot: s, request: request, all: 1<<len(subjects) - 1, blocking: -1, blockingAudit: -1}
	v.readScopes(scopes)
	v.readMatches(matches)
	d := v.decision(subjects)
	d.Audit = v.audit(d.Outcome, scopes, matches)
	d.matched.add(s, matches)
	return d
}

// match appends what matches an address: in each scope one probe for the address, one for the entry of its sub-addresses, and one
// for each label of its domain, here and in each list.
func (s *Snapshot) match(matches []match, scopes []*scope, subject uint8, addr Address) []match {
	if len(scopes) == 0 {
		return matches
	}
	matches = s.matchWhole(matches, scopes, subject, addr)
	side := matchesSelf
	for name := addr.Domain().String(); ; _, name, _ = strings.Cut(name, ".") { // at last "", the root
		hash := nameHash(s.seed, name)
		for _, scope := range scopes {
			if postings := find(s, &scope.index, hash, name); len(postings) > 0 {
				matches = s.appendMatches(matches, subject, side, postings)
			}
		}
		if name == "" {
			return matches
		}
		side = matchesBelow
	}
}

// matchWhole appends what matches the address as a whole, and what lists have of it and its domain.
func (s *Snapshot) matchWhole(matches []match, scopes []*scope, subject uint8, addr Address) []match {
	if !slices.ContainsFunc(scopes, func(s *scope) bool { return s.addresses > 0 || len(s.lists) > 0 }) {
		return matches
	}
	var keyBuf, subAddressesBuf [address.MaxKey]byte
	key, subAddressesKey := address.AppendKey(keyBuf[:0], addr), address.AppendSubAddressesKey(subAddressesBuf[:0], addr)
	hash, subAddressesHash := keyHash(s.seed, key), keyHash(s.seed, subAddressesKey)
	for _, scope := range scopes {
		if scope.addresses > 0 {
			matches = s.appendMatches(matches, subject, matchesSelf, find(s, &scope.index, hash, key))
			if len(subAddressesKey) > 0 {
				matches = s.appendMatches(matches, subject, matchesSelf, find(s, &scope.index, subAddressesHash, subAddressesKey))
			}
		}
		if len(scope.lists) > 0 {
			matches = s.matchLists(matches, scope, subject, key, subAddressesKey, addr.Domain().String())
		}
	}
	return matches
}

// matchLists asks each list once, however many policies use it.
func (s *Snapshot) matchLists(
	matches []match, scope *scope, subject uint8, key, subAddressesKey []byte, name string,
) []match {
	for i := range scope.lists {
		l := &scope.lists[i]
		verdict := l.list.Verdict(key, subAddressesKey, name)
		if verdict == 0 {
			continue
		}
		for _, u := range l.uses {
			counts := verdict.Allows()
			if u.traits().precedence().denies() {
				counts = verdict.Denies()
			}
			if counts {
				matches = append(matches, s.matchOf(u, subject))
			}
		}
	}
	return matches
}

// appendMatches appends the postings that match what is on one side: the name itself, or what is below it.
func (s *Snapshot) appendMatches(matches []match, subject uint8, side traits, postings []posting) []match {
	for i := range postings {
		if u := postings[i].use; u.traits()&side != 0 {
			matches = append(matches, s.matchOf(u, subject))
		}
	}
	return matches
}

func (s *Snapshot) matchOf(u use, subject uint8) match {
	t := u.traits()
	return match{int32(s.rank[u.slot]), u.index(), t.field(), t.precedence(), subject} //nolint:gosec // fewer than 2³¹ policies
}

// compare orders matches by policy, then by subject, then as the ladder has it: of each policy and subject, the first is the
// verdict.
func (m match) compare(o match) int {
	return cmp.Or(cmp.Compare(m.policy, o.policy), cmp.Compare(m.subject, o.subject), cmp.Compare(m.precedence, o.precedence),
		cmp.Compare(m.field, o.field), cmp.Compare(m.index, o.index))
}

// verdicts are what the policies in mode Enforce say of a call. It holds none of the slices that live on the stack of evaluate:
// they would follow it to the heap.
type verdicts struct {
	snapshot *Snapshot
	request  requestSet
	all      set // of the subjects

	tookPart      int
	allowing      int    // policies that took part and have an allow
	allowingSlot  uint32 // its slot, where there is one
	blocking      int32  // the first that took part and is not enforceable, or -1
	blockingAudit int32  // the same of those in mode Audit, or -1: whether there is any

	denied, allowed set   // the subjects that some policy denies, allows
	denial          match // of the first policy that denies
	denies          bool
	allowance       match // of the first policy that allows all
	allows          bool
	profiles        int // policies that allow all and have a profile to send
	profile, sent   []ProfileAttribute
}

// set is a set of subjects.
type set uint32

func (v *verdicts) readScopes(scopes []*scope) {
	for _, scope := range scopes {
		v.tookPart += scope.enforcing
		if scope.allowing > 0 {
			v.allowing += scope.allowing
			v.allowingSlot = scope.allowingSlots
		}
		for _, slot := range scope.blocking {
			policy := int32(v.snapshot.rank[slot]) //nolint:gosec // fewer than 2³¹ policies
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
		n := ofFirstPolicy(matches)
		facts := v.snapshot.policies[matches[0].policy]
		denied, allowed, denial, allowance := ofOnePolicy(matches[:n])
		matches = matches[n:]
		if facts.mode == Audit {
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
			v.addProfile(facts)
		}
	}
}

// ofFirstPolicy returns how many of sorted matches belong to the first one's policy. (An iterator would read better, and
// make every decision allocate.)
func ofFirstPolicy(matches []match) int {
	n := 1
	for n < len(matches) && matches[n].policy == matches[0].policy {
		n++
	}
	return n
}

// ofOnePolicy returns the verdicts of one policy: which subjects it denies and allows, and the first match of each.
func ofOnePolicy(matches []match) (denied, allowed set, denial, allowance match) {
	for i, m := range matches {
		if i > 0 && matches[i-1].subject == m.subject {
			continue // a lower precedence has decided
		}
		if m.precedence.denies() {
			if denied == 0 {
				denial = m
			}
			denied |= 1 << m.subject
		} else {
			if allowed == 0 {
				allowance = m
			}
			allowed |= 1 << m.subject
		}
	}
	return denied, allowed, denial, allowance
}

// addProfile keeps the attributes of every policy that allows. Only where there are several does it copy.
func (v *verdicts) addProfile(facts *Compiled) {
	if len(facts.profile) == 0 || facts.profileOn&v.request == 0 {
		return
	}
	v.profiles++
	if v.profiles == 1 {
		v.profile, v.sent = facts.profile, facts.sent
		return
	}
	v.profile = settle(slices.Concat(v.profile, facts.profile))
	v.sent = undisputed(v.profile)
}

// outcome applies the order of the reasons to the verdicts.
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
		d.decidedBy(v.snapshot, v.allowance.policy)
		d.Entry = v.allowance.entry()
		d.Message = ""
		d.Profile = v.sent
	case ReasonDenied:
		d.decidedBy(v.snapshot, v.denial.policy)
		d.Entry = v.denial.entry()
		failed = v.denied.first()
	case ReasonPolicyNotEnforceable:
		d.decidedBy(v.snapshot, v.blocking)
		d.Message = "" // the policy's message is about addresses, and this is a fault of ours
	case ReasonNotAllowed:
		if v.allowing == 1 {
			d.Message = v.snapshot.policies[v.snapshot.rank[v.allowingSlot]].message
		}
		if missed := v.all &^ v.allowed; missed != 0 {
			failed = missed.first()
		}
	default: // ReasonNoPolicyApplies: nobody decided
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

func (s set) first() int { return bits.TrailingZeros32(uint32(s)) }

// audit returns what each policy in mode Audit would have changed, alone: a denial by it turns an allow into a deny; an allow
// of all by it turns a deny into an allow, where nothing else denies. One without a verdict changes no outcome.
func (v *verdicts) audit(outcome Outcome, scopes []*scope, matches []match) []AuditOutcome {
	var audits []AuditOutcome
	add := func(policy int32, outcome Outcome, reason Reason) {
		audits = append(audits, AuditOutcome{v.snapshot.policies[policy].name, outcome, reason})
	}
	if outcome == Allow && v.blockingAudit >= 0 {
		for _, scope := range scopes {
			for _, slot := range scope.blocking {
				//nolint:gosec // fewer than 2³¹ policies
				if policy := int32(v.snapshot.rank[slot]); v.snapshot.policies[policy].mode == Audit {
					add(policy, Deny, ReasonPolicyNotEnforceable)
				}
			}
		}
	}
	for len(matches) > 0 {
		n := ofFirstPolicy(matches)
		policy := matches[0].policy
		denied, allowed, _, _ := ofOnePolicy(matches[:n])
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

// both joins the decisions of a call that is a sign-up and a progressive profile at once: allowed only if both are. An Audit
// policy changes the outcome if it would have changed it with its effects on both.
func both(signUp, update Decision) Decision {
	d, other := signUp, update
	if signUp.Outcome == Allow && update.Outcome == Deny {
		d, other = update, signUp
	}
	d.Profile = nil
	var audits []AuditOutcome
	for _, candidate := range slices.Concat(signUp.Audit, update.Audit) {
		a, b := signUp.hadBeen(candidate.Policy), update.hadBeen(candidate.Policy)
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

// hadBeen returns the outcome with an Audit policy in mode Enforce.
func (d *Decision) hadBeen(policy PolicyName) AuditOutcome {
	for _, audit := range d.Audit {
		if audit.Policy == policy {
			return audit
		}
	}
	return AuditOutcome{policy, d.Outcome, d.Reason}
}
