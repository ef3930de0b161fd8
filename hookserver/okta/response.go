package okta

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Commands of the hook. Some of Okta's examples have com.action.update, which Okta ignores: it then allows by default.
const (
	actionUpdate      = "com.okta.action.update"
	profileUpdate     = "com.okta.user.profile.update"
	progressiveUpdate = "com.okta.user.progressive.profile.update"
)

// Response is the answer to a call, made by [Allow], [AllowUpdate] or [Deny]. The zero value must not be sent: Okta
// allows if there are no commands.
type Response struct {
	commands []command
	failure  *failure
	debug    any
}

// The wire format, and how Okta uses it.
type (
	// command is an element of commands. Okta runs them in order.
	command struct {
		Type  string `json:"type"`
		Value any    `json:"value"`
	}

	// registration is the value of com.okta.action.update: ALLOW or DENY.
	registration struct {
		Registration string `json:"registration"`
	}

	// failure is the member error; Okta's schema has Error, which is wrong. If it is present, even if empty, Okta runs
	// no command and the registration fails.
	failure struct {
		ErrorSummary string  `json:"errorSummary"`
		ErrorCauses  []cause `json:"errorCauses"`
	}

	// cause is an element of errorCauses. Okta requires all five members. Identity Engine shows the summary next to the
	// attribute.
	cause struct {
		ErrorSummary string `json:"errorSummary"`
		Reason       string `json:"reason"`
		LocationType string `json:"locationType"`
		Location     string `json:"location"`
		Domain       string `json:"domain"` // where the error comes from; not a DNS domain
	}

	wire struct {
		Commands     []command `json:"commands"`
		Error        *failure  `json:"error,omitzero"`
		DebugContext any       `json:"debugContext,omitzero"`
	}
)

// Value is one attribute to set on a user.
type Value struct {
	// Name is the attribute's variable name in Okta.
	Name string
	// JSON is the value, as JSON text.
	JSON string
}

// Allow returns the answer that allows a sign-up and sets the attributes on the new user. Okta sets them on sign-ups
// only.
func Allow(profile []Value) Response { return allow(profileUpdate, profile) }

// AllowUpdate returns the answer that allows a progressive profile and sets the attributes on the existing user. Okta
// sets them on progressive profiles only.
func AllowUpdate(profile []Value) Response { return allow(progressiveUpdate, profile) }

func allow(update string, profile []Value) Response {
	r := Response{commands: []command{{actionUpdate, registration{"ALLOW"}}}}
	if len(profile) > 0 {
		values := make(map[string]jsontext.Value, len(profile))
		for _, value := range profile {
			values[value.Name] = jsontext.Value(value.JSON)
		}
		r.commands = append(r.commands, command{update, values})
	}
	return r
}

// Deny returns the answer that denies the registration and shows a sentence next to the attribute. The sentence is both
// the summary and the only cause, because Okta's engines differ in which one they show. The reason is sent to the
// person's browser. It must not be UNIQUE_CONSTRAINT, which the sign-in widget takes for an existing account.
func Deny(sentence, reason, attribute string) Response {
	return Response{
		commands: []command{{actionUpdate, registration{"DENY"}}},
		failure: &failure{
			ErrorSummary: sentence,
			ErrorCauses: []cause{{
				ErrorSummary: sentence,
				Reason:       reason,
				LocationType: "body",
				Location:     "data.userProfile." + attribute, // also for a progressive profile
				Domain:       "end-user",
			}},
		},
	}
}

// WithDebugContext returns the answer with a debugContext, which Okta's System Log has in the event
// inline_hook.response.processed. It must encode as a JSON object.
func (r Response) WithDebugContext(debug any) Response {
	r.debug = debug
	return r
}

// Encode returns the answer as JSON. It fails if a Value is not JSON or a text is not UTF-8.
func (r Response) Encode() ([]byte, error) {
	return json.Marshal(wire{r.commands, r.failure, r.debug}, json.Deterministic(true))
}
