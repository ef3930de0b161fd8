package oktasim

import (
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// profileLocation is the prefix of a cause's location, also for progressive profiles.
const profileLocation = "data.userProfile."

// cause has the members of an element of errorCauses that affect what the person sees.
type cause struct {
	Summary  string
	Location string
}

// attribute returns the attribute next to which Okta shows the cause, if its location is an attribute.
func (c cause) attribute() (string, bool) {
	name, found := strings.CutPrefix(c.Location, profileLocation)
	return name, found && name != ""
}

// readError returns the causes in the member error of an answer, and adds the faults of that member. It returns no
// causes for an invalid error (inferred).
func (r *Result) readError(failure jsontext.Value) []cause {
	var e struct {
		Summary jsontext.Value `json:"errorSummary"`
		Causes  jsontext.Value `json:"errorCauses"`
	}
	if failure.Kind() != jsontext.KindBeginObject || json.Unmarshal(failure, &e, lenient) != nil {
		r.addFault(KindErrorForm, "error is not an object: the registration fails nevertheless")
		return nil
	}
	if text(e.Summary) == "" {
		r.addFault(KindErrorForm, "error.errorSummary is missing")
	}
	var members []map[string]jsontext.Value
	if e.Causes != nil && json.Unmarshal(e.Causes, &members, lenient) != nil {
		r.addFault(KindErrorForm, "error.errorCauses is not a list of objects: the person reads a generic text")
		return nil
	}
	if len(members) == 0 {
		r.addFault(KindErrorForm, "error.errorCauses is missing: the person reads a generic text")
	}
	causes := make([]cause, len(members))
	for i, m := range members {
		r.checkCause(i, m)
		causes[i] = cause{Summary: text(m["errorSummary"]), Location: text(m["location"])}
	}
	return causes
}

// checkCause adds the faults of a cause.
func (r *Result) checkCause(i int, members map[string]jsontext.Value) {
	for _, name := range []string{"errorSummary", "reason", "locationType", "location", "domain"} {
		if text(members[name]) == "" {
			r.addFault(KindCauseForm, "error.errorCauses[%d].%s is missing", i, name)
		}
	}
	if text(members["reason"]) == "UNIQUE_CONSTRAINT" {
		r.addFault(KindCauseForm,
			"error.errorCauses[%d].reason is UNIQUE_CONSTRAINT, which the sign-in widget takes for an existing account", i)
	}
	if t := text(members["locationType"]); t != "" && t != "body" {
		r.addFault(KindCauseForm, "error.errorCauses[%d].locationType is %.40q: send body", i, t)
	}
	if d := text(members["domain"]); d != "" && d != "end-user" {
		r.addFault(KindCauseForm,
			"error.errorCauses[%d].domain is %.40q: send end-user (where the error comes from, not a DNS domain)", i, d)
	}
	location := text(members["location"])
	if _, inProfile := (cause{Location: location}).attribute(); location != "" && !inProfile {
		r.addFault(KindCauseElsewhere,
			"error.errorCauses[%d].location is %.60q, so Okta does not show it: send data.userProfile.<attribute>", i, location)
	}
}
