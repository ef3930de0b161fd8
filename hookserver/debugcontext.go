package hookserver

import (
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// debugContext is what administrators read of a decision in Okta's System Log. It has no domain and nothing personal.
type debugContext struct {
	DecisionID  string `json:"decisionID"`
	Outcome     string `json:"outcome"` // what the policies say: what is observed is answered otherwise
	Reason      string `json:"reason"`
	Policy      string `json:"policy,omitzero"`
	Attribute   string `json:"attribute,omitzero"` // the first address attribute that failed
	Invalid     string `json:"invalid,omitzero"`   // what is wrong with its value, as a class
	Source      string `json:"source,omitzero"`
	RequestType string `json:"requestType"`
	TookPart    int    `json:"policiesThatTookPart"`
	Digest      string `json:"digest"`
	Observed    bool   `json:"observed,omitzero"`
	// Audit holds as many audit outcomes as fit; AuditOmitted is the number of the others.
	Audit        []debugAudit `json:"audit,omitzero"`
	AuditOmitted int          `json:"auditOmitted,omitzero"`
}

type debugAudit struct {
	Policy  string `json:"policy"`
	Outcome string `json:"outcome"`
	Reason  string `json:"reason"`
}

// debugContext returns the JSON object for debugContext, of at most maxDebugContext bytes.
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
