package call

import (
	"encoding/json"
	"net/url"

	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// The values of hookReport.Verdict.
const (
	verdictAllowed = "allowed"
	verdictDenied  = "denied"
	verdictFailed  = "failed"
)

var verdicts = map[oktasim.Outcome]string{
	oktasim.Registered: verdictAllowed, oktasim.Denied: verdictDenied, oktasim.Failed: verdictFailed,
}

var shapeNames = map[oktasim.Shape]string{
	oktasim.SignUp: registration.ShapeEngine, oktasim.ClassicSignUp: registration.ShapeClassic,
	oktasim.ProgressiveProfile: registration.ShapeProgressive,
}

// hookReport is the output of -o json, described in docs/reference/regpol-call.md.
type hookReport struct {
	// Verdict is allowed, denied, or failed if Okta denies because it cannot use the hook.
	Verdict string `json:"verdict"`
	// ByDefault says that Okta allows although the answer has no command that allows or denies.
	ByDefault bool `json:"byDefault,omitempty"`
	// URL is the hook's URL without the query, which may hold a secret.
	URL string `json:"url"`
	// Address is the address that signs up. It is absent with -f.
	Address string `json:"address,omitempty"`
	// Shape is classic, identity-engine or progressive.
	Shape string `json:"shape"`
	// RequestID is the value of the header X-Okta-Request-Id.
	RequestID string `json:"requestID,omitempty"`

	// Status is the HTTP status of the last answer, or 0 if there was none.
	Status int `json:"status"`
	// Attempts is the number of calls, without those that check authentication (see --no-probe).
	Attempts int `json:"attempts"`
	// LatencyMilliseconds is the time of all attempts together.
	LatencyMilliseconds float64 `json:"latencyMilliseconds"`

	// DecisionID, Reason and Policy come from debugContext. They are empty for a hook that does not write them.
	DecisionID string `json:"decisionID,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Policy     string `json:"policy,omitempty"`
	// DebugContext is the part of the answer that Okta writes to its System Log.
	DebugContext json.RawMessage `json:"debugContext,omitempty"`

	// Person has the lines that Okta would show to the person, in Classic and in Identity Engine.
	Person struct {
		Classic        []registration.Line `json:"classic"`
		IdentityEngine []registration.Line `json:"identityEngine"`
	} `json:"person"`
	// Profile has the attributes that Okta sets on the user.
	Profile []registration.Update `json:"profile,omitempty"`
	// Faults are the hook's faults, in the order in which the call met them.
	Faults []hookcheck.Fault `json:"faults"`

	shape  oktasim.Shape
	called bool
}

// newHookReport returns the report about what [hookcheck.Examine] found. The redactor removes the credential from
// everything that the hook sent.
func newHookReport(o *callOptions, call oktasim.Call, examined *hookcheck.Report, m redactor) *hookReport {
	result := &examined.Result
	r := &hookReport{
		Verdict: verdicts[result.Outcome], ByDefault: result.ByDefault, URL: withoutQuery(o.url), Shape: shapeNames[call.Shape],
		RequestID: call.RequestID,
		Status:    result.Status, Attempts: result.Attempts, Faults: []hookcheck.Fault{},
		LatencyMilliseconds: float64(result.Latency.Microseconds()) / 1000, shape: call.Shape, called: examined.Called,
	}
	if o.Request == "" {
		r.Address = registration.PreviewAddress
		if o.HasAddress {
			r.Address = o.Address
		}
	}
	for _, fault := range examined.Faults {
		fault.What = m.text(fault.What)
		r.Faults = append(r.Faults, fault)
	}
	r.Person.Classic, r.Person.IdentityEngine = linesOf(result.Classic, m), linesOf(result.IdentityEngine, m)
	for _, u := range result.ProfileUpdates {
		r.Profile = append(r.Profile, registration.Update{Attribute: m.text(u.Attribute), Value: m.json(u.Value)})
	}
	if result.DebugContext != "" {
		r.DebugContext = m.json(result.DebugContext)
		r.readDebugContext()
	}
	return r
}

// readDebugContext reads the members of debugContext that this operator writes. Another hook may not have them.
func (r *hookReport) readDebugContext() {
	var members map[string]json.RawMessage
	if json.Unmarshal(r.DebugContext, &members) != nil {
		return
	}
	for name, field := range map[string]*string{"decisionID": &r.DecisionID, "reason": &r.Reason, "policy": &r.Policy} {
		if json.Unmarshal(members[name], field) != nil {
			*field = ""
		}
	}
}

func linesOf(page oktasim.Page, m redactor) []registration.Line {
	lines := []registration.Line{}
	for _, line := range page {
		lines = append(lines, registration.Line{Text: m.text(line.Text), Place: m.text(line.Place())})
	}
	return lines
}

// withoutQuery returns a URL without user, query and fragment, which may hold a secret. It returns "" for an invalid
// URL.
func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
