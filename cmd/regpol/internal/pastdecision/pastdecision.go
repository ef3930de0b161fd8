package pastdecision

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

// Cause says why the decision about a past call is unknown. "" means that it is known.
type Cause string

const (
	// NoDomain: the log does not have the domain, and not all addresses are decided alike.
	NoDomain Cause = "NoDomain"
	// NoAddress: the log has only the domain, and not all of its addresses are decided alike.
	NoAddress Cause = "Address"
	// OtherAddress: the call has a second address, which the log does not have. The policies may deny that address.
	OtherAddress Cause = "OtherAddress"
)

// Answer is how a past call would be decided: the Outcome with its Reason, by the Entry of a Policy. If this is not
// known, Unknown says why.
type Answer struct {
	Unknown Cause
	Outcome rules.Outcome
	Reason  rules.Reason
	Policy  rules.PolicyName
	Entry   rules.Entry
	Domain  string // "" if it is not known
	Address string // of the call, if it is known
	// Assumed: the log has only one address of the call. The answer is correct if the call has no address with another
	// domain.
	Assumed bool
}

// Decider decides past calls by a set of policies. It is for one goroutine.
type Decider struct {
	policies   []rules.Policy
	snapshot   *rules.Snapshot
	Digest     string // Digest is the digest of the policies, as the operator logs it
	attributes []string
	// sources are the sources that policies name, and one more that stands for all others.
	sources []string
	// locals are the local parts of the entries that are whole addresses, in lower case, by domain, sorted.
	locals map[string][]string
	// all are the decisions about the set of all addresses; nil until a call without a known domain needs them.
	all    []analysis.Decided
	cached map[string]Answer // for calls of which only the domain is known
	key    []byte
}

// maxCached is the largest number of cached decisions. It bounds the memory for a log with many domains.
const maxCached = 1 << 16

// New returns a decider by policies. attributes are the address attributes of the operator.
func New(policies []rules.Policy, attributes []string) *Decider {
	d := &Decider{policies: policies, attributes: attributes, locals: map[string][]string{}, cached: map[string]Answer{}}
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
	d.Digest = d.snapshot.Digest()
	return d
}

