package hookserver

import "registrationpolicy.dev/operator/rules"

// decidedCall is a call with its decision. The answer, the log line and the metrics are made from it. It has no
// personal data.
type decidedCall struct {
	decisionID string
	credential string // the name, not the value
	digest     string
	shape      rules.Shape
	decision   rules.Decision
	policy     string // decision.Policy, as text

	// Ids that the caller sent, or the placeholders that loggableIdentifier returned for them.
	oktaRequestID string
	eventID       string
	source        string
}
