package hookserver

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// debugContext is the part of an answer that administrators see in Okta's System Log. It has no domain and no personal
// data.
type debugContext struct {
	DecisionID  string `json:"decisionID"`
	Outcome     string `json:"outcome"` // what the policies decided; if Observed, the answer is ALLOW regardless
	Reason      string `json:"reason"`
	Policy      string `json:"policy,omitzero"`
	Attribute   string `json:"attribute,omitzero"` // the first address attribute that failed
	Invalid     string `json:"invalid,omitzero"`   // why its value is invalid, a rules.Invalid
	Source      string `json:"source,omitzero"`
	RequestType string `json:"requestType"`
	TookPart    int    `json:"policiesThatTookPart"`
	Digest      string `json:"digest"`
	Observed    bool   `json:"observed,omitzero"`
	// Audit has as many audit outcomes as fit; AuditOmitted counts the rest.
	Audit        []debugAudit `json:"audit,omitzero"`
	AuditOmitted int          `json:"auditOmitted,omitzero"`
}

type debugAudit struct {
	Policy  string `json:"policy"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}

// debugContext returns a JSON object of at most maxDebugContext bytes.
func (c *decidedCall) debugContext() jsontext.Value {
	d := c.decision
	context := debugContext{
		DecisionID:  c.decisionID,
		Outcome:     d.Outcome.String(),
		Reason:      string(d.Reason),
		Policy:      d.Policy.String(),
		Attribute:   d.Attribute,
		Invalid:     string(d.Invalid),
		Source:      c.source,
		RequestType: c.shape.String(),
		TookPart:    d.TookPart,
		Digest:      c.digest,
		Observed:    d.Observed,
	}
	for _, audit := range d.Audit[:min(len(d.Audit), maxDebugAudits)] {
		context.Audit = append(context.Audit, debugAudit{audit.Policy.String(), audit.Outcome.String(), string(audit.Reason)})
	}
	for {
		context.AuditOmitted = len(d.Audit) - len(context.Audit)
		encoded, err := json.Marshal(&context)
		switch last := len(context.Audit) - 1; {
		case err == nil && len(encoded) <= maxDebugContext:
			return encoded
		case last > 0:
			context.Audit = context.Audit[:last]
		case last == 0:
			context.Audit = nil
		case context.Policy != "":
			context.Policy = "" // longer than any name in Kubernetes, or not UTF-8
		default:
			return jsontext.Value("{}")
		}
	}
}
