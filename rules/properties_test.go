package rules_test

import (
	"slices"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// cases is how many random cases each property is tried on.
const cases = 1500

// noWider says that what got allows, want allows.
func noWider(t *testing.T, what string, got, want rules.Decision, call rules.Call) {
	t.Helper()
	if got.Outcome == rules.Allow && want.Outcome != rules.Allow {
		t.Errorf("%s: allowed, but not %s; call %+v", what, want.Reason, call)
	}
}

// clone copies a policy and the lists that the properties append to.
func clone(p rules.Policy) rules.Policy {
	p.Allow.Domains, p.Allow.Addresses = slices.Clone(p.Allow.Domains), slices.Clone(p.Allow.Addresses)
	p.Allow.PublicSuffixes = slices.Clone(p.Allow.PublicSuffixes)
	p.Deny.Domains, p.Deny.Addresses = slices.Clone(p.Deny.Domains), slices.Clone(p.Deny.Addresses)
	return p
}

// changed returns the policies with a changed copy of the i-th.
func changed(policies []rules.Policy, i int, change func(*rules.Policy)) []rules.Policy {
	all := slices.Clone(policies)
	all[i] = clone(all[i])
	change(&all[i])
	return all
}

// some draws a set of one policy or more, and the number of one of them.
func some(d random.Draw) ([]rules.Policy, int) {
	for {
		if policies := d.Policies(); len(policies) > 0 {
			return policies, d.IntN(len(policies))
		}
	}
}

func TestSameObjectsSameAnswers(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		first, rejections := rules.Compile(policies)
		d.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		second, again := rules.Compile(policies)
		if first.Digest() != second.Digest() || !slices.Equal(rejections, again) || !slices.Equal(first.Policies(), second.Policies()) {
			t.Errorf("digest, rejections or policies depend on the order of the policies")
		}
		a, b, c := first.Decide(call), second.Decide(call), first.Decide(call)
		if answerOf(&a) != answerOf(&b) || answerOf(&a) != answerOf(&c) {
			t.Errorf("answers differ: %+v, %+v, %+v", a, b, c)
		}
	})
}

// The order within the lists may change which of several matching entries is named, and nothing else.
func TestTheOrderOfEntriesDecidesNothing(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		first, _ := rules.Compile(policies)
		for i := range policies {
			policies[i] = clone(policies[i])
			p := &policies[i]
			for _, list := range [][]string{p.Allow.Domains, p.Allow.PublicSuffixes, p.Allow.Addresses, p.Deny.Domains, p.Deny.Addresses, p.Sources} {
				d.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
			}
		}
		second, _ := rules.Compile(policies)
		if first.Digest() != second.Digest() {
			t.Errorf("digest")
		}
		a, b := first.Decide(call), second.Decide(call)
		a.Entry.Index, b.Entry.Index = 0, 0
		if answerOf(&a) != answerOf(&b) {
			t.Errorf("answers differ: %+v, %+v", a, b)
		}
	})
}

func TestEqualDigestsAnswerAlike(t *testing.T) {
	byDigest := map[string]*rules.Snapshot{}
	collisions := 0
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		// Small sets, so that different ones often mean the same.
		p := rules.Policy{PolicyName: named("p"), Allow: rules.AllowRules{Domains: d.Many(2, d.AllowDomain)}, Deny: rules.DenyRules{Domains: d.Many(1, d.DenyDomain)}}
		snapshot, _ := rules.Compile([]rules.Policy{p})
		other, found := byDigest[snapshot.Digest()]
		if !found {
			byDigest[snapshot.Digest()] = snapshot
			return
		}
		collisions++
		for range 10 {
			call := d.Call()
			a, b := snapshot.Decide(call), other.Decide(call)
			a.Entry.Index, b.Entry.Index = 0, 0
			if answerOf(&a) != answerOf(&b) {
				t.Errorf("equal digests, different answers: %+v, %+v", a, b)
			}
		}
	})
	if collisions < cases/10 {
		t.Errorf("only %d of %d sets had the digest of another", collisions, cases)
	}
}

func TestAFurtherDenyNeverAllowsMore(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		further := changed(policies, i, func(p *rules.Policy) {
			switch d.IntN(2) {
			case 0:
				p.Deny.Domains = slices.Insert(p.Deny.Domains, d.IntN(len(p.Deny.Domains)+1), d.DenyDomain())
			case 1:
				p.Deny.Addresses = append(p.Deny.Addresses, d.DenyAddress())
			}
		})
		if d.Often(1, 3) {
			policy := deny("further", d.DenyDomain())
			d.AppliesTo(&policy)
			further = append(slices.Clone(policies), policy)
		}
		for range 4 {
			call := d.Call()
			noWider(t, "with a further deny", decide(further, call), decide(policies, call), call)
		}
	})
}

