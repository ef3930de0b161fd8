package policyobject

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/test/fixture"
)

// Objects that were stored when the schema was less strict. An entry that matched nothing still allows nothing, and does not
// deny other calls.
func TestStoredEntriesThatTheSchemaRefusesNowAreJudgedByTheRules(t *testing.T) {
	schema, err := NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	c := schema
	for spec, want := range map[string]rules.Reason{
		`{allow: {domains: [acme.com], addresses: ["*@x.example"]}}`:                              rules.ReasonAllowed,
		`{allow: {domains: [acme.com, "ex\u3164ample.com"]}}`:                                     rules.ReasonAllowed,
		`{allow: {domains: [acme.com]}, deny: {addresses: ["*@x.example"]}}`:                      rules.ReasonPolicyNotEnforceable,
		`{allow: {domains: [acme.com]}, deny: {domains: ["ex\u3164ample.com"]}}`:                  rules.ReasonPolicyNotEnforceable,
		`{allow: {domains: [acme.com], lists: [{configMap: {name: a}}, {configMap: {name: b}}]}}`: rules.ReasonAllowed,
		`{allow: {domains: [acme.com], addresses: ["jo@@x.example"]}}`:                            rules.ReasonPolicyNotEnforceable,
		`{allow: {domains: [acme.com], addresses: ["*@x.example", "jo@@x.example"]}}`:             rules.ReasonPolicyNotEnforceable,
	} {
		policy := c.Convert(t.Context(), fixture.Policy(t, "default", "p", spec))
		snapshot, rejections := rules.Compile([]rules.Policy{policy})
		got := snapshot.Decide(rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@acme.com"}}})
		if got.Reason != want || policy.NotUnderstood == "" && len(rejections) == 0 {
			t.Errorf("%s: %s, want %s; rejections %v", spec, got.Reason, want, rejections)
		}
	}
}

// Whatever letter stands in a label: what the schema lets pass is read, or the policy is not enforceable and says why; and the schema
// refuses no letter that has a reading there.
func TestTheSchemaAndTheRulesAgreeOnLetters(t *testing.T) {
	schema, err := NewSchema()
	if err != nil {
		t.Fatal(err)
	}
	var letters []rune
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if unicode.In(r, unicode.L, unicode.M, unicode.Nd) {
			letters = append(letters, r)
		}
	}
	refused := map[rune]bool{}
	for chunk := range slices.Chunk(letters, 900) {
		var entries []any
		for _, r := range chunk {
			entries = append(entries, "ex"+string(r)+"ample.com")
		}
		_, errs := schema.Validate(t.Context(), map[string]any{"deny": map[string]any{"domains": entries}})
		for _, violation := range errs {
			entry, isText := violation.BadValue.(string)
			if !isText || !strings.HasPrefix(violation.Detail, "write the letters") {
				t.Fatal(violation)
			}
			refused[[]rune(entry)[2]] = true
		}
	}
	for _, r := range letters {
		compiled := rules.CompilePolicy(rules.Policy{Deny: rules.DenyRules{Domains: []string{"ex" + string(r) + "ample.com"}}})
		read := compiled.Enforceable() && len(compiled.Rejections()) == 0
		if refused[r] && read {
			t.Errorf("U+%04X: the schema refuses it, and it has a reading", r)
		}
		if !refused[r] && !read && compiled.Enforceable() {
			t.Errorf("U+%04X: the schema lets it pass, and it is nothing", r)
		}
	}
	for _, r := range []rune{0x3164, 0x115f, 0x1160, 0xffa0, 0x17b4, 0x17b5, 0x04c0, 0x10a0, 0x10c5} {
		if !refused[r] {
			t.Errorf("U+%04X passes the schema", r)
		}
	}
}
