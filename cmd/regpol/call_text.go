package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/internal/hookcheck"
	"registrationpolicy.dev/operator/internal/oktasim"
)

// write writes the report as the user asked for it.
func (r *hookReport) write(s streams, output string) error {
	return writeReport(s, output, r, func() []byte { return r.text(s.coloured()) })
}

// text is the report for people.
func (r *hookReport) text(coloured bool) []byte {
	var w bytes.Buffer
	ink := inkDenied
	if r.Verdict == verdictAllowed {
		ink = inkAllowed
	}
	fmt.Fprintln(&w, ink.paint(r.Verdict, coloured))
	row := func(name, text string) { fmt.Fprintf(&w, "  %-16s %s\n", name, text) }
	who := r.shape.String()
	if r.Address != "" {
		who += " of " + printable(r.Address)
	}
	row("call", who)
	row("url", printable(r.URL))
	row("okta", r.means())
	if r.called {
		row("answer", r.answer())
	}
	for _, said := range []struct{ name, text string }{
		{"decision", r.DecisionID}, {"reason", r.Reason}, {"policy", r.Policy},
	} {
		if said.text != "" {
			row(said.name, printable(said.text))
		}
	}
	if len(r.DebugContext) > 0 {
		row("debugContext", harmless(string(r.DebugContext)))
	}
	for _, update := range r.Profile {
		row("sets", printable(update.Attribute)+" to "+harmless(string(update.Value)))
	}
	r.writePages(&w, coloured)
	r.writeFaults(&w, coloured)
	return w.Bytes()
}

// means says what Okta does.
func (r *hookReport) means() string {
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

// harmless returns a text of the hook's as no terminal takes it for an order, in one line.
func harmless(text string) string {
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
	fmt.Fprintf(w, "\n%s\n", inkHeading.paint("The person reads", coloured))
	page := func(engine string, lines []lineReport) {
		if len(lines) == 0 {
			fmt.Fprintf(w, "  %-16s nothing that says why\n", engine)
		}
		for _, line := range lines {
			fmt.Fprintf(w, "  %-16s %s: %s\n", engine, harmless(line.Place), harmless(line.Text))
			engine = ""
		}
	}
	if r.shape != oktasim.ProgressiveProfile { // which Classic does not have
		page("Classic", r.Person.Classic)
	}
	page("Identity Engine", r.Person.IdentityEngine)
}

func (r *hookReport) writeFaults(w io.Writer, coloured bool) {
	if len(r.Faults) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s\n", inkHeading.paint("Faults", coloured))
	for _, fault := range r.Faults {
		ink := inkDenied
		if fault.Level == hookcheck.LevelWarning {
			ink = inkFault
		}
		level := string(fault.Level)
		pad := strings.Repeat(" ", max(0, len(hookcheck.LevelWarning)-len(level)))
		fmt.Fprintf(w, "  %s%s  %s: %s\n", ink.paint(level, coloured), pad, fault.Name, harmless(fault.What))
		fmt.Fprintf(w, "  %*s  fix: %s\n", len(hookcheck.LevelWarning), "", fault.Fix)
	}
}