// An unrelated policy denies nothing, and applies to other calls or allows other addresses.
func TestAnUnrelatedPolicyNeverTurnsADenialIntoAnAllow(t *testing.T) {
	turned := 0
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		unrelated := rules.Policy{PolicyName: named("unrelated")}
		d.AppliesTo(&unrelated)
		unrelated.Allow = rules.AllowRules{Domains: d.Many(3, d.AllowDomain), PublicSuffixes: d.Many(1, d.AllowDomain), Addresses: d.Many(2, d.AllowAddress)}
		before, after := decide(policies, call), decide(append(slices.Clone(policies), unrelated), call)
		alone := decide([]rules.Policy{unrelated}, call)
		if before.Outcome == rules.Deny && after.Outcome == rules.Allow {
			turned++
			if before.Reason == rules.ReasonDenied || before.Reason == rules.ReasonPolicyNotEnforceable {
				t.Errorf("an allow turned %s", before.Reason)
			}
			// A call that is both may be allowed by one policy as a sign-up, and by another as an update.
			if alone.Outcome != rules.Allow && call.Shape != rules.Both {
				t.Errorf("%s became an allow by a policy that alone says %s", before.Reason, alone.Reason)
			}
		}
		if before.Outcome == rules.Allow && after.Outcome == rules.Deny {
			t.Errorf("a policy without a deny turned an allow into %s", after.Reason)
		}
	})
	if turned == 0 {
		t.Errorf("no case in which a further allow decides")
	}
}

func TestAnAuditPolicyChangesNothingButTheAudit(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		policy := d.Policy()
		policy.PolicyName, policy.Mode = named("audit"), rules.Audit
		before, after := decide(policies, call), decide(append(slices.Clone(policies), policy), call)
		a, b := answerOf(&before), answerOf(&after)
		a.audit, a.matched, b.audit, b.matched = "", "", "", ""
		if a != b {
			t.Errorf("an Audit policy changed %+v to %+v", a, b)
		}
	})
}

func TestNoCallWithAnInvalidAddressIsAllowed(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		call := d.Call()
		if call.Shape == rules.UnrecognisedShape {
			call.Shape = rules.SignUp
		}
		list := call.Profile
		if call.Shape == rules.ProfileUpdate {
			list = call.Update
		}
		i := d.IntN(len(list))
		list[i] = text(list[i].Name, random.One(d, []string{"jo@acme", "jo@@acme.test", "j o", "jo@acme.test.", "jo@ａcme.test", "jo%a@acme.test"}))
		got := decide(append(d.Policies(), allow("everything", "*")), call)
		if got.Outcome == rules.Allow || got.Reason != rules.ReasonInvalidAddress && got.Reason != rules.ReasonMissingAddress {
			t.Errorf("%s by %s", got.Outcome, got.Reason)
		}
	})
}

// Errors never widen: one test for each row of the fault table. What the faulty policies allow is allowed under every
// well-formed reading of the faulty part.

func TestAMalformedAllowEntryIsNoWiderThanAnyReading(t *testing.T) {
	malformed := slices.Concat(random.Unusable, []string{"co.uk", "*.test", "*.kawasaki.jp", "ａcme.test", "xn--a.test", "BÜCHER.test", "\xff", "＊"})
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		domain, address := random.One(d, malformed), random.One(d, []string{"jo", "jo@", "@acme.test", `"jo"@acme.test`, "jo@ａcme.test", "jo@acme.test."})
		faulty := changed(policies, i, func(p *rules.Policy) {
			p.Allow.Domains = append(p.Allow.Domains, domain)
			p.Allow.Addresses = append(p.Allow.Addresses, address)
		})
		for range 4 {
			call := d.Call()
			got := decide(faulty, call)
			read := changed(policies, i, func(p *rules.Policy) {
				p.Allow.Domains = append(p.Allow.Domains, random.One(d, []string{"acme.test", "*.acme.test", "other.test", "acme.co.uk", "*"}))
				p.Allow.Addresses = append(p.Allow.Addresses, random.One(d, random.Locals)+"@"+random.One(d, []string{"acme.test", "other.test"}))
			})
			noWider(t, "allow entries "+domain+", "+address, got, decide(read, call), call)
			noWider(t, "allow entries "+domain+", "+address+", left out", got, decide(changed(policies, i, func(p *rules.Policy) {
				if len(p.Allow.Domains)+len(p.Allow.PublicSuffixes)+len(p.Allow.Addresses) == 0 {
					p.Allow.Domains = []string{"nobody.example"}
				}
			}), call), call)
		}
	})
}

