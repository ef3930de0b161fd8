package replay

import (
	"bytes"
	"fmt"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/pastdecision"
	"registrationpolicy.dev/operator/rules"
)

// maxGroupLines is how many groups of a kind the text has without -v.
const maxGroupLines = 20

// text returns the report as text.
func (r *replayReport) text(coloured bool) []byte {
	var w bytes.Buffer
	fmt.Fprintln(&w, r.summary())
	for _, section := range []struct {
		kind, heading string
		ink           console.Ink
	}{
		{kindNewlyDenied, "Newly denied", console.InkFault},
		{kindNewlyAllowed, "Newly allowed", console.InkDenied}, // red, because newly allowed people are the main risk
		{kindDenied, "Denied", console.InkHeading},
		{kindUnknown, "Unknown: the input does not say enough", console.InkHeading},
	} {
		r.writeGroups(&w, section.kind, section.ink.Paint(section.heading, coloured))
	}
	c := &r.Counts
	if c.AssumedOneDomain > 0 {
		fmt.Fprintf(&w, "\n%s would be allowed by the one domain that the log has: a login with another domain is not considered.\n",
			countedCalls(c.AssumedOneDomain))
	}
	if c.Contradictory > 0 {
		fmt.Fprintf(&w, "\nThe log says that these same policies allowed %s that they deny.\n", countedCalls(c.Contradictory))
	}
	return w.Bytes()
}

// summary returns the counts in one sentence.
func (r *replayReport) summary() string {
	c := &r.Counts
	compared := c.NewlyDenied + c.NewlyAllowed + c.StillDenied + c.StillAllowed
	var parts []string
	if compared > 0 || c.Denied+c.Allowed == 0 {
		if c.NewlyDenied+c.NewlyAllowed == 0 && compared > 0 {
			parts = append(parts, grouped(compared)+" would be decided as before")
		}
		if c.NewlyDenied > 0 {
			parts = append(parts, grouped(c.NewlyDenied)+" would newly be denied")
		}
		if c.NewlyAllowed > 0 {
			parts = append(parts, grouped(c.NewlyAllowed)+" would newly be allowed")
		}
	}
	if c.Denied+c.Allowed > 0 {
		parts = append(parts, fmt.Sprintf("%s would be denied and %s allowed", grouped(c.Denied), grouped(c.Allowed)))
	}
	if c.Unknown > 0 {
		parts = append(parts, "for "+grouped(c.Unknown)+" the input does not say enough")
	}
	if last := len(parts) - 1; last > 0 {
		parts[last] = "and " + parts[last]
	}
	return fmt.Sprintf("Of %s, %s.", countedCalls(c.Calls), strings.Join(parts, ", "))
}

func (r *replayReport) writeGroups(w *bytes.Buffer, kind, heading string) {
	calls, lines, more, moreCalls, width := 0, 0, 0, 0, 0
	for i := range r.Groups {
		g := &r.Groups[i]
		if g.Kind != kind {
			continue
		}
		if calls == 0 { // the groups are sorted, so the first has the most calls and needs the widest column
			width = len(grouped(g.Calls))
			fmt.Fprintf(w, "\n%s\n", heading)
		}
		calls += g.Calls
		if lines++; lines > maxGroupLines && !r.verbose {
			more++
			moreCalls += g.Calls
			continue
		}
		fmt.Fprintf(w, "  %*s × %s\n", width, grouped(g.Calls), g.describe())
	}
	if more > 0 {
		fmt.Fprintf(w, "  %*s   in %s (-v prints them)\n", width, grouped(moreCalls), console.Counted(more, "more group", "more groups"))
	}
}

// describe gives a group in one line, without its number of calls.
func (g *groupReport) describe() string {
	who := g.Domain
	switch {
	case g.Address != "":
		who = fmt.Sprintf("%q", g.Address)
		if !strings.ContainsAny(g.Address, "\"\\ ") && who == `"`+g.Address+`"` {
			who = g.Address
		}
	case who == "" && g.After != nil && g.After.Reason == rules.ReasonInvalidAddress:
		who = "an invalid address"
	case who == "":
		who = "domain not known"
	}
	switch g.Cause {
	case pastdecision.NoDomain:
		return "domain not known (the operator logs it with --log-domain always)"
	case pastdecision.NoAddress:
		return who + ": some of its addresses are allowed, others denied"
	case pastdecision.OtherAddress:
		return who + ": this address is allowed, but the call has another, which is not logged"
	default:
	}
	result := strings.TrimPrefix(strings.TrimPrefix(g.After.Describe(), "allowed"), "denied")
	if g.After.Reason == "" {
		result = " for several reasons"
	}
	if g.Before != nil && g.Before.Policy != "" && g.Before.Policy != g.After.Policy {
		verb := "allowed"
		if g.Before.Outcome == rules.Deny.String() {
			verb = "denied"
		}
		result += fmt.Sprintf(" (was %s by %s)", verb, g.Before.Policy)
	}
	return who + result
}

func countedCalls(n int) string {
	if n == 1 {
		return "1 call"
	}
	return grouped(n) + " calls"
}

// grouped returns a number with commas between groups of three digits.
func grouped(n int) string {
	text := fmt.Sprint(n)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = text[:at] + "," + text[at:]
	}
	return text
}
