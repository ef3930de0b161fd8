package rules_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// edits is a set of policies that is edited again and again, with what was compiled of it.
type edits struct {
	random.Draw
	policies map[rules.PolicyName]rules.Policy
	compiled map[rules.PolicyName]*rules.Compiled
}

func newEdits(d random.Draw) *edits {
	return &edits{d, map[rules.PolicyName]rules.Policy{}, map[rules.PolicyName]*rules.Compiled{}}
}

func (e *edits) put(p rules.Policy) {
	e.policies[p.PolicyName], e.compiled[p.PolicyName] = p, rules.CompilePolicy(p)
}

func (e *edits) remove(name rules.PolicyName) {
	delete(e.policies, name)
	delete(e.compiled, name)
}

// known draws the name of a policy of the set.
func (e *edits) known() (name rules.PolicyName, found bool) {
	if len(e.policies) == 0 {
		return name, false
	}
	names := slices.SortedFunc(maps.Keys(e.policies), rules.PolicyName.Compare)
	return random.One(e.Draw, names), true
}

// edit makes one random edit.
func (e *edits) edit() {
	name, found := e.known()
	if !found || e.Often(1, 3) {
		p := e.Policy() // a new one, or all of one anew
		if e.Often(1, 2) {
			p.Name += fmt.Sprint(e.IntN(40))
		}
		e.put(p)
		return
	}
	p := clone(e.policies[name])
	switch e.IntN(11) {
	case 0, 1:
		e.remove(name)
		return
	case 2:
		p.Allow.Domains = append(p.Allow.Domains, e.AllowDomain())
	case 3:
		p.Deny.Domains = e.Many(3, e.DenyDomain)
	case 4:
		e.AppliesTo(&p)
	case 5:
		p.Mode = random.One(e.Draw, []rules.Mode{rules.Enforce, rules.Audit})
	case 6:
		p.Deny.Lists = []rules.ListUse{e.List()}
	case 7:
		p.NotUnderstood = random.One(e.Draw, []string{"", "an unknown member"})
	case 8:
		p.Allow.Lists = []rules.ListUse{e.List(), e.List()}
	case 9:
		p.Allow.Lists, p.Deny.Lists = nil, nil
	case 10: // the same list as another policy
		if other, found := e.known(); found {
			first := func(uses []rules.ListUse) []rules.ListUse { return uses[:min(1, len(uses))] }
			p.Deny.Lists = slices.Concat(first(p.Deny.Lists), first(e.policies[other].Deny.Lists))
		}
	}
	e.put(p)
}

func (e *edits) assemble(before *rules.Snapshot) *rules.Snapshot {
	all := slices.Collect(maps.Values(e.compiled))
	swap := func(i, j int) { all[i], all[j] = all[j], all[i] }
	switch e.IntN(3) {
	case 0:
		e.Shuffle(len(all), swap)
	case 1: // sorted, except for two policies
		all = e.sorted()
		if len(all) > 0 {
			swap(e.IntN(len(all)), e.IntN(len(all)))
		}
	default:
		all = e.sorted()
	}
	return rules.Assemble(before, all)
}

// sorted returns the compiled policies in the order of their names.
func (e *edits) sorted() []*rules.Compiled {
	var sorted []*rules.Compiled
	for _, name := range slices.SortedFunc(maps.Keys(e.compiled), rules.PolicyName.Compare) {
		sorted = append(sorted, e.compiled[name])
	}
	return sorted
}

// Rules that came about edit by edit say the same as rules made from nothing, and have the same digest.
func TestEditByEditIsTheSameAsFromNothing(t *testing.T) {
	random.Each(t, cases/10, func(t *testing.T, d random.Draw) {
		e := newEdits(d)
		for range d.IntN(40) {
			e.edit()
		}
		snapshot := e.assemble(nil)
		for range 20 {
			for range 1 + d.IntN(3) {
				e.edit()
			}
			earlier, before := snapshot, e.calls()
			answers := answersOf(earlier, before)
			snapshot = e.assemble(earlier)
			if diff := cmp.Diff(answers, answersOf(earlier, before)); diff != "" {
				t.Fatalf("the earlier snapshot changed:\n%s", diff)
			}
			whole, _ := rules.Compile(slices.Collect(maps.Values(e.policies)))
			if snapshot.Digest() != whole.Digest() || !slices.Equal(snapshot.Policies(), whole.Policies()) {
				t.Fatalf("digest %s, want %s; policies %v, want %v", snapshot.Digest(), whole.Digest(), snapshot.Policies(), whole.Policies())
			}
			if got := rules.DigestOf(slices.Collect(maps.Values(e.compiled))); got != whole.Digest() {
				t.Fatalf("DigestOf says %s, want %s", got, whole.Digest())
			}
			calls := e.calls()
			if diff := cmp.Diff(answersOf(whole, calls), answersOf(snapshot, calls)); diff != "" {
				t.Fatalf("decisions (-from nothing +edit by edit):\n%s", diff)
			}
			for _, call := range calls[:2] {
				_, want := whole.Explain(call)
				if _, got := snapshot.Explain(call); !cmp.Equal(want, got) {
					t.Fatalf("traces (-from nothing +edit by edit):\n%s", cmp.Diff(want, got))
				}
			}
		}
	})
}

