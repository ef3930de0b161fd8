package manual

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"
)

// policyID is the enrolment policy whose rule the org has.
const policyID = "rstD4fixture0default"

// fixtureJSON returns an answer of Okta's management API.
func fixtureJSON(t *testing.T, file string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// storedRule returns the only rule of an enrolment policy, without a hook.
func storedRule(t *testing.T) map[string]any {
	t.Helper()
	var rules []map[string]any
	if err := json.Unmarshal(fixtureJSON(t, "rules-list.json"), &rules); err != nil || len(rules) != 1 {
		t.Fatalf("%d rules: %v", len(rules), err)
	}
	return rules[0]
}

// enrolment returns the action of a rule that has the hooks.
func enrolment(rule map[string]any) map[string]any {
	actions, _ := rule["actions"].(map[string]any)
	action, _ := actions["profileEnrollment"].(map[string]any)
	return action
}

// attached returns the hooks that the rule names.
func (o *org) attached() []any {
	hooks, _ := enrolment(o.rule)["preRegistrationInlineHooks"].([]any)
	return hooks
}

// attach puts hooks into the rule, as an administrator does in the console.
func (o *org) attach(hooks ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	enrolment(o.rule)["preRegistrationInlineHooks"] = hooks
}

func (o *org) policies(w http.ResponseWriter, r *http.Request) {
	if r.URL.RawQuery != "type=PROFILE_ENROLLMENT" { // the parameter is required
		o.t.Errorf("the policies of %q", r.URL.RawQuery)
	}
	o.send(w, fixtureJSON(o.t, "policies-list.json"))
}

func (o *org) rules(w http.ResponseWriter, _ *http.Request) {
	text, err := json.Marshal([]any{o.rule})
	if err != nil {
		o.t.Error(err)
	}
	o.send(w, text)
}

// replaceRule replaces the rule, as Okta does: a member that is left out is lost, and without uiSchemaId Okta refuses the
// request. It fails the test if any member but those that Okta sets itself is left out.
func (o *org) replaceRule(w http.ResponseWriter, r *http.Request) {
	var rule map[string]any
	if err := json.NewDecoder(r.Body).Decode(&rule); err != nil || r.PathValue("rule") != o.rule["id"] {
		o.t.Errorf("PUT %s: %v", r.URL.Path, err)
	}
	for _, own := range []string{"_links", "created", "lastUpdated"} {
		if _, sent := rule[own]; sent {
			o.t.Errorf("the PUT sends %s, which Okta sets itself", own)
		}
		rule[own] = o.rule[own]
	}
	wantMembers(o.t, o.rule, rule)
	wantMembers(o.t, enrolment(o.rule), enrolment(rule))
	if enrolment(rule)["uiSchemaId"] == nil {
		w.WriteHeader(http.StatusBadRequest)
		o.send(w, fixtureJSON(o.t, "error-400-rule-uischemaid.json"))
		return
	}
	o.rule = rule
	text, err := json.Marshal(rule)
	if err != nil {
		o.t.Error(err)
	}
	o.send(w, text)
}

func wantMembers(t *testing.T, stored, sent map[string]any) {
	t.Helper()
	for name := range stored {
		if _, kept := sent[name]; !kept {
			t.Errorf("the PUT leaves out %s, which the rule has", name)
		}
	}
	for name := range sent {
		if _, known := stored[name]; !known {
			t.Errorf("the PUT adds %s, which the rule does not have", name)
		}
	}
}

func (o *org) send(w http.ResponseWriter, text []byte) {
	if _, err := w.Write(text); err != nil {
		o.t.Error(err)
	}
}
