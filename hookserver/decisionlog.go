package hookserver

import (
	"io"
	"log/slog"
	"math"
	"strconv"
	"time"

	"registrationpolicy.dev/operator/rules"
)

// logDecided writes the log line of a decision: with Options.DecisionLog if it is set and supports all values of the
// line, else with the logger.
func (s *Server) logDecided(memory *scratch, duration time.Duration, now time.Time) {
	if !s.options.Logger.Enabled() {
		return
	}
	memory.logAttributes = s.appendLogAttributes(memory.logAttributes[:0], &memory.call, duration)
	if log := s.options.DecisionLog; log != nil {
		if line, ok := log.append(memory.logLine[:0], now, memory.logAttributes); ok {
			memory.logLine = line
			_, _ = log.Writer.Write(line) // an error of the log cannot be logged
			return
		}
	}
	keysAndValues := make([]any, 0, 2*len(memory.logAttributes))
	for _, attribute := range memory.logAttributes {
		keysAndValues = append(keysAndValues, attribute.Key, attribute.Value.Any())
	}
	s.options.Logger.Info("Decided", keysAndValues...)
}

// appendLogAttributes appends the attributes of a decision's log line. They have no local part, no header value and no
// invalid address.
//
// Every line has decisionID, oktaRequestID, eventID, source, requestType, outcome, reason, policy, attribute, digest,
// duration (in seconds) and credential; a text that the call does not have is "". Some lines also have:
//   - domain, according to Options.LogDomain
//   - observed, with Options.Observe
//   - audit, if policies in mode Audit would have changed the outcome
//   - invalid (a [rules.Invalid]) and invalidLength (in bytes), if an address is invalid
func (s *Server) appendLogAttributes(to []slog.Attr, c *decidedCall, duration time.Duration) []slog.Attr {
	d := &c.decision
	to = append(to,
		slog.String("decisionID", c.decisionID),
		slog.String("oktaRequestID", c.oktaRequestID),
		slog.String("eventID", c.eventID),
		slog.String("source", c.source),
		slog.String("requestType", c.shape.String()),
		slog.String("outcome", d.Outcome.String()),
		slog.String("reason", string(d.Reason)),
		slog.String("policy", c.policy),
		slog.String("attribute", d.Attribute),
		slog.String("digest", c.digest),
		slog.Float64("duration", duration.Seconds()),
		slog.String("credential", c.credential),
	)
	if domain := d.Domain.String(); domain != "" && s.logsDomain(d) {
		to = append(to, slog.String("domain", domain))
	}
	if d.Observed {
		to = append(to, slog.Bool("observed", true))
	}
	if len(d.Audit) > 0 {
		to = append(to, slog.Any("audit", auditOutcomes(d.Audit)))
	}
	if d.Invalid != "" {
		to = append(to, slog.String("invalid", string(d.Invalid)), slog.Int("invalidLength", d.InvalidLength))
	}
	return to
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

// DecisionLog writes the log lines of decisions exactly as a handler of [log/slog] would. It exists for its speed: a
// handler takes as long for the line as the server takes for the rest of the call.
type DecisionLog struct {
	// Writer receives each line in one Write. Write must not keep the slice, and is called concurrently.
	Writer io.Writer
	// Text selects the format of [slog.TextHandler]. The default is that of [slog.JSONHandler].
	Text bool
	// Name is the value of the key logger.
	Name string
}

// append appends a line to a buffer. It returns false if the line has a value that this function does not support: a
// list, a very small number, or a string with a character that a handler quotes or escapes in one of the formats.
func (l *DecisionLog) append(to []byte, now time.Time, attributes []slog.Attr) (_ []byte, ok bool) {
	if l.Text {
		to = append(to, "time="...)
		to = now.AppendFormat(to, "2006-01-02T15:04:05.000Z07:00")
		to = append(to, " level=INFO msg=Decided"...)
	} else {
		to = append(to, `{"time":"`...)
		to = now.AppendFormat(to, time.RFC3339Nano)
		to = append(to, `","level":"INFO","msg":"Decided"`...)
	}
	if l.Name != "" {
		to = l.appendKey(to, "logger")
		to = l.appendString(to, l.Name)
	}
	for i := range attributes {
		to = l.appendKey(to, attributes[i].Key)
		switch value := attributes[i].Value; value.Kind() {
		case slog.KindString:
			if !isPlain(value.String()) {
				return to, false
			}
			to = l.appendString(to, value.String())
		case slog.KindFloat64:
			if to, ok = l.appendFloat(to, value.Float64()); !ok {
				return to, false
			}
		case slog.KindInt64:
			to = strconv.AppendInt(to, value.Int64(), 10)
		case slog.KindBool:
			to = strconv.AppendBool(to, value.Bool())
		default:
			return to, false
		}
	}
	if !l.Text {
		to = append(to, '}')
	}
	return append(to, '\n'), true
}

func (l *DecisionLog) appendKey(to []byte, key string) []byte {
	if l.Text {
		to = append(to, ' ')
		to = append(to, key...)
		return append(to, '=')
	}
	to = append(to, `,"`...)
	to = append(to, key...)
	return append(to, `":`...)
}

func (l *DecisionLog) appendString(to []byte, text string) []byte {
	if l.Text && text != "" {
		return append(to, text...)
	}
	to = append(to, '"')
	to = append(to, text...)
	return append(to, '"')
}

func (l *DecisionLog) appendFloat(to []byte, f float64) (_ []byte, ok bool) {
	if l.Text {
		return strconv.AppendFloat(to, f, 'g', -1, 64), true
	}
	const least, most = 1e-6, 1e21 // outside of this range, encoding/json writes an exponent
	if f != 0 && (math.Abs(f) < least || math.Abs(f) >= most) {
		return to, false
	}
	return strconv.AppendFloat(to, f, 'f', -1, 64), true
}

// isPlain reports whether both formats write a string unchanged, without quotes or escapes. Nearly all strings of a
// decision are plain.
func isPlain(text string) bool {
	for i := range len(text) {
		if c := text[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == '=' {
			return false
		}
	}
	return true
}
