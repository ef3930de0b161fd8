package hookserver

import (
	"time"

	"registrationpolicy.dev/operator/rules"
)

// logDecided writes the log line of a decision. It has no local part, no header value and no invalid address.
//
// Keys: decisionID, oktaRequestID, eventID, source, requestType, outcome, reason, policy, attribute, digest, duration
// (in seconds) and credential, "" if unknown; domain according to LogDomain; observed with Options.Observe; audit if
// policies in mode Audit would have changed the outcome; invalid (class) and invalidLength (bytes) if an address is
// invalid.
func (s *Server) logDecided(c *decidedCall, duration time.Duration) {
	d := &c.decision
	line := make([]any, 0, 36)
	line = append(line,
		"decisionID", c.decisionID,
		"oktaRequestID", c.oktaRequestID,
		"eventID", c.eventID,
		"source", c.source,
		"requestType", c.shape.String(),
		"outcome", d.Outcome.String(),
		"reason", string(d.Reason),
		"policy", d.Policy.String(),
		"attribute", d.Attribute,
		"digest", c.digest,
		"duration", duration.Seconds(),
		"credential", c.credential,
	)
	if domain := d.Domain.String(); domain != "" && s.logsDomain(d) {
		line = append(line, "domain", domain)
	}
	if d.Observed {
		line = append(line, "observed", true)
	}
	if len(d.Audit) > 0 {
		line = append(line, "audit", auditOutcomes(d.Audit))
	}
	if d.Invalid != "" {
		line = append(line, "invalid", string(d.Invalid), "invalidLength", d.InvalidLength)
	}
	s.options.Logger.Info("Decided", line...)
}

func (s *Server) logsDomain(d *rules.Decision) bool {
	switch s.options.LogDomain {
	case LogDomainAlways:
		return true
	case LogDomainNever:
		return false
	default:
		return d.Outcome == rules.Deny
	}
}

// auditOutcomes returns each audit outcome as namespace/name=OUTCOME/Reason.
func auditOutcomes(audits []rules.AuditOutcome) []string {
	texts := make([]string, len(audits))
	for i, audit := range audits {
		texts[i] = audit.Policy.String() + "=" + audit.Outcome.String() + "/" + string(audit.Reason)
	}
	return texts
}