// addLocals adds the whole addresses that are entries of a policy, or of its lists.
func (d *Decider) addLocals(policy *rules.Compiled) {
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

// Decide decides a past call anew.
func (d *Decider) Decide(call *pastcalls.Call) (Answer, error) {
	if call.Request == nil {
		return d.decideRecord(&call.Record)
	}
	input := hookserver.CallOf(call.Request)
	decision := d.snapshot.Decide(input)
	result := answerOf(&decision)
	for _, attribute := range slices.Concat(input.Profile, input.Update) {
		if attribute.Name == decision.Attribute || decision.Attribute == "" && result.Address == "" {
			result.Address = attribute.Text
		}
	}
	return result, nil
}

func answerOf(d *rules.Decision) Answer {
	return Answer{Outcome: d.Outcome, Reason: d.Reason, Policy: d.Policy, Entry: d.Entry, Domain: d.Domain.String()}
}

// decideRecord decides a call of which only the log's record is known.
func (d *Decider) decideRecord(record *pastcalls.Record) (Answer, error) {
	if record.RequestType == rules.UnrecognisedShape.String() {
		return Answer{Outcome: rules.Deny, Reason: rules.ReasonUnrecognisedCall}, nil
	}
	switch reason := rules.Reason(record.Reason); reason {
	case rules.ReasonInvalidAddress, rules.ReasonMissingAddress, rules.ReasonUnrecognisedCall:
		return Answer{Outcome: rules.Deny, Reason: reason}, nil // regardless of the policies
	case rules.ReasonNoAddressChanged:
		return Answer{Outcome: rules.Allow, Reason: reason}, nil
	default:
	}
	result, err := d.decideDomain(record)
	if err != nil || result.Unknown != "" || result.Outcome == rules.Deny || len(d.attributes) == 1 {
		// What denies one address denies the call, whatever other addresses it has.
		return result, err
	}
	// In two cases, the decision may depend on an address that the log does not have. In the first, the logged domain
	// is not that of the first attribute, which may have another address. In the second, the log says that d's policies
	// denied the call. Since they allow the logged domain, another address caused the denial.
	otherFailed := record.Attribute != "" && record.Attribute != d.attributes[0]
	if otherFailed || record.Outcome == rules.Deny.String() && record.Digest == d.Digest {
		return Answer{Unknown: OtherAddress, Domain: result.Domain}, nil
	}
	result.Assumed = true
	return result, nil
}

// decideDomain decides a call with one address. The record has the domain of this address, or no part of it.
func (d *Decider) decideDomain(record *pastcalls.Record) (Answer, error) {
	d.key = append(d.key[:0], record.Domain...)
	d.key = append(append(d.key, 0), record.Source...)
	d.key = append(append(d.key, 0), record.RequestType...)
	if result, known := d.cached[string(d.key)]; known {
		return result, nil
	}
	var result Answer
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

// decideAt decides the addresses of a domain. An entry matches either all addresses of a domain or, if it is a whole
// address, only that address and perhaps its sub-addresses. So it is enough to decide one address of each kind.
func (d *Decider) decideAt(domain string, record *pastcalls.Record) Answer {
	decided := Answer{Unknown: NoAddress, Domain: domain}
	for local := range d.kindsAt(domain) {
		address := local + "@" + domain
		if _, err := rules.ParseAddress(address); err != nil {
			continue // the address is too long, so no call can have it
		}
		for _, call := range d.callsWith(record, address) {
			decision := d.snapshot.Decide(call)
			switch {
			case decided.Unknown != "":
				decided = answerOf(&decision)
			case decision.Outcome != decided.Outcome:
				return Answer{Unknown: NoAddress, Domain: domain}
			}
		}
	}
	return decided
}

// kindsAt yields one local part for each kind of address of a domain. The addresses of one kind are matched by the same
// entries. The first kind has the addresses that no whole-address entry matches.
func (d *Decider) kindsAt(domain string) iter.Seq[string] {
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

// sourcesOf returns the sources that a call may have. This is the logged source, or all sources if the logged text
// begins with an exclamation mark. The operator logs such a text in place of a source that must not be logged.
func (d *Decider) sourcesOf(record *pastcalls.Record) []string {
	if strings.HasPrefix(record.Source, "!") {
		return d.sources
	}
	return []string{record.Source}
}

// callsWith returns the calls that a record may be about, each with this address as its only one.
func (d *Decider) callsWith(record *pastcalls.Record, address string) []rules.Call {
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
		default: // the record does not have the request type
			calls = append(calls, signUp, update)
		}
	}
	return calls
}

// decideAnyone decides a call of which not even the domain is known.
func (d *Decider) decideAnyone(record *pastcalls.Record) (Answer, error) {
	if d.all == nil {
		var err error
		if d.all, err = analysis.Every(d.policies, analysis.Set{Addresses: []string{"*"}}); err != nil {
			return Answer{}, err
		}
	}
	switch record.RequestType {
	case rules.SignUp.String(), rules.ProfileUpdate.String():
		return d.decideEveryone(rules.RequestType(record.RequestType), record), nil
	default:
	}
	first := d.decideEveryone(rules.SelfServiceRegistration, record)
	second := d.decideEveryone(rules.ProgressiveProfile, record)
	isDenial := func(a Answer) bool { return a.Unknown == "" && a.Outcome == rules.Deny }
	switch {
	case record.RequestType == rules.Both.String() && isDenial(first): // such a call must be allowed as each of the two
		return first, nil
	case record.RequestType == rules.Both.String() && isDenial(second):
		return second, nil
	case first.Unknown == "" && second.Unknown == "" && first.Outcome == second.Outcome:
		return first, nil
	default:
		return Answer{Unknown: NoDomain}, nil
	}
}

// decideEveryone decides all addresses in calls of a request type. The answer has a reason, policy and entry only if
// they are the same for all addresses.
func (d *Decider) decideEveryone(request rules.RequestType, record *pastcalls.Record) Answer {
	decided := Answer{Unknown: NoDomain}
	for i := range d.all {
		part := &d.all[i]
		if !slices.ContainsFunc(d.sourcesOf(record), func(source string) bool { return d.has(part.Calls, request, source) }) {
			continue
		}
		this := Answer{Outcome: part.Outcome, Reason: part.Reason, Policy: part.Policy, Entry: part.Entry}
		switch {
		case decided.Unknown != "":
			decided = this
		case decided.Outcome != this.Outcome:
			return Answer{Unknown: NoDomain}
		case decided != this:
			decided.Reason, decided.Policy, decided.Entry = "", rules.PolicyName{}, rules.Entry{}
		}
	}
	return decided
}

// has reports whether the calls of a request type from a source are among some calls.
func (d *Decider) has(calls []analysis.Calls, request rules.RequestType, source string) bool {
	return slices.ContainsFunc(calls, func(c analysis.Calls) bool {
		return c.Request == request && (c.AnySource || slices.Contains(c.Sources, source) || c.OtherSources && !d.names(source))
	})
}

// Comparison compares earlier policies with those of now, for calls of which the log lacks a part.
type Comparison struct {
	before, now *Decider
	changes     []analysis.Change
	isDone      bool
}

// Compare returns the comparison of two sets of policies.
func Compare(before, now *Decider) *Comparison { return &Comparison{before: before, now: now} }

// maxCompared is the largest number of addresses in a call that package analysis compares.
const maxCompared = 2

// Unchanged reports whether a call that the earlier policies decided certainly keeps its outcome, whatever its
// addresses are. That is so if no change of the policies reverses this outcome for calls of the same request type and
// source.
func (c *Comparison) Unchanged(record *pastcalls.Record) (bool, error) {
	isSignUp, isUpdate := record.RequestType == rules.SignUp.String(), record.RequestType == rules.ProfileUpdate.String()
	if c == nil || record.Digest != c.before.Digest || !isSignUp && !isUpdate || len(c.now.attributes) > maxCompared {
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
func (c *Comparison) isNamed(source string) bool {
	return c.before.names(source) || c.now.names(source)
}

// names reports whether a policy names a source.
func (d *Decider) names(source string) bool {
	return slices.Contains(d.sources[:len(d.sources)-1], source)
}
