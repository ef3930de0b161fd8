package main

import (
	"encoding/json"
	"net/url"

	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// The verdicts of call.
const (
	verdictAllowed = "allowed"
	verdictDenied  = "denied"
	verdictFailed  = "failed"
)

var verdicts = map[oktasim.Outcome]string{
	oktasim.Registered: verdictAllowed, oktasim.Denied: verdictDenied, oktasim.Failed: verdictFailed,
}

var shapeNames = map[oktasim.Shape]string{
	oktasim.SignUp: shapeEngine, oktasim.ClassicSignUp: shapeClassic, oktasim.ProgressiveProfile: shapeProgressive,
}

// hookReport is what -o json writes.
type hookReport struct {
	// Verdict is allowed, denied, or failed where Okta denies because it cannot use the hook.
	Verdict string `json:"verdict"`
	// ByDefault: allowed because the answer holds no action, and Okta allows then.
	ByDefault bool `json:"byDefault,omitempty"`
	// URL is without the query, which may hold a secret.
	URL string `json:"url"`
	// Address is who signs up; absent with -f.
	Address string `json:"address,omitempty"`
	// Shape is classic, identity-engine or progressive.
	Shape string `json:"shape"`
	// RequestID is the header X-Okta-Request-Id.
	RequestID string `json:"requestID,omitempty"`

	// Status is the HTTP status of the last answer; 0: none.
	Status int `json:"status"`
	// Attempts is how often the hook was called, without probes.
	Attempts int `json:"attempts"`
	// LatencyMilliseconds is the time of all attempts.
	LatencyMilliseconds float64 `json:"latencyMilliseconds"`

	// DecisionID, Reason and Policy are read from debugContext, as this project's operator writes it.
	DecisionID string `json:"decisionID,omitempty"`
	Reason     string `json:"reason,omitempty"`
	Policy     string `json:"policy,omitempty"`
	// DebugContext is what reaches Okta's System Log.
	DebugContext json.RawMessage `json:"debugContext,omitempty"`

	// Person is what the person reads.
	Person struct {
		Classic        []lineReport `json:"classic"`
		IdentityEngine []lineReport `json:"identityEngine"`
	} `json:"person"`
	// Profile is what Okta sets on the user.
	Profile []updateReport `json:"profile,omitempty"`
	// Faults are those found, in the order in which the call met them.
	Faults []hookcheck.Fault `json:"faults"`

	shape  oktasim.Shape
	called bool
}

// newHookReport puts an examination into words; what the hook sent passes through the mirror.
func newHookReport(o *callOptions, call oktasim.Call, examined *hookcheck.Report, m mirror) *hookReport {
	result := &examined.Result
	r := &hookReport{
		Verdict: verdicts[result.Outcome], ByDefault: result.ByDefault, URL: withoutQuery(o.url), Shape: shapeNames[call.Shape],
		RequestID: call.RequestID,
		Status:    result.Status, Attempts: result.Attempts, Faults: []hookcheck.Fault{},
		LatencyMilliseconds: float64(result.Latency.Microseconds()) / 1000, shape: call.Shape, called: examined.Called,
	}
	if o.request == "" {
		r.Address = previewAddress
		if o.byAddress {
			r.Address = o.address
		}
	}
	for _, fault := range examined.Faults {
		fault.What = m.text(fault.What)
		r.Faults = append(r.Faults, fault)
	}
	r.Person.Classic, r.Person.IdentityEngine = linesOf(result.Classic, m), linesOf(result.IdentityEngine, m)
	for _, u := range result.ProfileUpdates {
		r.Profile = append(r.Profile, updateReport{m.text(u.Attribute), m.json(u.Value)})
	}
	if result.DebugContext != "" {
		r.DebugContext = m.json(result.DebugContext)
		r.readDebugContext()
	}
	return r
}

// readDebugContext takes out of debugContext what an operator of this project puts there; of another hook's, what it
// can.
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

func linesOf(page oktasim.Page, m mirror) []lineReport {
	lines := []lineReport{}
	for _, line := range page {
		lines = append(lines, lineReport{m.text(line.Text), m.text(line.Place())})
	}
	return lines
}

// withoutQuery returns a URL without what may hold a secret.
func withoutQuery(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