func (e *edits) calls() []rules.Call {
	calls := make([]rules.Call, 8)
	for i := range calls {
		calls[i] = e.Call()
	}
	return calls
}

func answersOf(snapshot *rules.Snapshot, calls []rules.Call) []string {
	answers := make([]string, len(calls))
	for i := range calls {
		decision := snapshot.Decide(calls[i])
		answers[i] = fmt.Sprintf("%+v", answerOf(&decision))
	}
	return answers
}

// manyScopes draws a policy of many entries. Its appliesTo is often different from that of other policies, and its
// entries are often the same, so that many scopes have entries of one domain.
func manyScopes(d random.Draw, name string) rules.Policy {
	domain := func() string {
		if d.Often(1, 4) {
			return fmt.Sprintf("d%d.test", d.IntN(4))
		}
		return fmt.Sprintf("d%d.test", d.IntN(2000))
	}
	p := rules.Policy{PolicyName: named(name), Mode: random.One(d, []rules.Mode{rules.Enforce, rules.Enforce, rules.Audit})}
	for range d.IntN(300) {
		p.Allow.Domains = append(p.Allow.Domains, domain())
	}
	for range d.IntN(20) {
		p.Deny.Addresses = append(p.Deny.Addresses, "jo@"+domain())
	}
	for source := range 7 {
		if d.Often(1, 4) {
			p.Sources = append(p.Sources, fmt.Sprintf("rul%d", source))
		}
	}
	if d.Often(1, 3) {
		p.RequestTypes = []rules.RequestType{random.One(d, []rules.RequestType{rules.SelfServiceRegistration, rules.ProgressiveProfile})}
	}
	if d.Often(1, 20) {
		p.NotUnderstood = "an unknown member"
	}
	return p
}

// manyScopesCall draws a call that policies of manyScopes may match.
func manyScopesCall(d random.Draw) rules.Call {
	address := func() rules.Attribute {
		return text("email", fmt.Sprintf("%s@d%d.test", random.One(d, []string{"jo", "al"}), random.One(d, []int{0, 1, 2, 3, d.IntN(2000)})))
	}
	login := address()
	login.Name = "login"
	return rules.Call{
		Shape: random.One(d, []rules.Shape{rules.SignUp, rules.ProfileUpdate, rules.Both}), Source: fmt.Sprintf("rul%d", d.IntN(8)),
		Profile: []rules.Attribute{address(), login}, Update: []rules.Attribute{address()},
	}
}

// Many scopes with entries of the same domains are decided as the slow reference decides them.
func TestManyScopesAreDecidedAsByTheReference(t *testing.T) {
	random.Each(t, cases/10, func(t *testing.T, d random.Draw) {
		var policies []rules.Policy
		for i := range 40 {
			p := d.Policy()
			p.Name, p.Sources = fmt.Sprintf("p%d", i), nil
			for source := range 6 {
				if d.Often(1, 3) {
					p.Sources = append(p.Sources, fmt.Sprintf("rul%d", source))
				}
			}
			if p.NotUnderstood != "" || len(p.Deny.Domains) > 0 && d.Often(3, 4) { // otherwise nearly every call is denied
				p.Mode = rules.Audit
			}
			policies = append(policies, p)
		}
		snapshot, _ := rules.Compile(policies)
		for range 5 {
			call := d.Call()
			call.Source = fmt.Sprintf("rul%d", d.IntN(7))
			decision := snapshot.Decide(call)
			if got, want := answerOf(&decision), refDecide(policies, call); got != want {
				t.Fatalf("call %+v\ngot  %+v\nwant %+v", call, got, want)
			}
		}
	})
}

