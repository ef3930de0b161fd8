package hookserver

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/rules"
)

// TestTheDecisionLogWritesWhatAHandlerWrites compares both ways to write a line, byte by byte.
func TestTheDecisionLogWritesWhatAHandlerWrites(t *testing.T) {
	domain, err := rules.ParseDomain("elsewhere.example")
	if err != nil {
		t.Fatal(err)
	}
	usual := decidedCall{
		decisionID: strings.Repeat("A", 26), credential: "current", digest: "sha256:00", shape: rules.SignUp,
		oktaRequestID: "reqQFcZNuvhRj2VZbngrI2ZJA", eventID: "GOsk4z6tSSeZo6X08MvKaw", source: "rul1bufGk5dJdRYw50g4",
		decision: rules.Decision{Outcome: rules.Allow, Reason: rules.ReasonAllowed, Policy: rules.PolicyName{Namespace: "okta", Name: "a"}},
	}
	for sentence, test := range map[string]struct {
		change   func(*decidedCall)
		duration time.Duration
		slow     string // the formats in which the line is left to the handler
	}{
		"an allow":            {func(*decidedCall) {}, 123456 * time.Nanosecond, ""},
		"no id, no policy":    {func(c *decidedCall) { *c = decidedCall{} }, time.Millisecond, ""},
		"a denial by no rule": {func(c *decidedCall) { c.decision = rules.Decision{Attribute: "email", Domain: domain} }, time.Second, ""},
		"an invalid address": {func(c *decidedCall) {
			c.decision = rules.Decision{Invalid: rules.ManyAtSigns, InvalidLength: 13, Observed: true}
		}, 1001 * time.Nanosecond, ""},
		"a placeholder":         {func(c *decidedCall) { c.source = idPersonal }, 2 * time.Microsecond, ""},
		"three seconds":         {func(*decidedCall) {}, 3 * time.Second, ""},
		"no time":               {func(*decidedCall) {}, 0, ""},
		"under a microsecond":   {func(*decidedCall) {}, 999 * time.Nanosecond, "json"},
		"a microsecond":         {func(*decidedCall) {}, time.Microsecond, ""},
		"a ~ in a client":       {func(c *decidedCall) { c.credential = "oauth:a~b" }, time.Millisecond, ""},
		"a DEL in a client":     {func(c *decidedCall) { c.credential = "oauth:a\x7fb" }, time.Millisecond, "json, text"},
		"a quote in a client":   {func(c *decidedCall) { c.credential = `oauth:a"b\` }, time.Millisecond, "json, text"},
		"an = in a client":      {func(c *decidedCall) { c.credential = "oauth:a=b" }, time.Millisecond, "json, text"},
		"a space in a policy":   {func(c *decidedCall) { c.decision.Policy.Name = "a b" }, time.Millisecond, "json, text"},
		"a policy beyond ASCII": {func(c *decidedCall) { c.decision.Policy.Name = "ä\u2028\xff" }, time.Millisecond, "json, text"},
		"an audit outcome": {func(c *decidedCall) {
			c.decision.Audit = []rules.AuditOutcome{{Policy: rules.PolicyName{Name: "b"}, Reason: rules.ReasonDenied}}
		}, time.Millisecond, "json, text"},
	} {
		for format, handler := range map[string]func(io.Writer) slog.Handler{
			"json": func(w io.Writer) slog.Handler { return slog.NewJSONHandler(w, nil) },
			"text": func(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) },
		} {
			t.Run(sentence+", "+format, func(t *testing.T) {
				var want bytes.Buffer
				server := &Server{options: Options{
					LogDomain: LogDomainDenied, Logger: logr.FromSlogHandler(handler(&want)).WithName("hook"),
				}}
				memory := &scratch{call: usual}
				test.change(&memory.call)
				memory.call.policy = memory.call.decision.Policy.String()
				server.logDecided(memory, test.duration, time.Time{})

				log := &DecisionLog{Text: format == "text", Name: "hook"}
				got, ok := log.append(nil, timeOf(t, want.String()), memory.logAttributes)
				if slow := strings.Contains(test.slow, format); ok == slow {
					t.Fatalf("written: %t, want %t", ok, !slow)
				}
				if ok && string(got) != want.String() {
					t.Errorf("%s\nwant\n%s", got, want.String())
				}

				var line bytes.Buffer
				want.Reset()
				log.Writer, server.options.DecisionLog = &line, log
				server.logDecided(memory, test.duration, time.Now())
				if (line.Len() > 0) == (want.Len() > 0) {
					t.Errorf("written as %q by the decision log, and as %q by the handler", line.String(), want.String())
				}
			})
		}
	}
}

// timeOf returns the time of a line.
func timeOf(t *testing.T, line string) time.Time {
	t.Helper()
	var read struct{ Time string }
	if json.Unmarshal([]byte(line), &read) != nil {
		read.Time, _, _ = strings.Cut(strings.TrimPrefix(line, "time="), " ")
	}
	at, err := time.Parse(time.RFC3339Nano, read.Time)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestADisabledLoggerWritesNoDecisions(t *testing.T) {
	var lines bytes.Buffer
	server := run(t, func(o *Options) {
		o.Logger = logr.FromSlogHandler(slog.NewJSONHandler(&lines, &slog.HandlerOptions{Level: slog.LevelWarn}))
		o.DecisionLog = &DecisionLog{Writer: &lines}
	})
	server.post(signUp("jo@example.com", "jo"))
	if lines.Len() > 0 {
		t.Errorf("%s", lines.String())
	}
}
