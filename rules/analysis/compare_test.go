package analysis_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
	"registrationpolicy.dev/operator/test/random"
)

// sets is how many pairs of sets of policies the main property draws; `make fuzz` draws 100,000.
var sets = flag.Int("sets", 1500, "pairs of sets of policies")

// The addresses, sources and request types of the calls that the property decides by brute force. They meet the entries
// that package random draws, and the space around them.
var (
	locals  = []string{"jo", "jo+x", "jo+y", "al", "user"}
	domains = []string{"acme.test", "a.acme.test", "b.a.acme.test", "z.acme.test", "xn--fa-hia.test", "acme.co.uk", "kawasaki.jp", "other.example"}
	sources = []string{"rul1", "rul2", "", "elsewhere"}
	types   = []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile}
)

// decided is the result of a decision, in the form of this package.
func decided(s *rules.Snapshot, request rules.RequestType, source string, addresses ...string) analysis.Result {
	var attributes []rules.Attribute
	for i, address := range addresses {
		attributes = append(attributes, rules.Attribute{Name: []string{"email", "login"}[i], Kind: rules.Text, Text: address})
	}
	call := rules.Call{Shape: rules.SignUp, Source: source, Profile: attributes}
	if request == rules.ProgressiveProfile {
		call = rules.Call{Shape: rules.ProfileUpdate, Source: source, Update: attributes}
	}
	d := s.Decide(call)
	result := analysis.Result{Outcome: d.Outcome, Reason: d.Reason, Policy: d.Policy, Entry: d.Entry, Message: d.Message}
	if len(d.Profile) > 0 {
		members := map[string]json.RawMessage{}
		for _, a := range d.Profile {
			members[a.Name] = json.RawMessage(a.Value)
		}
		text, _ := json.Marshal(members)
		result.Profile = string(text)
	}
	return result
}

// kindOf is the definition of a change, without regard to how it is found.
func kindOf(was, now analysis.Result) analysis.Kind {
	was.Policy, was.Entry, now.Policy, now.Entry = rules.PolicyName{}, rules.Entry{}, rules.PolicyName{}, rules.Entry{}
	switch {
	case was == now:
		return 0
	case was.Outcome == rules.Deny && now.Outcome == rules.Allow:
		return analysis.Widened
	case was.Outcome == rules.Allow && now.Outcome == rules.Deny:
		return analysis.Narrowed
	case was.Outcome == rules.Deny:
		return analysis.OtherText
	default:
		return analysis.OtherProfile
	}
}

// includes reports whether a call of this type and source is one of those of a change.
func includes(c analysis.Change, request rules.RequestType, source string, named map[string]bool) bool {
	return slices.ContainsFunc(c.Calls, func(calls analysis.Calls) bool {
		return calls.Request == request &&
			(calls.AnySource || slices.Contains(calls.Sources, source) || calls.OtherSources && !named[source])
	})
}

// has reports whether a region has an address, by reading its parts one after the other.
func has(r analysis.Region, address string) bool {
	in := false
	local, name, _ := strings.Cut(strings.ToLower(address), "@")
	base, _, _ := strings.Cut(local, "+")
	for _, part := range r.Parts {
		matches := part.Self && part.Name == name || part.Below && (part.Name == "" || strings.HasSuffix(name, "."+part.Name))
		if part.Local != "" {
			matches = part.Name == name && (part.Local == local || part.Local == base+"+*")
		}
		if matches {
			in = !part.Except
		}
	}
	return in
}

// calls are the calls that a test decides: one address and each pair of two, from each source, of both request types.
type calls struct {
	addresses, sources []string
}

// allCalls returns every call of the alphabet above.
func allCalls() calls {
	c := calls{sources: sources}
	for _, domain := range domains {
		for _, local := range locals {
			c.addresses = append(c.addresses, local+"@"+domain)
		}
	}
	return c
}

