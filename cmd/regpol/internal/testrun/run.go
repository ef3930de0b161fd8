package testrun

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/explanation"
	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/internal/policytest"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// testRun runs the cases of test files. It reads each set of policies once.
type testRun struct {
	options *policyTestOptions
	scopes  policyobject.Scopes
	sets    map[string]*testedPolicies // by the paths of the policies, joined
	// warnings are those about the policies, each once.
	warnings []string
}

// testedPolicies is a set of policies, and what the cases have covered of it.
type testedPolicies struct {
	*explanation.Evaluation
	bounded []rules.Policy
	covered map[rules.PolicyName]map[rules.Entry]bool
	read    map[rules.PolicyName]bool // the policies whose messages the person of a tested call reads
}

// file runs the cases of a file whose names match.
func (r *testRun) file(ctx context.Context, file testFile, name *regexp.Regexp) (testFileReport, error) {
	report := testFileReport{File: file.name, Cases: []caseReport{}}
	policies, err := r.policies(ctx, file)
	if err != nil {
		return report, err
	}
	for i := range file.Cases {
		c := &file.Cases[i]
		if !name.MatchString(c.Name) {
			continue
		}
		failures, err := r.run(ctx, policies, c, filepath.Dir(file.path))
		if err != nil {
			return report, fmt.Errorf("%s:%d: %w", file.name, c.Line, err)
		}
		report.Cases = append(report.Cases, caseReport{Name: c.Name, Line: c.Line, Passed: len(failures) == 0, Failures: failures})
	}
	return report, nil
}

// policies reads the policies that a file names: by default, those in its directory.
func (r *testRun) policies(ctx context.Context, file testFile) (*testedPolicies, error) {
	dir := filepath.Dir(file.path)
	paths := []string{dir}
	if len(file.Policies) > 0 {
		paths = nil
		for _, path := range file.Policies {
			paths = append(paths, beside(dir, path))
		}
	}
	key := strings.Join(paths, "\x00")
	if known := r.sets[key]; known != nil {
		return known, nil
	}
	set, err := (&policysource.Location{Paths: paths, Revision: r.options.revision}).Read(ctx, nil)
	if err != nil {
		return nil, err
	}
	if len(set.Policies) == 0 {
		return nil, set.NoPolicy()
	}
	bounded, rejections := r.scopes.BoundAll(set.Rules())
	for _, warning := range slices.Concat(set.Warnings(), policysource.NotInForceOf(set, bounded, rejections)) {
		if !slices.Contains(r.warnings, warning) {
			r.warnings = append(r.warnings, warning)
		}
	}
	tested := &testedPolicies{
		Evaluation: explanation.Evaluate(set, r.scopes), bounded: bounded,
		covered: map[rules.PolicyName]map[rules.Entry]bool{}, read: map[rules.PolicyName]bool{},
	}
	r.sets[key] = tested
	return tested, nil
}

// beside returns a path that is relative to a directory. It is never "-", which elsewhere stands for standard input.
func beside(dir, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	if path == "-" {
		return "./-"
	}
	return path
}

// run runs one case and returns its failures. An error means that the case cannot be run.
func (r *testRun) run(ctx context.Context, policies *testedPolicies, c *policytest.Case, dir string) ([]failureReport, error) {
	if c.Every != nil {
		return r.every(policies, c)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Expect.Audit)) {
		if !slices.ContainsFunc(policies.Policies.Policies, func(p policyfile.ReadPolicy) bool {
			return p.Mode == rules.Audit && p.String() == name
		}) {
			return nil, fmt.Errorf("expect.audit: no policy %s is in mode Audit: write namespace/name of one that is", console.QuoteIfNeeded(name))
		}
	}
	calls, err := r.calls(ctx, c, dir)
	if err != nil {
		return nil, err
	}
	var failures []failureReport
	for i := range calls {
		explained, err := policies.Explain(&calls[i], hookserver.Options{
			AddressAttributes: r.options.Attributes, Texts: rules.DefaultTexts(),
		})
		if err != nil {
			return nil, err
		}
		policies.cover(&explained.Preview)
		differences := differencesOf(&explained.Preview.Decision, &c.Expect)
		if len(differences) == 0 {
			continue
		}
		failures = append(failures, failureReport{
			Call: cmp.Or(calls[i].Address, c.Request), Differences: differences, Explanation: string(explained.Report().Text(false, false)),
		})
	}
	return failures, nil
}

