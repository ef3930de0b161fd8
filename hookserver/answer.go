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
// decoded with the same AddressAttributes. It fails if one of these options is invalid, or if the answer cannot be
// encoded; a server would then answer 500.
func DryRun(request *okta.Request, snapshot *rules.Snapshot, decisionID string, options Options) (Preview, error) {
	options = options.withDefaults()
	var faults optionerror.Errors
	options.addAnswerFaults(&faults)
	if err := faults.Err(); err != nil {
		return Preview{}, err
	}
	c := decidedCall{decisionID: decisionID}
	memory := new(scratch)
	call := c.decide(request, snapshot, options.Observe, memory)
	c.setIdentifiers(&http.Request{}, request, options.AuthHeader)
	body, err := c.encode(&options, memory)
	return Preview{call, c.decision, body}, err
}

// decide decides the call.
func (c *decidedCall) decide(request *okta.Request, snapshot *rules.Snapshot, observe bool, memory *scratch) rules.Call {
	call := callOf(request, memory)
	c.shape, c.digest = call.Shape, snapshot.Digest()
	c.decision = snapshot.Decide(call)
	c.decision.Observed = observe
	c.policy = c.decision.Policy.String()
	return call
}

// encode returns the answer to Okta. It is valid until memory is used again.
func (c *decidedCall) encode(o *Options, memory *scratch) ([]byte, error) {
	memory.debug = c.appendDebugContext(memory.debug[:0])
	response := c.response(o, memory).WithDebugContext(memory.debug)
	var err error
	memory.answer, err = response.Encode(memory.answer[:0])
	return memory.answer, err
}

// response returns the decision in Okta's format.
func (c *decidedCall) response(o *Options, memory *scratch) okta.Response {
	d := &c.decision
	if d.Answer() == rules.Deny {
		attribute := d.Attribute
		if attribute == "" {
			attribute = o.AddressAttributes[0] // Okta shows an error cause only if its location is an attribute
		}
		return okta.Deny(o.Texts.For(d, c.decisionID), string(d.Reason.Code()), attribute)
	}
	if d.Observed || len(d.Profile) == 0 {
		return okta.Allow(nil)
	}
	memory.values = memory.values[:0]
	for _, attribute := range d.Profile {
		memory.values = append(memory.values, okta.Value{Name: attribute.Name, JSON: attribute.Value})
	}
	if c.shape == rules.ProfileUpdate {
		return okta.AllowUpdate(memory.values)
	}
	return okta.Allow(memory.values)
}
