package policyobject

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"registrationpolicy.dev/operator/internal/violation"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

func testSchema(t *testing.T) *Schema {
	t.Helper()
	schema, err := NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func specOf(t *testing.T, spec string) map[string]any {
	t.Helper()
	return fixture.Policy(t, "default", "policy", spec).Object["spec"].(map[string]any)
}

func TestTheSchemaCompletesWithDefaultsAndKeepsWhatItIsGiven(t *testing.T) {
	given := specOf(t, `{allow: {domains: [acme.com]}, newer: 1}`)
	before := runtime.DeepCopyJSON(given)
	completed, errs := testSchema(t).Validate(t.Context(), given)
	if len(errs) != 1 || errs[0].Field != "spec.newer" {
		t.Errorf("violations %v, want spec.newer", errs)
	}
	if completed["mode"] != "Enforce" {
		t.Errorf("mode is %v, want the default", completed["mode"])
	}
	if diff := cmp.Diff(before, given); diff != "" {
		t.Errorf("what was given changed (-before +after):\n%s", diff)
	}
}

// The validator's own words are those of a program that reads a request.
func TestAViolationIsSaidToWhoeverWritesTheYAML(t *testing.T) {
	for spec, want := range map[string]string{
		`{allow: {domains: acme.com}}`: "spec.allow.domains: must be of type array, and is of type string; write a list, one item after each - or between [ and ]",
		`{allow: [acme.com]}`:          "spec.allow: must be of type object, and is of type array; write fields, each as name: value",
		`{allow: {domains: [1]}}`: "spec.allow.domains[0]: must be of type string, and is of type integer; " +
			"write text, in quotes where YAML takes it for something else",
		`{profileOn: [SelfServiceRegistration], profile: [{attribute: 1, value: 1}], allow: {domains: [acme.com]}}`: "spec.profile[0].attribute: " +
			"must be of type string, and is of type integer; write text, in quotes where YAML takes it for something else",
		`{appliesTo: {sources: ["a b"]}, allow: {domains: [acme.com]}}`: "spec.appliesTo.sources[0]: write the id of an enrolment policy or rule of Okta: letters and digits, such as rul1bufGk5dJdRYw50g4",
		`{allow: {domains: [jo@acme.com]}}`: "spec.allow.domains[0]: write a domain: acme.com for exactly that one, " +
			`"*.acme.com" for everything below it, "*" for every domain; without @, scheme, path, port, spaces, underscores, or a dot at ` +
			"either end (a whole address goes into allow.addresses)",
	} {
		t.Run(spec, func(t *testing.T) {
			_, errs := testSchema(t).Validate(t.Context(), specOf(t, spec))
			if diff := cmp.Diff(want, summary(errs)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

// What a fix for a domain says to write is accepted.
func TestWhatAFixSaysToWriteIsAccepted(t *testing.T) {
	for _, value := range []string{
		"acme.com.", ".acme.com", "*acme.com", "*.acme.com.", "https://acme.com/x", "acme.com:443", " acme.com", "acme..com", "@acme.com",
	} {
		_, write, found := strings.Cut(violation.EntryFix("spec.allow.domains[0]", value), ": write ")
		write, _, _ = strings.Cut(write, " for ")
		if !found {
			t.Errorf("%q has no fix", value)
		}
		spec := map[string]any{"allow": map[string]any{"domains": []any{strings.Trim(write, "\"")}}}
		if _, errs := testSchema(t).Validate(t.Context(), spec); len(errs) > 0 {
			t.Errorf("%q: the fix %s is refused: %v", value, write, errs)
		}
	}
}

// The process may be told to stop in the middle of a validation. What was interrupted must not pass for not understood.
func TestAnInterruptedValidationIsDoneToItsEnd(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var domains []any
	for i := range 1000 {
		domains = append(domains, fmt.Sprintf("d%d.example", i))
	}
	spec := map[string]any{"allow": map[string]any{"domains": domains}}
	if _, errs := testSchema(t).Validate(ctx, spec); len(errs) > 0 {
		t.Errorf("violations %v", errs)
	}
}

func TestConvertReadsEveryField(t *testing.T) {
	c := testSchema(t)
	got := c.Convert(t.Context(), fixture.Policy(t, "team", "policy", `{
		mode: Audit,
		appliesTo: {requestTypes: [ProgressiveProfile], sources: [rul1, reg2]},
		allow: {domains: [acme.com], publicSuffixes: ["*.ac.uk"], addresses: ["{local}@beta.example"]},
		deny: {domains: [ru], addresses: ["{local}@gamma.example"]},
		profile: [{attribute: userType, value: Partner}, {attribute: level, value: 7}, {attribute: ratio, value: 0.5},
			{attribute: vip, value: true}, {attribute: groups, value: [a, b]}],
		message: No.}`))
	want := rules.Policy{
		PolicyName:   rules.PolicyName{Namespace: "team", Name: "policy"},
		Mode:         rules.Audit,
		RequestTypes: []rules.RequestType{rules.ProgressiveProfile},
		Sources:      []string{"rul1", "reg2"},
		Allow: rules.AllowRules{
			Domains: []string{"acme.com"}, PublicSuffixes: []string{"*.ac.uk"}, Addresses: []string{fixture.LocalPart + "@beta.example"},
		},
		Deny: rules.DenyRules{Domains: []string{"ru"}, Addresses: []string{fixture.LocalPart + "@gamma.example"}},
		Profile: []rules.ProfileAttribute{
			{Name: "userType", Value: `"Partner"`}, {Name: "level", Value: "7"}, {Name: "ratio", Value: "0.5"},
			{Name: "vip", Value: "true"}, {Name: "groups", Value: `["a","b"]`},
		},
		Message: "No.",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("policy (-want +got):\n%s", diff)
	}
}

// A policy whose every part is in use, and what may stand in the place of each part.
const everyPart = `{
	mode: Enforce,
	appliesTo: {requestTypes: [SelfServiceRegistration], sources: [rul1]},
	allow: {domains: [acme.com], publicSuffixes: ["*.ac.uk"], addresses: ["{local}@beta.example"]},
	deny: {domains: [gamma.acme.com], addresses: ["{local}@acme.com"]},
	profile: [{attribute: userType, value: Partner}],
	message: No.}`

var oddValues = []string{
	`null`, `true`, `0`, `-1.5`, `9223372036854775807`, `1e300`, `""`, `"x"`, `"{local}@acme.com"`, `"*"`, `"Audit"`,
	`[]`, `[null]`, `[[]]`, `[{}]`, `["*"]`, `["x", "x"]`, `["{local}@acme.com"]`, `{}`, `{"x": null}`, `{"domains": ["*"]}`,
	`{"{local}@acme.com": 1}`, `{"metadata": {}, "kind": "x", "apiVersion": "y"}`,
}

// Whatever stands in the place of any part: nothing panics, no text holds a local part, and either the policy is of the shape
// that the schema admits, or it is not enforceable.
func TestAnyValueAnywhereIsReadOrNotUnderstood(t *testing.T) {
	c := testSchema(t)
	original := specOf(t, everyPart)
	if policy := c.Convert(t.Context(), policyWith(original)); policy.NotUnderstood != "" {
		t.Fatal(policy.NotUnderstood)
	}
	understoodOnes, notUnderstoodOnes := 0, 0
	for _, path := range pathsOf(original, nil) {
		for _, text := range oddValues {
			value := specOf(t, `{v: `+text+`}`)["v"]
			spec := replaced(original, path, value)
			policy := c.Convert(t.Context(), policyWith(spec))
			if mark := fixture.HoldsLocalPart(policy.NotUnderstood); mark != "" {
				t.Errorf("%v = %s: %q holds the local part", path, text, policy.NotUnderstood)
			}
			if policy.NotUnderstood == "" {
				understoodOnes++
				if _, isSpec := spec.(map[string]any); !isSpec {
					t.Errorf("%v = %s: a spec of another type was understood", path, text)
				}
				continue
			}
			notUnderstoodOnes++
			allowAny := rules.Policy{PolicyName: rules.PolicyName{Name: "any"}, Allow: rules.AllowRules{Domains: []string{"*"}}}
			snapshot, _ := rules.Compile([]rules.Policy{policy, allowAny})
			decision := snapshot.Decide(fixture.SignUp("jo@acme.com", "rul1"))
			narrower := len(path) > 0 && path[0] == "appliesTo" // another reading of it may well not mean this call
			if decision.Reason != rules.ReasonPolicyNotEnforceable && policy.Mode != rules.Audit && !narrower {
				t.Errorf("%v = %s: not understood, and the call it applies to is %s", path, text, decision.Reason)
			}
			if narrower && (len(policy.RequestTypes) > 0 || len(policy.Sources) > 0) {
				t.Errorf("%v = %s: appliesTo is not understood, and still limits: %v %v",
					path, text, policy.RequestTypes, policy.Sources)
			}
		}
	}
	if understoodOnes == 0 || notUnderstoodOnes == 0 {
		t.Errorf("%d understood, %d not: the values do not try both", understoodOnes, notUnderstoodOnes)
	}
}

func policyWith(spec any) *unstructured.Unstructured {
	object := New()
	object.SetNamespace("default")
	object.SetName("policy")
	object.Object["spec"] = spec
	return object
}

// pathsOf returns the paths of a value and of everything in it.
func pathsOf(value any, path []any) [][]any {
	all := [][]any{path}
	below := func(step, value any) {
		all = append(all, pathsOf(value, append(append([]any{}, path...), step))...)
	}
	switch value := value.(type) {
	case map[string]any:
		for key, member := range value {
			below(key, member)
		}
	case []any:
		for i, item := range value {
			below(i, item)
		}
	}
	return all
}

// replaced returns a copy of a value with another one at a path.
func replaced(value any, path []any, with any) any {
	if len(path) == 0 {
		return runtime.DeepCopyJSONValue(with)
	}
	switch value := runtime.DeepCopyJSONValue(value).(type) {
	case map[string]any:
		key := path[0].(string)
		value[key] = replaced(value[key], path[1:], with)
		return value
	case []any:
		i := path[0].(int)
		value[i] = replaced(value[i], path[1:], with)
		return value
	default:
		return value
	}
}