// calls returns the calls of a case.
func (r *testRun) calls(ctx context.Context, c *policytest.Case, dir string) ([]explanation.Call, error) {
	attributes := r.options.Attributes
	described := registration.Flags{Source: c.Source, Login: c.Login, Shape: registration.ShapeEngine}
	if c.RequestType == rules.ProgressiveProfile {
		described.Shape = registration.ShapeProgressive
	}
	if c.Request != "" {
		path := beside(dir, c.Request)
		body, err := r.options.readFile(ctx, path)
		if err != nil {
			return nil, fmt.Errorf("read the call: %w", err)
		}
		call, err := explanation.DecodeCall(r.options.label(path), body, attributes, c.Source)
		return []explanation.Call{call}, err
	}
	for _, name := range slices.Concat([]string{"email", "login"}, attributes[:min(1, len(attributes))]) {
		if _, found := c.Profile[name]; found {
			return nil, fmt.Errorf("profile has %s, which the addresses of the case give: remove it, or write email and login", name)
		}
	}
	addresses := c.Addresses
	if c.Email != "" {
		addresses = []string{c.Email}
	}
	calls := make([]explanation.Call, len(addresses))
	for i, address := range addresses {
		described.Address, described.HasAddress = address, true
		registration := described.Registration(attributes)
		profile := registration.Profile
		if registration.Shape == oktasim.ProgressiveProfile {
			profile = registration.Update
		}
		maps.Copy(profile, c.Profile)
		call, err := explanation.CallFor(registration, address, attributes)
		if err != nil {
			return nil, err
		}
		calls[i] = call
	}
	return calls, nil
}

// every runs a case with a set of calls (its field every): it proves the expectation for each call of the set.
func (r *testRun) every(policies *testedPolicies, c *policytest.Case) ([]failureReport, error) {
	if lists := policies.Policies.ListsElsewhere(); len(lists) > 0 {
		return nil, fmt.Errorf("every: cannot be proven without all lists: %s; add its ConfigMap as a file", strings.Join(lists, "; "))
	}
	parts, err := analysis.Every(policies.bounded, analysis.Set{
		Addresses: c.Every.Addresses, Except: c.Every.Except, Requests: c.Every.RequestTypes, Sources: c.Every.Sources,
	})
	if err != nil {
		return nil, fmt.Errorf("every: %w", err)
	}
	var failures []failureReport
	for i := range parts {
		p := &parts[i]
		for verdict := range p.Verdicts {
			policies.coverEntry(verdict.Policy, verdict.Entry)
		}
		decision := rules.Decision{Outcome: p.Outcome, Reason: p.Reason, Policy: p.Policy, Entry: p.Entry, Message: p.Message}
		if p.Profile != "" {
			decision.Profile = profileOf(p.Profile)
		}
		policies.coverMessage(&decision)
		differences := differencesOf(&decision, &c.Expect)
		if len(differences) == 0 {
			continue
		}
		result := outcome.ResultOf(policies.Policies, &p.Result, r.options.showAddresses)
		failures = append(failures, failureReport{
			Call: outcome.ExampleOf(p.Witness, r.options.showAddresses), Differences: differences,
			Explanation: fmt.Sprintf("%s\n%s\n", result.Describe(), outcome.DescribeCalls(outcome.CallsOf(p.Calls))),
		})
	}
	return failures, nil
}

// profileOf returns the attributes of a JSON object.
func profileOf(text string) []rules.ProfileAttribute {
	members := map[string]json.RawMessage{}
	_ = json.Unmarshal([]byte(text), &members) // cannot fail: package analysis wrote this JSON
	var attributes []rules.ProfileAttribute
	for _, name := range slices.Sorted(maps.Keys(members)) {
		attributes = append(attributes, rules.ProfileAttribute{Name: name, Value: string(members[name])})
	}
	return attributes
}

