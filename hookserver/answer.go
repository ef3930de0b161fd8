package hookserver

import (
	"net/http"

	"registrationpolicy.dev/operator/hookserver/okta"
	"registrationpolicy.dev/operator/internal/optionerror"
	"registrationpolicy.dev/operator/rules"
)

// Preview is the result of [DryRun].
type Preview struct {
	// Call is the input of the decision, and Decision its result.
	Call     rules.Call
	Decision rules.Decision
	// Body is the answer to Okta, with status 200.
	Body []byte
}

// DryRun returns the answer of a server with these options and this snapshot to an authenticated call. It serves,
// counts and logs nothing. Of the options it uses AddressAttributes, Texts and Observe; the request must have been
// decoded with the same attributes. It fails if one of these options is invalid, or if the answer cannot be encoded: a
// server would then answer 500.
func DryRun(request *okta.Request, snapshot *rules.Snapshot, decisionID string, options Options) (Preview, error) {
	options = options.withDefaults()
	var faults optionerror.Errors
	options.addAnswerFaults(&faults)
	if err := faults.Err(); err != nil {
		return Preview{}, err
	}
	call, decision := decide(request, snapshot, options.Observe)
	c := decidedCall{decisionID: decisionID, digest: snapshot.Digest(), shape: call.Shape, decision: &decision}
	c.setIdentifiers(&http.Request{}, request, options.AuthHeader)
	body, err := c.response(&options).Encode()
	return Preview{call, decision, body}, err
}

func decide(request *okta.Request, snapshot *rules.Snapshot, observe bool) (rules.Call, rules.Decision) {
	call := callOf(request)
	decision := snapshot.Decide(call)
	decision.Observed = observe
	return call, decision
}

// response returns the decision in Okta's format.
func (c *decidedCall) response(o *Options) okta.Response {
	d := c.decision
	debug := c.debugContext()
	if d.Answer() == rules.Deny {
		attribute := d.Attribute
		if attribute == "" {
			attribute = o.AddressAttributes[0] // Okta shows an error cause only if its location is an attribute
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
