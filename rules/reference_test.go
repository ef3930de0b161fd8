package rules_test

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/random"
)

// A second, slow and plain reading of what policies mean. It goes over every policy and every entry, on strings, and shares
// with the code under test only ParseAddress, which has tests of its own.

// answer is a decision in a form that == compares.
type answer struct {
	outcome   rules.Outcome
	reason    rules.Reason
	policy    rules.PolicyName
	entry     rules.Entry
	attribute string
	domain    string
	invalid   rules.Invalid
	length    int
	message   string
	profile   string
	tookPart  int
	audit     string
	matched   string
}

func answerOf(d *rules.Decision) answer {
	var matched []string
	for name := range d.Matched() {
		matched = append(matched, name.String())
	}
	slices.Sort(matched)
	var profile, audit []string
	for _, a := range d.Profile {
		profile = append(profile, a.Name+"="+a.Value)
	}
	for _, a := range d.Audit {
		audit = append(audit, fmt.Sprint(a.Policy, " ", a.Outcome, " ", a.Reason))
	}
	return answer{
		d.Outcome, d.Reason, d.Policy, d.Entry, d.Attribute, d.Domain.String(), d.Invalid, d.InvalidLength, d.Message,
		strings.Join(profile, ","), d.TookPart, strings.Join(audit, ","), strings.Join(matched, ","),
	}
}

// refSubject is one address of a call.
type refSubject struct{ attribute, local, domain string }

