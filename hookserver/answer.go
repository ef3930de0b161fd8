package hookserver

import (
	"net/http"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/rules"
)

// Preview is what a server would make of a call.
type Preview struct {
	// Call is what the decision depends on, and Decision what comes of it.
	Call     rules.Call
	Decision rules.Decision
	// Body is the answer to Okta, with status 200.
	Body []byte
}

// DryRun answers a call as a server with these options and this snapshot would after it authenticated the caller, and
// leaves out all else: nothing is served, counted or logged. Of the options it looks at AddressAttributes, Texts and
// Observe; the request must have been decoded with the same attributes. The error is about these options, or that of a
// server that answers 500.
func DryRun(request *okta.Request, snapshot *rules.Snapshot, decisionID string, options Options) (Preview, error) {
	options = options.withDefaults()
	var faults optionerror.Errors
	options.addAnswerFaults(&faults)
	if err := faults.Err(); err != nil {
		return Preview{}, err
	}
	call, decision := decide(request, snapshot, options.Observe)
	c := decidedCall{decisionID: decisionID, digest: snapshot.Digest(), shape: call.Shape, decision: &decision}
	c.identify(&http.Request{}, request, options.AuthHeader)
	body, err := c.response(&options).Encode()
	return Preview{call, decision, body}, err
}

func decide(request *okta.Request, snapshot *rules.Snapshot, observe bool) (rules.Call, rules.Decision) {
	call := callOf(request)
	decision := snapshot.Decide(call)
	decision.Observed = observe
	return call, decision
}

// response puts the decision into Okta's words.
func (c *decidedCall) response(o *Options) okta.Response {
	d := c.decision
	debug := c.debugContext()
	if d.Answer() == rules.Deny {
		attribute := d.Attribute
		if attribute == "" {
			attribute = o.AddressAttributes[0] // a cause without a location under the profile is not shown
		}
		return okta.Deny(o.Texts.For(d, c.decisionID), string(d.Reason.Code()), attribute).WithDebugContext(debug)
	}
	if d.Observed || len(d.Profile) == 0 {
		return okta.Allow(nil).WithDebugContext(debug)
	}
	values := make([]okta.Value, len(d.Profile))
	for i, attribute := range d.Profile {
		values[i] = okta.Value{Name: attribute.Name, JSON: attribute.Value}
	}
	if c.shape == rules.ProfileUpdate {
		return okta.AllowUpdate(values).WithDebugContext(debug)
	}
	return okta.Allow(values).WithDebugContext(debug)
}