// Among so many domains some have equal hashes, which have 32 bits in the index.
func TestDomainsWithEqualHashesAreToldApart(t *testing.T) {
	const domains = 120_000 // about two pairs
	var policies []rules.Policy
	name := func(i int) string { return fmt.Sprintf("d%d.test", i) }
	for from := range 4 {
		p := allow(fmt.Sprintf("p%d", from))
		for i := from; i < domains; i += 4 {
			p.Allow.Domains = append(p.Allow.Domains, name(i))
		}
		policies = append(policies, p)
	}
	snapshot, _ := rules.Compile(policies)
	for i := range domains {
		d := snapshot.Decide(signUp("jo@" + name(i)))
		if want := (rules.Entry{Field: rules.AllowDomains, Index: i / 4}); d.Policy != named(fmt.Sprintf("p%d", i%4)) || d.Entry != want {
			t.Fatalf("%s: %s by %s %s", name(i), d.Reason, d.Policy, d.Entry)
		}
		if d := snapshot.Decide(signUp("jo@x" + name(i))); d.Reason != rules.ReasonNotAllowed {
			t.Fatalf("x%s: %s by %s %s", name(i), d.Reason, d.Policy, d.Entry)
		}
	}
}

// The same where the index has many shards, is divided, and shrinks, and where many scopes come and go.
func TestEditByEditOfManyEntries(t *testing.T) {
	d := random.New(1)
	e := newEdits(d)
	var snapshot *rules.Snapshot
	for step := range 120 {
		growing := step < 60
		for range 1 + d.IntN(3) {
			if name, found := e.known(); found && (!growing || d.Often(1, 3)) {
				e.remove(name)
			} else {
				e.put(manyScopes(d, fmt.Sprintf("p%d", d.IntN(200))))
			}
		}
		snapshot = e.assemble(snapshot)
		whole, _ := rules.Compile(slices.Collect(maps.Values(e.policies)))
		var calls []rules.Call
		for range 50 {
			calls = append(calls, manyScopesCall(d))
		}
		if diff := cmp.Diff(answersOf(whole, calls), answersOf(snapshot, calls)); diff != "" || whole.Digest() != snapshot.Digest() {
			t.Fatalf("step %d, %d policies (-from nothing +edit by edit):\n%s", step, len(e.policies), diff)
		}
	}
}

// Snapshots share their parts: whoever still decides by an earlier one must never see a part change. For the race detector.
func TestCallsAreDecidedByEarlierSnapshotsMeanwhile(t *testing.T) {
	e := newEdits(random.New(2))
	for range 30 {
		e.edit()
	}
	var store rules.Store
	snapshot := e.assemble(nil)
	store.Publish(snapshot)
	calls := e.calls()
	ctx, stop := context.WithCancel(t.Context())
	var callers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for ctx.Err() == nil {
				loaded, err := store.Load()
				if err != nil {
					t.Error(err)
					return
				}
				first := answersOf(loaded, calls)
				if diff := cmp.Diff(first, answersOf(loaded, calls)); diff != "" {
					t.Errorf("a snapshot changed:\n%s", diff)
					return
				}
			}
		})
	}
	for range 300 {
		e.edit()
		snapshot = e.assemble(snapshot)
		store.Publish(snapshot)
	}
	stop()
	callers.Wait()
}

func TestAPolicyWithTooManyEntriesIsNotEnforceable(t *testing.T) {
	long := strings.Repeat("a", 60)
	entries := make([]string, 380_000)
	for i := range entries {
		entries[i] = fmt.Sprintf("d%d.%s.%s.%s.test", i, long, long, long)
	}
	compiled := rules.CompilePolicy(deny("p", entries...))
	want := []rules.Rejection{{
		Policy: named("p"), Path: "spec", Message: "its entries take over 64 MiB; move them to a list", Cause: rules.CauseEntry,
	}}
	if diff := cmp.Diff(want, compiled.Rejections()); diff != "" || compiled.Enforceable() {
		t.Errorf("enforceable %t, rejections (-want +got):\n%s", compiled.Enforceable(), diff)
	}
}

func TestRejectedEntriesOfAFieldAreCountedBeyondTheFirst50(t *testing.T) {
	for count, wantCount := range map[int]string{50: "", 51: "and 1 more of its entries", 70: "and 20 more of its entries"} {
		policy := allow("p", slices.Repeat([]string{"acme.com."}, count)...)
		policy.Allow.PublicSuffixes = []string{"acme.com."}
		rejections := rules.CompilePolicy(policy).Rejections()
		var paths []string
		for i := range 50 {
			paths = append(paths, fmt.Sprintf("spec.allow.domains[%d]", i))
		}
		if wantCount != "" {
			paths = append(paths, "spec.allow.domains")
			if got := rejections[50].Message; got != wantCount {
				t.Errorf("%d entries: %q, want %q", count, got, wantCount)
			}
		}
		paths = append(paths, "spec.allow.publicSuffixes[0]") // each field has a count of its own
		var got []string
		for _, rejection := range rejections {
			got = append(got, rejection.Path)
		}
		if diff := cmp.Diff(paths, got); diff != "" {
			t.Errorf("%d entries (-want +got)\n%s", count, diff)
		}
	}
}
