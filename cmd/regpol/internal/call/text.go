package call

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// write writes the report in the format of --output.
func (r *hookReport) write(s console.Streams, output string) error {
	return console.WriteReport(s, output, r, func() []byte { return r.text(s.Coloured()) })
}

// text returns the report as text.
func (r *hookReport) text(coloured bool) []byte {
	var w bytes.Buffer
	ink := console.InkDenied
	if r.Verdict == verdictAllowed {
		ink = console.InkAllowed
	}
	fmt.Fprintln(&w, ink.Paint(r.Verdict, coloured))
	row := func(name, text string) { fmt.Fprintf(&w, "  %-16s %s\n", name, text) }
	call := r.shape.String()
	if r.Address != "" {
		call += " of " + console.QuoteIfNeeded(r.Address)
	}
	row("call", call)
	row("url", console.QuoteIfNeeded(r.URL))
	row("okta", r.oktaAction())
	if r.called {
		row("answer", r.answer())
	}
	for _, member := range []struct{ name, text string }{
		{"decision", r.DecisionID}, {"reason", r.Reason}, {"policy", r.Policy},
	} {
		if member.text != "" {
			row(member.name, console.QuoteIfNeeded(member.text))
		}
	}
	if len(r.DebugContext) > 0 {
		row("debugContext", escapeControl(string(r.DebugContext)))
	}
	for _, update := range r.Profile {
		row("sets", console.QuoteIfNeeded(update.Attribute)+" to "+escapeControl(string(update.Value)))
	}
	r.writePages(&w, coloured)
	r.writeFaults(&w, coloured)
	return w.Bytes()
}

// oktaAction says what Okta would do.
func (r *hookReport) oktaAction() string {
	switch {
	case r.Verdict == verdictFailed && !r.called:
		return "would get no answer, and turns everybody away"
	case r.Verdict == verdictFailed:
		return "cannot use the answer, and turns everybody away"
	case r.Verdict == verdictDenied:
		return "turns the person away"
	case r.ByDefault:
		return "lets the person in BY DEFAULT: the answer does not say ALLOW or DENY"
	default:
		return "lets the person in"
	}
}

func (r *hookReport) answer() string {
	text := "none"
	if r.Status != 0 {
		text = "status " + strconv.Itoa(r.Status)
	}
	text += fmt.Sprintf(" after %.0f ms", r.LatencyMilliseconds)
	if r.Attempts > 1 {
		text += fmt.Sprintf(", %d attempts", r.Attempts)
	}
	return text
}

// escapeControl escapes unprintable characters, so that a text from the hook is one line and cannot control the
// terminal.
func escapeControl(text string) string {
	var w strings.Builder
	for _, c := range text {
		if strconv.IsPrint(c) {
			w.WriteRune(c)
		} else {
			fmt.Fprintf(&w, "\\u%04x", c)
		}
	}
	return w.String()
}

func (r *hookReport) writePages(w io.Writer, coloured bool) {
	if r.Verdict == verdictAllowed {
		return
	}
	fmt.Fprintf(w, "\n%s\n", console.InkHeading.Paint("The person reads", coloured))
	page := func(engine string, lines []registration.Line) {
		if len(lines) == 0 {
			fmt.Fprintf(w, "  %-16s nothing about the reason\n", engine)
		}
		for _, line := range lines {
			fmt.Fprintf(w, "  %-16s %s: %s\n", engine, escapeControl(line.Place), escapeControl(line.Text))
			engine = ""
		}
	}
	if r.shape != oktasim.ProgressiveProfile { // only Identity Engine has progressive profiles
		page("Classic", r.Person.Classic)
	}
	page("Identity Engine", r.Person.IdentityEngine)
}

func (r *hookReport) writeFaults(w io.Writer, coloured bool) {
	if len(r.Faults) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", console.InkHeading.Paint("Faults", coloured))
	for _, fault := range r.Faults {
		ink := console.InkDenied
		if fault.Level == hookcheck.LevelWarning {
			ink = console.InkFault
		}
		level := string(fault.Level)
		pad := strings.Repeat(" ", max(0, len(hookcheck.LevelWarning)-len(level)))
		fmt.Fprintf(w, "  %s%s  %s: %s\n", ink.Paint(level, coloured), pad, fault.Name, escapeControl(fault.What))
		fmt.Fprintf(w, "  %*s  fix: %s\n", len(hookcheck.LevelWarning), "", fault.Fix)
	}
}