// refDecide decides a call, and says for each Audit policy what would have been without it being one.
func refDecide(policies []rules.Policy, call rules.Call) answer {
	sorted := slices.SortedFunc(slices.Values(policies), func(a, b rules.Policy) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	got := refOutcome(sorted, call)
	var audit []string
	for i, p := range sorted {
		if p.Mode != rules.Audit {
			continue
		}
		changed := slices.Clone(sorted)
		changed[i].Mode = rules.Enforce
		if would := refOutcome(changed, call); would.outcome != got.outcome {
			audit = append(audit, fmt.Sprint(p.PolicyName, " ", would.outcome, " ", would.reason))
		}
	}
	got.audit = strings.Join(audit, ",")
	return got
}

func refOutcome(sorted []rules.Policy, call rules.Call) answer {
	signUp := call.Shape == rules.SignUp || call.Shape == rules.Both
	update := call.Shape == rules.ProfileUpdate || call.Shape == rules.Both
	if !signUp && !update {
		return answer{reason: rules.ReasonUnrecognisedCall}
	}
	var subjects []refSubject
	if signUp {
		for i, a := range call.Profile {
			empty := a.Kind == rules.Absent || a.Kind == rules.Null || a.Kind == rules.Text && a.Text == ""
			if i == 0 && (empty || refUserName(a)) {
				return answer{reason: rules.ReasonMissingAddress, attribute: a.Name}
			}
			if empty || refUserName(a) {
				continue
			}
			s, invalid := refRead(a)
			if invalid != "" {
				return answer{reason: rules.ReasonInvalidAddress, attribute: a.Name, invalid: invalid, length: len(a.Text)}
			}
			subjects = append(subjects, s)
		}
	}
	if update {
		for i, a := range call.Update {
			if a.Kind == rules.Absent {
				continue
			}
			if i == 0 && (a.Kind == rules.Null || (a.Kind == rules.Text && (a.Text == "" || refUserName(a)))) {
				return answer{reason: rules.ReasonMissingAddress, attribute: a.Name}
			}
			if a.Kind == rules.Null || a.Kind == rules.Text && a.Text == "" || refUserName(a) {
				continue
			}
			s, invalid := refRead(a)
			if invalid != "" {
				return answer{reason: rules.ReasonInvalidAddress, attribute: a.Name, invalid: invalid, length: len(a.Text)}
			}
			subjects = append(subjects, s)
		}
	}
	if len(subjects) == 0 {
		return answer{outcome: rules.Allow, reason: rules.ReasonNoAddressChanged}
	}
	switch call.Shape {
	case rules.SignUp:
		got := refEvaluate(sorted, rules.SelfServiceRegistration, call.Source, subjects)
		if call.Contradictory {
			got.profile = ""
		}
		return got
	case rules.ProfileUpdate:
		got := refEvaluate(sorted, rules.ProgressiveProfile, call.Source, subjects)
		if call.Contradictory {
			got.profile = ""
		}
		return got
	default:
		first := refEvaluate(sorted, rules.SelfServiceRegistration, call.Source, subjects)
		second := refEvaluate(sorted, rules.ProgressiveProfile, call.Source, subjects)
		got := first
		if first.outcome == rules.Allow && second.outcome == rules.Deny {
			got = second
		}
		matched := slices.DeleteFunc(strings.Split(first.matched+","+second.matched, ","), func(s string) bool { return s == "" })
		slices.Sort(matched)
		got.profile, got.matched = "", strings.Join(slices.Compact(matched), ",")
		return got
	}
}

func refUserName(a rules.Attribute) bool {
	return a.Name == "login" && a.Kind == rules.Text && a.Text != "" &&
		strings.Trim(a.Text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$&()*+,-./:;=?[]^_{|}~") == ""
}

func refRead(a rules.Attribute) (refSubject, rules.Invalid) {
	if a.Kind != rules.Text {
		return refSubject{}, rules.NotText
	}
	address, err := rules.ParseAddress(a.Text)
	if err != nil {
		return refSubject{}, refBlank(a, err.(rules.Invalid))
	}
	local, _, _ := strings.Cut(a.Text, "@")
	return refSubject{a.Name, strings.ToLower(local), address.Domain().String()}, ""
}

// refBlank returns Blank where the blanks are all that is wrong with text that is invalid.
func refBlank(a rules.Attribute, invalid rules.Invalid) rules.Invalid {
	without := a
	without.Text = blanks.ReplaceAllString(a.Text, "")
	_, err := rules.ParseAddress(without.Text)
	if invalid != rules.TooLong && invalid != rules.NotUTF8 && without.Text != a.Text && (err == nil || refUserName(without)) {
		return rules.Blank
	}
	return invalid
}

// blanks is a reading of its own of what a blank is.
var blanks = regexp.MustCompile(`[\pZ\s\x{0b}\x{85}\x{ad}\x{34f}\x{61c}\x{115f}\x{1160}\x{17b4}\x{17b5}\x{180b}-\x{180f}` +
	`\x{200b}-\x{200f}\x{202a}-\x{202e}\x{2060}-\x{206f}\x{3164}\x{fe00}-\x{fe0f}\x{feff}\x{ffa0}\x{fff0}-\x{fffb}` +
	`\x{13430}-\x{1343f}\x{1bca0}-\x{1bca3}\x{1d173}-\x{1d17a}\x{e0000}-\x{e0fff}]`)

func refEvaluate(sorted []rules.Policy, request rules.RequestType, source string, subjects []refSubject) answer {
	got := answer{attribute: subjects[0].attribute, domain: subjects[0].domain}
	var allowing []rules.Policy
	var blocking, denying, allowingAll *rules.Policy
	var denied, allowed [32]bool
	var matched []string
	profile := map[string][]string{}
	for i := range sorted {
		p := &sorted[i]
		if !refApplies(p, request, source) {
			continue
		}
		enforced := p.Mode != rules.Audit
		if enforced {
			got.tookPart++
			if len(p.Allow.Domains)+len(p.Allow.PublicSuffixes)+len(p.Allow.Addresses)+len(p.Allow.Lists) > 0 {
				allowing = append(allowing, *p)
			}
		}
		if !refEnforceable(p) {
			if enforced && blocking == nil {
				blocking = p
			}
			continue
		}
		allows, hadVerdict := 0, false
		for n, s := range subjects {
			entry, verdict := refVerdict(p, s)
			hadVerdict = hadVerdict || verdict != ""
			if !enforced {
				continue
			}
			switch verdict {
			case "deny":
				denied[n] = true
				if denying == nil {
					denying, got.entry = p, entry
				}
			case "allow":
				allowed[n] = true
				allows++
			}
		}
		if hadVerdict {
			matched = append(matched, p.String())
		}
		if allows == len(subjects) {
			if allowingAll == nil {
				allowingAll = p
			}
			sends := slices.Contains(p.ProfileOn, request) || len(p.ProfileOn) == 0 && request == rules.SelfServiceRegistration
			for _, a := range p.Profile {
				if !sends {
					continue
				}
				value := strings.TrimSpace(strings.ReplaceAll(a.Value, `\u0061`, "a"))
				if !slices.Contains(profile[a.Name], value) {
					profile[a.Name] = append(profile[a.Name], value)
				}
			}
		}
	}
	got.matched = strings.Join(matched, ",")
	fail := func(failed func(n int) bool) {
		for n := range subjects {
			if failed(n) {
				got.attribute, got.domain = subjects[n].attribute, subjects[n].domain
				return
			}
		}
	}
	switch {
	case got.tookPart == 0:
		got.reason = rules.ReasonNoPolicyApplies
	case denying != nil:
		got.reason, got.policy, got.message = rules.ReasonDenied, denying.PolicyName, denying.Message
		fail(func(n int) bool { return denied[n] })
	case blocking != nil:
		got.reason, got.policy = rules.ReasonPolicyNotEnforceable, blocking.PolicyName
	case allowingAll != nil:
		got.outcome, got.reason, got.policy, got.attribute = rules.Allow, rules.ReasonAllowed, allowingAll.PolicyName, ""
		got.entry, _ = refVerdict(allowingAll, subjects[0])
		var attributes []string
		for _, name := range []string{"x", "y"} {
			if len(profile[name]) == 1 {
				attributes = append(attributes, name+"="+profile[name][0])
			}
		}
		got.profile = strings.Join(attributes, ",")
	default:
		got.reason = rules.ReasonNotAllowed
		if len(allowing) == 1 {
			got.message = allowing[0].Message
		}
		fail(func(n int) bool { return !allowed[n] })
	}
	return got
}

func refEnforceable(p *rules.Policy) bool {
	for _, use := range p.Deny.Lists {
		if lines, ok := refList(use); !use.Optional && (!ok || len(lines) == 0) {
			return false
		}
	}
	for _, entry := range p.Deny.Addresses {
		if local, domain, _ := strings.Cut(entry, "@"); slices.Contains(random.Patterns, local) || refSpelling(domain).Unreadable {
			return false
		}
	}
	for _, entry := range p.Deny.Domains {
		if refSpelling(strings.TrimPrefix(entry, "*.")).Unreadable {
			return false
		}
	}
	return p.NotUnderstood == "" && slices.Contains([]rules.Mode{"", rules.Enforce, rules.Audit}, p.Mode) && !refUnknownRequest(p)
}

func refUnknownRequest(p *rules.Policy) bool {
	return slices.ContainsFunc(p.RequestTypes, func(r rules.RequestType) bool {
		return r != rules.SelfServiceRegistration && r != rules.ProgressiveProfile
	})
}

func refApplies(p *rules.Policy, request rules.RequestType, source string) bool {
	return (len(p.RequestTypes) == 0 || slices.Contains(p.RequestTypes, request) || refUnknownRequest(p)) &&
		(len(p.Sources) == 0 || slices.Contains(p.Sources, source))
}

// refVerdict returns the first entry that matches, by precedence.
func refVerdict(p *rules.Policy, s refSubject) (rules.Entry, string) {
	for i, entry := range p.Deny.Addresses {
		local, domain, _ := strings.Cut(entry, "@")
		for _, name := range refSpelling(domain).Denied {
			if refLocal(local, s.local) && name == s.domain {
				return rules.Entry{Field: rules.DenyAddresses, Index: i}, "deny"
			}
		}
	}
	for i, entry := range p.Allow.Addresses {
		local, domain, _ := strings.Cut(entry, "@")
		if name := refSpelling(domain).Allowed; strings.Contains(name, ".") && refLocal(local, s.local) && name == s.domain {
			return rules.Entry{Field: rules.AllowAddresses, Index: i}, "allow"
		}
	}
	for i, entry := range p.Deny.Domains {
		name, below := strings.CutPrefix(entry, "*.")
		for _, denied := range refSpelling(name).Denied {
			if strings.HasSuffix(s.domain, "."+denied) || (!below && s.domain == denied) {
				return rules.Entry{Field: rules.DenyDomains, Index: i}, "deny"
			}
		}
		if entry == "*" {
			return rules.Entry{Field: rules.DenyDomains, Index: i}, "deny"
		}
	}
	lists := []struct {
		field   rules.EntryField
		entries []string
	}{{rules.AllowDomains, p.Allow.Domains}, {rules.AllowPublicSuffixes, p.Allow.PublicSuffixes}}
	for _, list := range lists {
		for i, entry := range list.entries {
			name, below := strings.CutPrefix(entry, "*.")
			meant := refSpelling(name)
			if meant.Allowed == "" || (list.field == rules.AllowDomains && (meant.Suffix || below && meant.Covering)) {
				continue
			}
			if below && strings.HasSuffix(s.domain, "."+meant.Allowed) || !below && s.domain == meant.Allowed {
				return rules.Entry{Field: list.field, Index: i}, "allow"
			}
		}
	}
	for i, use := range p.Deny.Lists {
		lines, _ := refList(use)
		if slices.ContainsFunc(lines, func(line string) bool { return refLineDenies(line, s) }) {
			return rules.Entry{Field: rules.DenyLists, Index: i}, "deny"
		}
	}
	for i, use := range p.Allow.Lists {
		lines, _ := refList(use)
		if slices.ContainsFunc(lines, func(line string) bool { return refLineAllows(line, s) }) {
			return rules.Entry{Field: rules.AllowLists, Index: i}, "allow"
		}
	}
	for _, list := range lists {
		if i := slices.Index(list.entries, "*"); i >= 0 {
			return rules.Entry{Field: list.field, Index: i}, "allow"
		}
	}
	return rules.Entry{}, ""
}

// refList returns the lines of a drawn list, which is none if one of its few lines is no entry.
func refList(use rules.ListUse) (lines []string, ok bool) {
	if use.List == nil {
		return nil, false
	}
	lines = strings.Split(use.Name, "\n")
	for _, line := range lines {
		if local, domain, found := strings.Cut(line, "@"); found {
			if slices.Contains(random.Patterns, local) {
				return nil, false
			}
			line = domain
		}
		if len(refSpelling(strings.TrimPrefix(line, "*.")).Denied) == 0 {
			return nil, false
		}
	}
	return lines, true
}

func refLineDenies(line string, s refSubject) bool {
	local, domain, whole := strings.Cut(line, "@")
	if whole {
		return refLocal(local, s.local) && slices.Contains(refSpelling(domain).Denied, s.domain)
	}
	name, below := strings.CutPrefix(line, "*.")
	return slices.ContainsFunc(refSpelling(name).Denied, func(denied string) bool {
		return strings.HasSuffix(s.domain, "."+denied) || !below && s.domain == denied
	})
}

func refLineAllows(line string, s refSubject) bool {
	local, domain, whole := strings.Cut(line, "@")
	if whole {
		return refLocal(local, s.local) && refAllowed(domain) == s.domain
	}
	name, below := strings.CutPrefix(line, "*.")
	meant := refSpelling(name)
	switch {
	case meant.Suffix, below && meant.Covering, refAllowed(name) == "":
		return false
	case below:
		return strings.HasSuffix(s.domain, "."+refAllowed(name))
	default:
		return s.domain == refAllowed(name)
	}
}

// refLocal says whether the local part of an entry means that of an address.
func refLocal(entry, local string) bool {
	entry = strings.ToLower(entry)
	if slices.Contains(random.Patterns, entry) {
		return false
	}
	if base, found := strings.CutSuffix(entry, "+*"); found {
		return local == base || strings.HasPrefix(local, base+"+")
	}
	return local == entry
}

// refAllowed is the one name that an entry which allows can stand for.
func refAllowed(text string) string {
	if text == "faß.test" {
		return "xn--fa-hia.test" // the table has spellings that only deny lists draw without it
	}
	return refSpelling(text).Allowed
}

// refSpelling looks a name up in the table; what is not there means nothing.
func refSpelling(text string) random.Spelling {
	for _, s := range random.DenySpellings {
		if s.Text == text {
			return s
		}
	}
	return random.Spelling{}
}

func TestDecideAgreesWithTheReference(t *testing.T) {
	const cases = 20_000
	reasons := map[rules.Reason]int{}
	audits := 0
	random.Each(t, cases, func(t *testing.T, d random.Draw) {
		policies, call := d.Policies(), d.Call()
		decision := decide(policies, call)
		got, want := answerOf(&decision), refDecide(policies, call)
		if got != want {
			t.Errorf("policies %+v\ncall %+v\n got %+v\nwant %+v", policies, call, got, want)
		}
		reasons[got.reason]++
		if got.audit != "" {
			audits++
		}
	})
	// Random cases that never come to some reason would prove little about it.
	for _, reason := range rules.Reasons() {
		if reasons[reason] < cases/200 {
			t.Errorf("only %d of %d cases are %s", reasons[reason], cases, reason)
		}
	}
	if audits < cases/50 {
		t.Errorf("only %d of %d cases have an audit outcome", audits, cases)
	}
	t.Logf("reference: %d cases, %v, %d with audit outcomes", cases, reasons, audits)
}
