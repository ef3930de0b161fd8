package hookserver

import (
	"cmp"
	"strconv"

	"github.com/go-json-experiment/json/jsontext"

	"registrationpolicy.dev/operator/rules"
)

// appendDebugContext appends debugContext, the part of an answer that administrators see in Okta's System Log: a JSON
// object of at most maxDebugContext bytes. It has no domain and no personal data.
func (c *decidedCall) appendDebugContext(to []byte) []byte {
	audits, policy := c.decision.Audit[:min(len(c.decision.Audit), maxDebugAudits)], c.policy
	for {
		context := objectWriter{buf: to}
		c.writeDebugContext(&context, policy, audits)
		switch last := len(audits) - 1; {
		case context.err == nil && len(context.buf)-len(to) <= maxDebugContext:
			return context.buf
		case last >= 0:
			audits = audits[:last]
		case policy != "":
			policy = "" // longer than any name in Kubernetes, or not UTF-8
		default:
			return append(to, "{}"...)
		}
	}
}

// writeDebugContext writes debugContext with the name of the policy that decided and as many audit outcomes as fit.
func (c *decidedCall) writeDebugContext(w *objectWriter, policy string, audits []rules.AuditOutcome) {
	d := &c.decision
	w.begin()
	w.text("decisionID", c.decisionID)
	w.text("outcome", d.Outcome.String()) // what the policies decided; if Observed, the answer is ALLOW regardless
	w.text("reason", string(d.Reason))
	w.optional("policy", policy)
	w.optional("attribute", d.Attribute) // the first address attribute that failed
	w.optional("invalid", string(d.Invalid))
	w.optional("source", c.source)
	w.text("requestType", c.shape.String())
	w.number("policiesThatTookPart", d.TookPart)
	w.text("digest", c.digest)
	if d.Observed {
		w.raw("observed", "true")
	}
	if len(audits) > 0 {
		w.raw("audit", "[")
		for i, audit := range audits {
			if i > 0 {
				w.buf = append(w.buf, ',')
			}
			w.begin()
			w.text("policy", audit.Policy.String())
			w.text("outcome", audit.Outcome.String())
			w.text("reason", string(audit.Reason))
			w.end()
		}
		w.buf = append(w.buf, ']')
	}
	if omitted := len(d.Audit) - len(audits); omitted > 0 {
		w.number("auditOmitted", omitted)
	}
	w.end()
}

// objectWriter appends a JSON object to a buffer, member by member.
type objectWriter struct {
	buf []byte
	err error // the first one
}

func (w *objectWriter) begin() { w.buf = append(w.buf, '{') }
func (w *objectWriter) end()   { w.buf = append(w.buf, '}') }

// raw writes a member whose value is JSON already. Names are constants, which need no escapes.
func (w *objectWriter) raw(name, json string) {
	if w.buf[len(w.buf)-1] != '{' {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, '"')
	w.buf = append(w.buf, name...)
	w.buf = append(w.buf, `":`...)
	w.buf = append(w.buf, json...)
}

func (w *objectWriter) text(name, text string) {
	w.raw(name, "")
	var err error
	w.buf, err = jsontext.AppendQuote(w.buf, text)
	w.err = cmp.Or(w.err, err)
}

// optional writes a member unless its text is empty.
func (w *objectWriter) optional(name, text string) {
	if text != "" {
		w.text(name, text)
	}
}

func (w *objectWriter) number(name string, n int) {
	w.raw(name, "")
	w.buf = strconv.AppendInt(w.buf, int64(n), 10)
}
