package okta

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Commands of the hook. Some of Okta's examples write com.action.update, which Okta does not know, and therefore
// allows.
const (
	actionUpdate      = "com.okta.action.update"
	profileUpdate     = "com.okta.user.profile.update"
	progressiveUpdate = "com.okta.user.progressive.profile.update"
)

// Response is the answer to one call: from [Allow] or [Deny]. Its zero value must not be sent: Okta takes an answer
// without commands for an allow.
type Response struct {
	commands []command
	failure  *failure
	debug    any
}

// The wire format, and what Okta makes of each part.
type (
	// command is one of commands[]. Okta runs them in order.
	command struct {
		Type  string `json:"type"`
		Value any    `json:"value"`
	}

	// registration is the value of com.okta.action.update: ALLOW or DENY.
	registration struct {
		Registration string `json:"registration"`
	}

	// failure is the member `error` (Okta's schema says `Error`, which is wrong). If it is there, even empty, no
	// command runs and the registration fails.
	failure struct {
		ErrorSummary string  `json:"errorSummary"`
		ErrorCauses  []cause `json:"errorCauses"`
	}

	// cause is one of errorCauses. Okta wants all five members. Identity Engine shows the summary next to the
	// attribute.
	cause struct {
		ErrorSummary string `json:"errorSummary"`
		Reason       string `json:"reason"`
		LocationType string `json:"locationType"`
		Location     string `json:"location"`
		Domain       string `json:"domain"` // whose fault it is; not a DNS domain
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

// Allow is the answer that lets the registration go on, and sets the given attributes on the new user. Okta runs that
// on sign-ups only.
func Allow(profile []Value) Response { return allow(profileUpdate, profile) }

// AllowUpdate is the answer that lets a progressive profile go on, and sets the given attributes on the existing user.
// Okta runs that on progressive profiles only.
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

// Deny is the answer that turns the person away with one sentence, next to the attribute. The sentence stands in the
// summary and in the only cause, because which of them a person sees differs between Okta's engines. The reason
// reaches the person's browser; it must not be UNIQUE_CONSTRAINT, which the sign-in widget takes for an existing
// account.
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

// WithDebugContext adds what administrators read in Okta's System Log, under inline_hook.response.processed. It must
// encode as a JSON object.
func (r Response) WithDebugContext(debug any) Response {
	r.debug = debug
	return r
}

// Encode returns the answer as JSON. It fails if a value is not JSON or a text is not UTF-8.
func (r Response) Encode() ([]byte, error) {
	return json.Marshal(wire{r.commands, r.failure, r.debug}, json.Deterministic(true))
}
