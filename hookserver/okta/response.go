package okta

import (
	"cmp"

	"github.com/go-json-experiment/json/jsontext"
)

// Values of registration in the command com.okta.action.update.
const (
	allow = "ALLOW"
	deny  = "DENY"
)

// Commands of the hook. Some of Okta's examples have com.action.update, which Okta ignores: it then allows by default.
const (
	actionUpdate      = "com.okta.action.update"
	profileUpdate     = "com.okta.user.profile.update"
	progressiveUpdate = "com.okta.user.progressive.profile.update"
)

// Response is the answer to a call, made by [Allow], [AllowUpdate] or [Deny]. The zero value must not be sent: Okta
// allows unless an answer denies.
type Response struct {
	registration string // allow or deny
	update       string // the command that sets profile
	profile      []Value
	failure      failure // only for DENY
	debug        []byte
}

// failure has the values of the answer's member error.
type failure struct{ sentence, reason, attribute string }

// Value is one attribute to set on a user.
type Value struct {
	// Name is the attribute's variable name in Okta.
	Name string
	// JSON is the value, as JSON text.
	JSON string
}

// Allow returns the answer that allows a sign-up and sets the attributes on the new user. In the answer to any other
// call, Okta does not set them. No two attributes may have the same name.
func Allow(profile []Value) Response {
	return Response{registration: allow, update: profileUpdate, profile: profile}
}

// AllowUpdate returns the answer that allows a progressive profile and sets the attributes on the existing user. In the
// answer to any other call, Okta does not set them. No two attributes may have the same name.
func AllowUpdate(profile []Value) Response {
	return Response{registration: allow, update: progressiveUpdate, profile: profile}
}

// Deny returns the answer that denies the registration and shows a sentence next to the attribute. The sentence is both
// the summary and the only cause, because Okta's engines differ in which one they show. The reason is sent to the
// person's browser. It must not be UNIQUE_CONSTRAINT, which the sign-in widget takes for an existing account.
func Deny(sentence, reason, attribute string) Response {
	return Response{registration: deny, failure: failure{sentence, reason, attribute}}
}

// WithDebugContext returns the answer with a debugContext, which Okta's System Log has in the event
// inline_hook.response.processed. It must be a JSON object.
func (r Response) WithDebugContext(debug []byte) Response {
	r.debug = debug
	return r
}

// Encode appends the answer as JSON to a buffer and returns the result. It fails if a Value is not JSON or a text is
// not UTF-8; what it has appended is then of no use.
func (r Response) Encode(to []byte) ([]byte, error) {
	e := encoder{buf: to}
	e.raw(`{"commands":[`) // Okta runs them in order
	e.raw(`{"type":"` + actionUpdate + `","value":{"registration":"`)
	e.raw(r.registration)
	e.raw(`"}}`)
	if len(r.profile) > 0 {
		e.profile(r.update, r.profile)
	}
	e.raw(`]`)
	if r.registration == deny {
		e.failure(&r.failure)
	}
	if len(r.debug) > 0 {
		e.raw(`,"debugContext":`)
		e.buf = append(e.buf, r.debug...)
	}
	e.raw(`}`)
	return e.buf, e.err
}

// encoder appends JSON to a buffer. Fixed parts of an answer are appended as they are, because encoding by reflection
// takes several times as long.
type encoder struct {
	buf []byte
	err error // the first one
}

// profile appends the command that sets attributes.
func (e *encoder) profile(update string, values []Value) {
	e.raw(`,{"type":"`)
	e.raw(update)
	e.raw(`","value":`)
	separator := `{`
	for _, value := range values {
		e.raw(separator)
		e.text(value.Name)
		e.raw(`:`)
		e.value(value.JSON)
		separator = `,`
	}
	e.raw(`}}`)
}

// failure appends the member error, which Okta's schema wrongly names Error. If it is present, even if empty, Okta runs
// no command and the registration fails. Okta requires all five members of an error cause. The member location names
// an attribute, and Identity Engine shows the cause's errorSummary next to it. The location is
// data.userProfile and the attribute, also for progressive profiles. The member domain says where the error comes from:
// it is not a DNS domain.
func (e *encoder) failure(f *failure) {
	e.raw(`,"error":{"errorSummary":`)
	e.text(f.sentence)
	e.raw(`,"errorCauses":[{"errorSummary":`)
	e.text(f.sentence)
	e.raw(`,"reason":`)
	e.text(f.reason)
	e.raw(`,"locationType":"body","location":`)
	e.text("data.userProfile." + f.attribute)
	e.raw(`,"domain":"end-user"}]}`)
}

// raw appends JSON unchanged.
func (e *encoder) raw(json string) { e.buf = append(e.buf, json...) }

// text appends a text as a JSON string.
func (e *encoder) text(text string) {
	var err error
	e.buf, err = jsontext.AppendQuote(e.buf, text)
	e.err = cmp.Or(e.err, err)
}

// value appends a JSON value without white space.
func (e *encoder) value(json string) {
	var err error
	e.buf, err = jsontext.AppendFormat(e.buf, json)
	e.err = cmp.Or(e.err, err)
}