func TestAnOddDenyEntryIsNoWiderThanAnyReading(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		odd := random.One(d, random.DenySpellings)
		prefix := random.One(d, []string{"", "*."})
		faulty := changed(policies, i, func(p *rules.Policy) { p.Deny.Domains = append(p.Deny.Domains, prefix+odd.Text) })
		faultyAddress := changed(policies, i, func(p *rules.Policy) { p.Deny.Addresses = append(p.Deny.Addresses, "jo@"+odd.Text) })
		for _, reading := range odd.Denied {
			read := changed(policies, i, func(p *rules.Policy) { p.Deny.Domains = append(p.Deny.Domains, prefix+reading) })
			readAddress := changed(policies, i, func(p *rules.Policy) { p.Deny.Addresses = append(p.Deny.Addresses, "jo@"+reading) })
			for range 4 {
				call := d.Call()
				noWider(t, "deny domain "+prefix+odd.Text, decide(faulty, call), decide(read, call), call)
				if odd.Suffix && odd.Text == "test" {
					continue // no address has a single label, and the entry is refused
				}
				noWider(t, "deny address at "+odd.Text, decide(faultyAddress, call), decide(readAddress, call), call)
			}
		}
	})
}

func TestAPolicyNotUnderstoodIsNoWiderThanAnyReading(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		known := d.Often(1, 2) // whether its appliesTo could be told
		faulty := changed(policies, i, func(p *rules.Policy) {
			*p = rules.Policy{PolicyName: p.PolicyName, RequestTypes: p.RequestTypes, Sources: p.Sources, NotUnderstood: "x"}
			if !known {
				p.RequestTypes, p.Sources = nil, nil
			}
		})
		for range 4 {
			reading := d.Policy()
			reading.PolicyName, reading.NotUnderstood = policies[i].PolicyName, ""
			if known {
				reading.RequestTypes, reading.Sources = policies[i].RequestTypes, policies[i].Sources
			}
			call := d.Call()
			read := changed(policies, i, func(p *rules.Policy) { *p = reading })
			noWider(t, "not understood", decide(faulty, call), decide(read, call), call)
		}
	})
}

// In mode Audit, which is then known, it decides as little as any other.
func TestAnAuditPolicyNotUnderstoodDecidesNothing(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		faulty := changed(policies, i, func(p *rules.Policy) { p.Mode, p.NotUnderstood = rules.Audit, "x" })
		call := d.Call()
		without := slices.Delete(slices.Clone(policies), i, i+1)
		if got, want := decide(faulty, call), decide(without, call); got.Outcome != want.Outcome || got.Reason != want.Reason {
			t.Errorf("%s, without it %s", got.Reason, want.Reason)
		}
	})
}

func TestAnUnknownModeIsNoWiderThanAnyMode(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		faulty := changed(policies, i, func(p *rules.Policy) { p.Mode = "Warn" })
		for _, mode := range []rules.Mode{rules.Enforce, rules.Audit} {
			call := d.Call()
			read := changed(policies, i, func(p *rules.Policy) { p.Mode = mode })
			noWider(t, "an unknown mode, read as "+string(mode), decide(faulty, call), decide(read, call), call)
		}
	})
}

func TestAnUnknownRequestTypeIsNoWiderThanAnyRequestType(t *testing.T) {
	readings := [][]rules.RequestType{
		nil, {rules.SelfServiceRegistration}, {rules.ProgressiveProfile}, {rules.SelfServiceRegistration, rules.ProgressiveProfile},
	}
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, i := some(d)
		faulty := changed(policies, i, func(p *rules.Policy) {
			p.RequestTypes = random.One(d, [][]rules.RequestType{{"Login"}, {""}, {"Login", rules.SelfServiceRegistration}, {rules.ProgressiveProfile, "x"}})
		})
		for _, reading := range readings {
			call := d.Call()
			read := changed(policies, i, func(p *rules.Policy) { p.RequestTypes = reading })
			noWider(t, "an unknown request type", decide(faulty, call), decide(read, call), call)
		}
	})
}

func TestNoPoliciesAllowNothingButNoChange(t *testing.T) {
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		if got := decide(nil, d.Call()); (got.Outcome == rules.Allow) != (got.Reason == rules.ReasonNoAddressChanged) {
			t.Errorf("%s: %s", got.Outcome, got.Reason)
		}
	})
}