// someCalls draws few calls of the alphabet above.
func someCalls(d random.Draw) calls {
	c := calls{sources: []string{random.One(d, sources), random.One(d, sources)}}
	for range 6 {
		if address := random.One(d, locals) + "@" + random.One(d, domains); !slices.Contains(c.addresses, address) {
			c.addresses = append(c.addresses, address)
		}
	}
	return c
}

// verify compares the changes with the decisions on calls.
func verify(t errorLog, before, after []rules.Policy, calls calls) {
	changes, err := analysis.Compare(before, after)
	if err != nil {
		t.Errorf("%v", err)
	}
	verifyChanges(t, changes, before, after, calls)
}

// errorLog is the part of [testing.T] that verify uses.
type errorLog interface {
	Errorf(format string, args ...any)
}

func verifyChanges(t errorLog, changes []analysis.Change, before, after []rules.Policy, calls calls) {
	was, _ := rules.Compile(before)
	now, _ := rules.Compile(after)
	named := map[string]bool{}
	for _, p := range slices.Concat(before, after) {
		for _, source := range p.Sources {
			named[source] = named[source] || p.Mode != rules.Audit
		}
	}
	addresses := calls.addresses
	for _, request := range types {
		for _, source := range calls.sources {
			kinds := make([]analysis.Kind, len(addresses))
			for i, address := range addresses {
				a, b := decided(was, request, source, address), decided(now, request, source, address)
				kinds[i] = kindOf(a, b)
				found := 0
				for _, c := range changes {
					if len(c.Witness) == 1 && includes(c, request, source, named) && has(c.Region, address) {
						found++
						if c.Kind != kinds[i] || c.Was != a || c.Now != b {
							t.Errorf("%s of %q from %q: the change says %d, %+v, %+v; decided %d, %+v, %+v",
								request, address, source, c.Kind, c.Was, c.Now, kinds[i], a, b)
						}
					}
				}
				if want := min(int(kinds[i]), 1); found != want {
					t.Errorf("%s of %q from %q is in %d changes, want %d (%+v, %+v)", request, address, source, found, want, a, b)
				}
			}
			for i := range addresses {
				for j := range i {
					a, b := decided(was, request, source, addresses[i], addresses[j]), decided(now, request, source, addresses[i], addresses[j])
					kind := kindOf(a, b)
					if kind == 0 || kind == kinds[i] || kind == kinds[j] {
						continue
					}
					if !slices.ContainsFunc(changes, func(c analysis.Change) bool {
						return len(c.Witness) == 2 && c.Kind == kind && includes(c, request, source, named) && kindOf(c.Was, a) == 0 && kindOf(c.Now, b) == 0
					}) {
						t.Errorf("%s of %q and %q from %q: no change of kind %d (%+v, %+v)", request, addresses[i], addresses[j], source, kind, a, b)
					}
				}
			}
		}
	}
	for _, c := range changes {
		verifyWitness(t, was, now, c)
	}
}

// verifyWitness decides the example of a change in each of its calls.
func verifyWitness(t errorLog, was, now *rules.Snapshot, c analysis.Change) {
	var addresses []string
	for _, w := range c.Witness {
		addresses = append(addresses, w.Address)
		if len(c.Witness) == 1 && !has(c.Region, w.Address) {
			t.Errorf("the example %q is not in its region %+v", w.Address, c.Region)
		}
	}
	for _, calls := range c.Calls {
		from := slices.Clone(calls.Sources)
		if calls.AnySource || calls.OtherSources {
			from = append(from, "a source that no policy names")
		}
		for _, source := range from {
			a, b := decided(was, calls.Request, source, addresses...), decided(now, calls.Request, source, addresses...)
			if kindOf(a, b) != c.Kind || kindOf(a, c.Was) != 0 || kindOf(b, c.Now) != 0 {
				t.Errorf("%q from %q: the change says %d, %+v, %+v; decided %+v, %+v", addresses, source, c.Kind, c.Was, c.Now, a, b)
			}
		}
	}
}

