package main

import (
	"iter"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/pastcalls"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// unknownCause says why it is not known how a past call would be decided. "" means that it is.
type unknownCause string

const (
	// unknownNoDomain: the log does not have the domain, and not all addresses are decided alike.
	unknownNoDomain unknownCause = "NoDomain"
	// unknownAddress: the log has only the domain, and not all of its addresses are decided alike.
	unknownAddress unknownCause = "Address"
	// unknownOther: the call has another address, which the log does not have, and which may be denied.
	unknownOther unknownCause = "OtherAddress"
)

// answer is how a past call would be decided.
type answer struct {
	unknown unknownCause
	outcome rules.Outcome
	reason  rules.Reason
	policy  rules.PolicyName
	entry   rules.Entry
	domain  string // "" if it is not known
	address string // of the call, if it is known
	// assumed: the log has one address of the call, and it is assumed that it has no other with another domain.
	assumed bool
}

// decider decides past calls by a set of policies. It is for one goroutine.
type decider struct {
	policies   []rules.Policy
	snapshot   *rules.Snapshot
	digest     string
	attributes []string
	// sources are the sources that policies name, and one more that stands for all others.
	sources []string
	// locals are the local parts, folded, of the entries that are whole addresses, by domain, sorted.
	locals map[string][]string
	// all are the decisions on all addresses; nil until a call needs them.
	all    []analysis.Decided
	cached map[string]answer // for calls of which only the domain is known
	key    []byte
}

// maxCached bounds the decisions that are kept, and so the memory for a log with many domains.
const maxCached = 1 << 16

func newDecider(policies []rules.Policy, attributes []string) *decider {
	d := &decider{policies: policies, attributes: attributes, locals: map[string][]string{}, cached: map[string]answer{}}
	compiled := make([]*rules.Compiled, len(policies))
	for i := range policies {
		compiled[i] = rules.CompilePolicy(policies[i])
		if compiled[i].Mode() == rules.Enforce {
			d.addLocals(compiled[i])
			_, sources := compiled[i].AppliesTo()
			d.sources = append(d.sources, sources...)
		}
	}
	for _, locals := range d.locals {
		slices.Sort(locals)
	}
	slices.Sort(d.sources)
	d.sources = slices.Compact(d.sources)
	other := "other"
	for slices.Contains(d.sources, other) {
		other += "-other"
	}
	d.sources = append(d.sources, other)
	d.snapshot = rules.Assemble(nil, compiled)
	d.digest = d.snapshot.Digest()
	return d
}

// addLocals adds the whole addresses that are entries of a policy, or of its lists.
func (d *decider) addLocals(policy *rules.Compiled) {
	add := func(key string) {
		if local, domain, found := strings.Cut(key, "@"); found {
			d.locals[domain] = append(d.locals[domain], local)
		}
	}
	for reading := range policy.Readings() {
		add(reading.Key())
	}
	for list := range policy.ListsInForce() {
		for reading := range list.List.Readings(list.Denies) {
			add(reading.Key)
		}
	}
}

// decide decides a past call anew.
func (d *decider) decide(call *pastcalls.Call) (answer, error) {
	if call.Request == nil {
		return d.decideRecord(&call.Record)
	}
	input := hookserver.CallOf(call.Request)
	decision := d.snapshot.Decide(input)
	result := answerOf(&decision)
	for _, attribute := range slices.Concat(input.Profile, input.Update) {
		if attribute.Name == decision.Attribute || decision.Attribute == "" && result.address == "" {
			result.address = attribute.Text
		}
	}
	return result, nil
}

func answerOf(d *rules.Decision) answer {
	return answer{outcome: d.Outcome, reason: d.Reason, policy: d.Policy, entry: d.Entry, domain: d.Domain.String()}
}

// decideRecord decides a call of which only a record is known.
func (d *decider) decideRecord(record *pastcalls.Record) (answer, error) {
	if record.RequestType == rules.UnrecognisedShape.String() {
		return answer{outcome: rules.Deny, reason: rules.ReasonUnrecognisedCall}, nil
	}
	switch reason := rules.Reason(record.Reason); reason {
	case rules.ReasonInvalidAddress, rules.ReasonMissingAddress, rules.ReasonUnrecognisedCall:
		return answer{outcome: rules.Deny, reason: reason}, nil // regardless of the policies
	case rules.ReasonNoAddressChanged:
		return answer{outcome: rules.Allow, reason: reason}, nil
	default:
	}
	result, err := d.decideDomain(record)
	if err != nil || result.unknown != "" || result.outcome == rules.Deny || len(d.attributes) == 1 {
		// What denies one address denies the call, whatever other addresses it has.
		return result, err
	}
	otherFailed := record.Attribute != "" && record.Attribute != d.attributes[0]
	if otherFailed || record.Outcome == rules.Deny.String() && record.Digest == d.digest { // by these same rules
		return answer{unknown: unknownOther, domain: result.domain}, nil
	}
	result.assumed = true
	return result, nil
}

// decideDomain decides a call with one address, of which the domain is known, or nothing.
func (d *decider) decideDomain(record *pastcalls.Record) (answer, error) {
	d.key = append(d.key[:0], record.Domain...)
	d.key = append(append(d.key, 0), record.Source...)
	d.key = append(append(d.key, 0), record.RequestType...)
	if result, known := d.cached[string(d.key)]; known {
		return result, nil
	}
	var result answer
	var err error
	domain, parseErr := rules.ParseDomain(record.Domain)
	if parseErr != nil {
		result, err = d.decideAnyone(record)
	} else {
		result = d.decideAt(domain.String(), record)
	}
	if len(d.cached) >= maxCached {
		clear(d.cached)
	}
	d.cached[string(d.key)] = result
	return result, err
}

// decideAt decides the addresses of a domain. Entries match either all addresses of a domain or, if they are whole
// addresses, those that they name. So one address of each kind stands for all.
func (d *decider) decideAt(domain string, record *pastcalls.Record) answer {
	decided := answer{unknown: unknownAddress, domain: domain}
	for local := range d.kindsAt(domain) {
		address := local + "@" + domain
		if _, err := rules.ParseAddress(address); err != nil {
			continue // too long, so that no call has it
		}
		for _, call := range d.callsWith(record, address) {
			decision := d.snapshot.Decide(call)
			switch {
			case decided.unknown != "":
				decided = answerOf(&decision)
			case decision.Outcome != decided.outcome:
				return answer{unknown: unknownAddress, domain: domain}
			}
		}
	}
	return decided
}

// kindsAt yields a local part for each kind of address of a domain. No entry mentions the first.
func (d *decider) kindsAt(domain string) iter.Seq[string] {
	locals := d.locals[domain]
	unlike := func(prefix string) string {
		for i := 0; ; i++ {
			local := prefix + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
			_, isEntry := slices.BinarySearch(locals, local)
			_, hasEntry := slices.BinarySearch(locals, local+outcome.SubAddresses)
			if !isEntry && !hasEntry {
				return local
			}
		}
	}
	return func(yield func(string) bool) {
		if !yield(unlike("")) {
			return
		}
		for _, local := range locals {
			base, all := strings.CutSuffix(local, outcome.SubAddresses)
			if !yield(base) || all && !yield(unlike(base+"+")) {
				return
			}
		}
	}
}

// sourcesOf returns the source of a call, or all of them if the log does not have it: a text that begins with ! stands
// for one that must not be logged.
func (d *decider) sourcesOf(record *pastcalls.Record) []string {
	if strings.HasPrefix(record.Source, "!") {
		return d.sources
	}
	return []string{record.Source}
}

// callsWith returns the calls with one address that a record can be about.
func (d *decider) callsWith(record *pastcalls.Record, address string) []rules.Call {
	attributes := []rules.Attribute{{Name: d.attributes[0], Kind: rules.Text, Text: address}}
	var calls []rules.Call
	for _, source := range d.sourcesOf(record) {
		signUp := rules.Call{Shape: rules.SignUp, Source: source, Profile: attributes}
		update := rules.Call{Shape: rules.ProfileUpdate, Source: source, Update: attributes}
		switch record.RequestType {
		case rules.SignUp.String():
			calls = append(calls, signUp)
		case rules.ProfileUpdate.String():
			calls = append(calls, update)
		case rules.Both.String():
			calls = append(calls, rules.Call{Shape: rules.Both, Source: source, Profile: attributes, Update: attributes})
		default: // not known
			calls = append(calls, signUp, update)
		}
	}
	return calls
}

// decideAnyone decides a call of which not even the domain is known.
func (d *decider) decideAnyone(record *pastcalls.Record) (answer, error) {
	if d.all == nil {
		var err error
		if d.all, err = analysis.Every(d.policies, analysis.Set{Addresses: []string{"*"}}); err != nil {
			return answer{}, err
		}
	}
	switch record.RequestType {
	case rules.SignUp.String(), rules.ProfileUpdate.String():
		return d.decideEveryone(rules.RequestType(record.RequestType), record), nil
	default:
	}
	first := d.decideEveryone(rules.SelfServiceRegistration, record)
	second := d.decideEveryone(rules.ProgressiveProfile, record)
	isDenial := func(a answer) bool { return a.unknown == "" && a.outcome == rules.Deny }
	switch {
	case record.RequestType == rules.Both.String() && isDenial(first): // a call that is both needs both
		return first, nil
	case record.RequestType == rules.Both.String() && isDenial(second):
		return second, nil
	case first.unknown == "" && second.unknown == "" && first.outcome == second.outcome:
		return first, nil
	default:
		return answer{unknown: unknownNoDomain}, nil
	}
}

// decideEveryone decides all addresses in calls of a request type. The cause is given only if it is the same for all.
func (d *decider) decideEveryone(request rules.RequestType, record *pastcalls.Record) answer {
	decided := answer{unknown: unknownNoDomain}
	for i := range d.all {
		part := &d.all[i]
		if !slices.ContainsFunc(d.sourcesOf(record), func(source string) bool { return d.has(part.Calls, request, source) }) {
			continue
		}
		this := answer{outcome: part.Outcome, reason: part.Reason, policy: part.Policy, entry: part.Entry}
		switch {
		case decided.unknown != "":
			decided = this
		case decided.outcome != this.outcome:
			return answer{unknown: unknownNoDomain}
		case decided != this:
			decided.reason, decided.policy, decided.entry = "", rules.PolicyName{}, rules.Entry{}
		}
	}
	return decided
}

// has reports whether the calls of a request type from a source are among some calls.
func (d *decider) has(calls []analysis.Calls, request rules.RequestType, source string) bool {
	return slices.ContainsFunc(calls, func(c analysis.Calls) bool {
		return c.Request == request && (c.AnySource || slices.Contains(c.Sources, source) || c.OtherSources && !d.names(source))
	})
}

// comparison compares the policies before with those of now, for calls of which the log does not say enough.
type comparison struct {
	before, now *decider
	changes     []analysis.Change
	isDone      bool
}

// maxCompared is up to how many addresses of a call package analysis compares all calls.
const maxCompared = 2

// unchanged reports whether a call that the policies before decided keeps its outcome, whatever its addresses are: no
// change of the policies turns such an outcome for calls of its request type and source.
func (c *comparison) unchanged(record *pastcalls.Record) (bool, error) {
	isSignUp, isUpdate := record.RequestType == rules.SignUp.String(), record.RequestType == rules.ProfileUpdate.String()
	if c == nil || record.Digest != c.before.digest || !isSignUp && !isUpdate || len(c.now.attributes) > maxCompared {
		return false, nil
	}
	if !c.isDone {
		var err error
		if c.changes, err = analysis.Compare(c.before.policies, c.now.policies); err != nil {
			return false, err
		}
		c.isDone = true
	}
	kind := analysis.Narrowed
	if record.Outcome == rules.Deny.String() {
		kind = analysis.Widened
	}
	return !slices.ContainsFunc(c.changes, func(change analysis.Change) bool {
		return change.Kind == kind && slices.ContainsFunc(change.Calls, func(calls analysis.Calls) bool {
			return string(calls.Request) == record.RequestType && (calls.AnySource || strings.HasPrefix(record.Source, "!") ||
				slices.Contains(calls.Sources, record.Source) || calls.OtherSources && !c.isNamed(record.Source))
		})
	}), nil
}

// isNamed reports whether a policy of either side names a source.
func (c *comparison) isNamed(source string) bool {
	return c.before.names(source) || c.now.names(source)
}

// names reports whether a policy names a source.
func (d *decider) names(source string) bool {
	return slices.Contains(d.sources[:len(d.sources)-1], source)
}
