package oktasim

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// profileLocation is what a cause's location begins with, for progressive profiles too.
const profileLocation = "data.userProfile."

// cause is one of the error's causes, as far as the person sees it.
type cause struct {
	Summary  string
	Location string
}

// attribute returns the attribute that the cause stands next to, if it is located at one.
func (c cause) attribute() (string, bool) {
	name, found := strings.CutPrefix(c.Location, profileLocation)
	return name, found && name != ""
}

// readError returns the causes of the answer's error, and names what is wrong with it. An error of a form that Okta
// does not know is one without causes (inferred).
func (r *Result) readError(failure jsontext.Value) []cause {
	var e struct {
		Summary jsontext.Value `json:"errorSummary"`
		Causes  jsontext.Value `json:"errorCauses"`
	}
	if failure.Kind() != jsontext.KindBeginObject || json.Unmarshal(failure, &e, lenient) != nil {
		r.trouble(KindErrorForm, "error is not an object: even so the registration fails")
		return nil
	}
	if text(e.Summary) == "" {
		r.trouble(KindErrorForm, "error.errorSummary is missing")
	}
	var members []map[string]jsontext.Value
	if e.Causes != nil && json.Unmarshal(e.Causes, &members, lenient) != nil {
		r.trouble(KindErrorForm, "error.errorCauses is not a list of objects: the person reads a generic text")
		return nil
	}
	if len(members) == 0 {
		r.trouble(KindErrorForm, "error.errorCauses is missing: the person reads a generic text")
	}
	causes := make([]cause, len(members))
	for i, m := range members {
		r.checkCause(i, m)
		causes[i] = cause{Summary: text(m["errorSummary"]), Location: text(m["location"])}
	}
	return causes
}

// checkCause names what is wrong with one cause.
func (r *Result) checkCause(i int, members map[string]jsontext.Value) {
	for _, name := range []string{"errorSummary", "reason", "locationType", "location", "domain"} {
		if text(members[name]) == "" {
			r.trouble(KindCauseForm, "error.errorCauses[%d].%s is missing", i, name)
		}
	}
	if text(members["reason"]) == "UNIQUE_CONSTRAINT" {
		r.trouble(KindCauseForm,
			"error.errorCauses[%d].reason is UNIQUE_CONSTRAINT, which the widget treats specially", i)
	}
	if t := text(members["locationType"]); t != "" && t != "body" {
		r.trouble(KindCauseForm, "error.errorCauses[%d].locationType is %.40q: send body", i, t)
	}
	if d := text(members["domain"]); d != "" && d != "end-user" {
		r.trouble(KindCauseForm,
			"error.errorCauses[%d].domain is %.40q: send end-user (whose fault it is, not a DNS domain)", i, d)
	}
	location := text(members["location"])
	if _, inProfile := (cause{Location: location}).attribute(); location != "" && !inProfile {
		r.trouble(KindCauseElsewhere,
			"error.errorCauses[%d].location is %.60q: send data.userProfile.<attribute>, or nobody reads it", i, location)
	}
}