// differencesOf compares a decision with what is expected, and returns a text for each difference.
func differencesOf(d *rules.Decision, expect *policytest.Expect) []string {
	var differences []string
	compare := func(member, got, want string) {
		if want != "" && got != want {
			differences = append(differences,
				fmt.Sprintf("%s is %s, want %s", member, console.QuoteIfNeeded(got), console.QuoteIfNeeded(want)))
		}
	}
	compare("outcome", outcomeName(d.Outcome), expect.Outcome)
	compare("reason", string(d.Reason), string(expect.Reason))
	compare("policy", d.Policy.String(), expect.Policy)
	compare("entry", d.Entry.String(), expect.Entry)
	compare("message", rules.DefaultTexts().For(d, "{id}"), expect.Message)
	if expect.Profile != nil {
		got := map[string]any{}
		for _, attribute := range d.Profile {
			var value any
			_ = json.Unmarshal([]byte(attribute.Value), &value) // the values in a decision are valid JSON
			got[attribute.Name] = value
		}
		if want := canonicalJSON(expect.Profile); !reflect.DeepEqual(canonicalJSON(got), want) {
			differences = append(differences, fmt.Sprintf("profile is %s, want %s", jsonText(got), jsonText(expect.Profile)))
		}
	}
	for _, policy := range slices.Sorted(maps.Keys(expect.Audit)) {
		got := outcomeName(d.Outcome)
		for _, audit := range d.Audit {
			if audit.Policy.String() == policy {
				got = outcomeName(audit.Outcome)
			}
		}
		compare("audit of "+policy, got, expect.Audit[policy])
	}
	return differences
}

// outcomeName returns an outcome as a test file spells it.
func outcomeName(o rules.Outcome) string {
	if o == rules.Allow {
		return policytest.Allow
	}
	return policytest.Deny
}

// canonicalJSON encodes a value as JSON and decodes it again, so that numbers from YAML and from JSON have the same
// type.
func canonicalJSON(value any) any {
	var decoded any
	_ = json.Unmarshal([]byte(jsonText(value)), &decoded)
	return decoded
}

func jsonText(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}

// cover records the entries that gave a verdict on a call, and the message that the person reads.
func (t *testedPolicies) cover(preview *hookserver.Preview) {
	_, traces := t.Snapshot.Explain(preview.Call)
	for _, trace := range traces {
		for _, verdict := range trace.Verdicts {
			t.coverEntry(trace.PolicyName, verdict.Entry)
		}
	}
	t.coverMessage(&preview.Decision)
}

func (t *testedPolicies) coverEntry(policy rules.PolicyName, entry rules.Entry) {
	if entry.Field == rules.NoEntry {
		return
	}
	if t.covered[policy] == nil {
		t.covered[policy] = map[rules.Entry]bool{}
	}
	t.covered[policy][entry] = true
}

// coverMessage records that a person reads the message of a policy. A decision may have the message without the name of
// the policy, if it denies because no entry allows the address. Then the policy is found by the message.
func (t *testedPolicies) coverMessage(d *rules.Decision) {
	if d.Outcome == rules.Allow || d.Message == "" {
		return
	}
	for i := range t.bounded {
		if t.bounded[i].Message == d.Message && (d.Policy == rules.PolicyName{} || d.Policy == t.bounded[i].PolicyName) {
			t.read[t.bounded[i].PolicyName] = true
		}
	}
}

// coverage reports the entries and messages that no case has covered, of all policies that the tests use. A policy that
// several tests name with different paths counts once.
func (r *testRun) coverage() *coverageReport {
	type part struct{ policy, path, at string }
	var parts []part
	covered := map[part]bool{}
	for _, key := range slices.Sorted(maps.Keys(r.sets)) {
		t := r.sets[key]
		for i := range t.Policies.Policies {
			policy := &t.Policies.Policies[i]
			add := func(is bool, path string) {
				p := part{policy.String(), path, cmp.Or(policy.Place(path), path)}
				if _, known := covered[p]; !known {
					parts = append(parts, p)
				}
				covered[p] = covered[p] || is
			}
			for _, entry := range entriesOf(policy.Policy) {
				add(t.covered[policy.PolicyName][entry], entry.String())
			}
			if policy.Message != "" {
				add(t.read[policy.PolicyName], "spec.message")
			}
		}
	}
	report := &coverageReport{Total: len(parts), Uncovered: []uncoveredReport{}}
	for _, p := range parts {
		if covered[p] {
			report.Covered++
		} else {
			report.Uncovered = append(report.Uncovered, uncoveredReport{p.policy, p.path, p.at})
		}
	}
	return report
}

// entriesOf returns the entries of a policy that are in force, lists included.
func entriesOf(policy rules.Policy) []rules.Entry {
	compiled := rules.CompilePolicy(policy)
	var entries []rules.Entry
	for reading := range compiled.Readings() {
		if !slices.Contains(entries, reading.Entry) {
			entries = append(entries, reading.Entry)
		}
	}
	for list := range compiled.ListsInForce() {
		entries = append(entries, list.Entry)
	}
	return entries
}