// edited returns the policies after a few edits.
func edited(d random.Draw, policies []rules.Policy) []rules.Policy {
	after := slices.Clone(policies)
	for range 1 + d.IntN(2) {
		switch {
		case len(after) > 0 && d.Often(1, 3):
			i := d.IntN(len(after))
			after = slices.Delete(after, i, i+1)
		case len(after) > 0 && d.Often(2, 3):
			i := d.IntN(len(after))
			name := after[i].PolicyName
			after[i] = d.Policy()
			after[i].PolicyName = name
		default:
			p := d.Policy()
			p.Name = fmt.Sprintf("new%d", len(after))
			after = append(after, p)
		}
	}
	return after
}

// twoSets draws a set of policies, and either an edit of it or another set.
func twoSets(d random.Draw) (before, after []rules.Policy) {
	before = d.Policies()
	if d.Often(1, 4) {
		return before, d.Policies()
	}
	return before, edited(d, before)
}

func TestCompareFindsEveryChangeAndInventsNone(t *testing.T) {
	random.Each(t, 40, func(t *testing.T, d random.Draw) {
		before, after := twoSets(d)
		verify(t, before, after, allCalls())
	})
	random.Each(t, *sets, func(t *testing.T, d random.Draw) {
		before, after := twoSets(d)
		verify(t, before, after, someCalls(d))
	})
}

func FuzzCompare(f *testing.F) {
	f.Fuzz(func(t *testing.T, seed uint64) {
		d := random.New(seed)
		for range 20 {
			before, after := twoSets(d)
			verify(t, before, after, someCalls(d))
		}
	})
}

// errorCount counts errors instead of reporting them.
type errorCount int

func (c *errorCount) Errorf(string, ...any) { *c++ }

func TestTheComparisonWithDecisionsFindsPlantedFaults(t *testing.T) {
	faults := map[string]func(d random.Draw, changes []analysis.Change) []analysis.Change{
		"a change is missing": func(d random.Draw, changes []analysis.Change) []analysis.Change {
			i := d.IntN(len(changes))
			return slices.Delete(changes, i, i+1)
		},
		"a part of a region is missing": func(d random.Draw, changes []analysis.Change) []analysis.Change {
			c := &changes[d.IntN(len(changes))]
			if n := len(c.Region.Parts); n > 0 {
				i := d.IntN(n)
				c.Region.Parts = slices.Delete(slices.Clone(c.Region.Parts), i, i+1)
			}
			return changes
		},
		"a region does not reach the names below": func(d random.Draw, changes []analysis.Change) []analysis.Change {
			c := &changes[d.IntN(len(changes))]
			for i := range c.Region.Parts {
				c.Region.Parts[i].Below = false
			}
			return changes
		},
		"a change has no calls from other sources": func(d random.Draw, changes []analysis.Change) []analysis.Change {
			c := &changes[d.IntN(len(changes))]
			for i := range c.Calls {
				c.Calls[i].AnySource, c.Calls[i].OtherSources = false, false
			}
			return changes
		},
		"what widens is said to narrow": func(d random.Draw, changes []analysis.Change) []analysis.Change {
			c := &changes[d.IntN(len(changes))]
			c.Kind = analysis.Widened + analysis.Narrowed - min(c.Kind, analysis.Narrowed)
			return changes
		},
	}
	for sentence, plant := range faults {
		t.Run(sentence, func(t *testing.T) {
			var found errorCount
			for seed := range uint64(100) {
				d := random.New(seed)
				before, after := twoSets(d)
				if changes, err := analysis.Compare(before, after); err == nil && len(changes) > 0 {
					verifyChanges(&found, plant(d, changes), before, after, allCalls())
				}
			}
			if found == 0 {
				t.Error("no error in 100 pairs of sets")
			}
		})
	}
}

func TestASetIsNotDifferentFromItself(t *testing.T) {
	random.Each(t, 200, func(t *testing.T, d random.Draw) {
		policies := d.Policies()
		after := slices.Clone(policies)
		d.Shuffle(len(after), func(i, j int) { after[i], after[j] = after[j], after[i] })
		if changes, err := analysis.Compare(policies, after); err != nil || len(changes) > 0 {
			t.Errorf("%d changes, %v: %+v", len(changes), err, changes)
		}
	})
}
