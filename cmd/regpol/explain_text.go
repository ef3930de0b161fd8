package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

// quietPolicies is how many policies that have nothing to say are told one by one: as many as fit a screen beside the
// rest.
const quietPolicies = 10

// write writes the report as the user asked for it.
func (r *report) write(s streams, output string) error {
	return writeReport(s, output, r, func() []byte { return r.text(s.coloured()) })
}

// text is the report for people.
func (r *report) text(coloured bool) []byte {
	var w bytes.Buffer
	word := inkAllowed.paint("allowed", coloured)
	if r.Answer == rules.Deny.String() {
		word = inkDenied.paint("denied", coloured) + " "
	}
	fmt.Fprintf(&w, "%s  %s\n", word, r.Call.who())
	fmt.Fprintf(&w, "reason   %s\n", r.Decision.why(len(r.Policies)))
	if entry := r.Decision.Entry; entry != nil && entry.At != "" {
		fmt.Fprintf(&w, "at       %s\n", entry.At)
	}
	fmt.Fprintf(&w, "call     %s\n", r.Call.inWords())

	if len(r.Policies) > 0 {
		fmt.Fprintf(&w, "\n%s\n", inkHeading.paint("Policies", coloured))
		r.writePolicies(&w, coloured)
	}
	fmt.Fprintf(&w, "\n%s\n", inkHeading.paint("The person reads", coloured))
	r.writePerson(&w)
	fmt.Fprintf(&w, "\n%s\n  ", inkHeading.paint("Okta gets", coloured))
	_ = json.Indent(&w, r.Okta, "  ", "  ") // it is JSON: the encoder made it
	w.WriteByte('\n')
	return w.Bytes()
}

// who names the addresses of the call.
func (c *callReport) who() string {
	var names []string
	for _, attributes := range [][]attributeReport{c.Profile, c.Update} {
		var said []string // of attributes with the same text
		for i, a := range attributes {
			if i > 0 && attributes[i-1].Text == a.Text {
				continue
			}
			said = append(said, printable(a.Text))
		}
		names = append(names, said...)
	}
	if len(names) == 0 {
		return "(no address in the call)"
	}
	return strings.Join(names, ", ")
}

// printable returns text as it is, or quoted where a terminal would not show it as it is.
func printable(text string) string {
	if quoted := strconv.Quote(text); strings.TrimSpace(text) != text || text == "" || quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

func (c *callReport) inWords() string {
	shape := c.in.String()
	if c.RequestType == rules.Both.String() {
		shape = "sign-up and progressive profile at once"
	}
	if c.RequestType == rules.UnrecognisedShape.String() {
		shape = "not recognised"
	}
	if c.Source == "" {
		return shape + ", no source given"
	}
	return shape + ", source " + printable(c.Source)
}

// why says in one line why the decision is as it is.
func (d *decisionReport) why(policies int) string {
	if d.Observed {
		return fmt.Sprintf("observed only; enforced it would be %s: %s", d.Outcome, d.bare(policies))
	}
	return d.bare(policies)
}

func (d *decisionReport) bare(policies int) string {
	because := ""
	switch d.Reason {
	case rules.ReasonAllowed:
		because = d.Policy + " allows by " + d.Entry.inWords()
	case rules.ReasonDenied:
		because = d.Policy + " denies by " + d.Entry.inWords()
	case rules.ReasonNotAllowed:
		because = fmt.Sprintf("%s, and none allows every address", tookPart(d.TookPart))
	case rules.ReasonNoPolicyApplies:
		because = "no policy in mode Enforce applies to this call"
		if policies == 0 {
			because = "there is no policy, and without one everybody is denied"
		}
	case rules.ReasonInvalidAddress:
		because = fmt.Sprintf("%s is not an address (%s)", d.Attribute, d.Invalid)
		if d.Invalid == string(rules.Blank) {
			because = d.Attribute + " has a space or an invisible character in it (Blank)"
		}
	case rules.ReasonMissingAddress:
		because = d.Attribute + " holds no address"
	case rules.ReasonUnrecognisedCall:
		because = "another eventType, or data without a profile"
	case rules.ReasonPolicyNotEnforceable:
		because = d.Policy + " applies, and cannot be enforced"
	case rules.ReasonNoAddressChanged:
		because = "the call changes no address"
	}
	return fmt.Sprintf("%s: %s", d.Reason, because)
}

func tookPart(policies int) string {
	if policies == 1 {
		return "one policy applies"
	}
	return fmt.Sprintf("%d policies apply", policies)
}

func (e *entryReport) inWords() string {
	if e.Listed != "" {
		return e.Path + " " + strconv.Quote(e.Text) + ", which lists " + e.Listed
	}
	return e.Path + " " + strconv.Quote(e.Text)
}

// writePolicies tells the policies one by one, but for those that would only fill the screen.
func (r *report) writePolicies(w io.Writer, coloured bool) {
	width, quiet, unasked := 0, 0, 0
	var told []*policyReport
	for i := range r.Policies {
		p := &r.Policies[i]
		if p.quiet() {
			if p.Traces[0].Role == rules.RoleNotAsked {
				unasked++
				continue
			}
			if quiet++; quiet > quietPolicies {
				continue
			}
		}
		told = append(told, p)
		width = max(width, len(p.Policy))
	}
	for _, p := range told {
		name := p.Policy
		for _, line := range r.linesOf(p, coloured) {
			fmt.Fprintf(w, "  %-*s  %s\n", width, name, line)
			name = ""
		}
	}
	if more := quiet - quietPolicies; more > 0 {
		fmt.Fprintf(w, "  and %d more that do not apply or do not match (-o json has them)\n", more)
	}
	if unasked > 0 {
		asked := "the policy is not asked"
		if unasked > 1 {
			asked = fmt.Sprintf("none of %d policies is asked", unasked)
		}
		fmt.Fprintf(w, "  %s: the call is decided before that\n", asked)
	}
}

// quiet says that the policy has nothing to do with the decision.
func (p *policyReport) quiet() bool {
	if len(p.Traces) == 0 || len(p.NotInForce) > 0 {
		return false
	}
	for _, a := range p.Traces {
		if slices.ContainsFunc(a.Verdicts, func(v verdictReport) bool { return len(v.NearMisses) > 0 }) {
			return false
		}
		switch a.Role {
		case rules.RoleNoMatch, rules.RoleOtherRequestType, rules.RoleOtherSource, rules.RoleNotAsked:
		default:
			return false
		}
	}
	return true
}

func (r *report) linesOf(p *policyReport, coloured bool) []string {
	var told [][]string
	for i := range p.Traces {
		told = append(told, p.linesOfTrace(&p.Traces[i], r.Call.Source))
	}
	// A call that is decided as two requests is told as one where both came out alike.
	if len(told) > 1 && slices.Equal(told[0], told[1]) {
		told = told[:1]
	}
	var lines []string
	for i := range told {
		if len(told) > 1 {
			told[i][0] = "as " + string(p.Traces[i].RequestType) + ": " + told[i][0]
		}
		lines = append(lines, told[i]...)
	}
	if len(p.Traces) == 0 {
		lines = append(lines, "left out: it is for other sources than --namespace-sources gives its namespace")
	}
	for _, rejection := range p.NotInForce {
		lines = append(lines, inkFault.paint("  not in force: ", coloured)+rejection.inWords())
	}
	return lines
}

func (p *policyReport) linesOfTrace(a *traceReport, source string) []string {
	lines := []string{p.role(a, source)}
	for _, v := range a.Verdicts {
		for _, overridden := range v.Overridden {
			lines = append(lines, fmt.Sprintf("  stands before its own %s for %s", overridden.inWords(), v.Attribute))
		}
		for _, near := range v.NearMisses {
			line := "  just misses: " + near.inWords() + " is that domain alone, not what is below it"
			if strings.HasPrefix(near.Text, "*.") {
				line = "  just misses: " + near.inWords() + " is what is below, not that domain itself"
			}
			if !slices.Contains(lines, line) { // for email and login alike
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// role says in one line what part a policy had, and why it was no other.
func (p *policyReport) role(a *traceReport, source string) string {
	says := a.says()
	switch a.Role {
	case rules.RoleDecides:
		if says == "" {
			return "decides: it cannot be enforced, so all calls that it applies to are denied"
		}
		return "decides: " + says
	case rules.RoleDenies:
		return says + "; so does " + a.By + ", which is named first"
	case rules.RoleAllows:
		return says + "; so does " + a.By + ", which is named first"
	case rules.RoleOverruled:
		if a.blockedBy {
			return says + ", but " + a.By + " cannot be enforced, and blocks the call"
		}
		return says + ", but loses to the deny of " + a.By
	case rules.RoleAllowsPart:
		return says + " only: one policy must allow every address"
	case rules.RoleNoMatch:
		return "no entry matches"
	case rules.RoleNotEnforceable:
		return "cannot be enforced, and blocks the call; " + a.By + " is named first"
	case rules.RoleAudit:
		if says == "" {
			says = "no entry matches"
		}
		if p.WouldBe != nil {
			return fmt.Sprintf("Audit, decides nothing: %s; enforced it would make this %s (%s)", says, p.WouldBe.Outcome, p.WouldBe.Reason)
		}
		return "Audit, decides nothing: " + says
	case rules.RoleOtherRequestType:
		return "does not apply: it is for " + strings.Join(p.RequestTypes, ", ")
	case rules.RoleOtherSource:
		line := "does not apply: it is for the source " + strings.Join(p.Sources, ", ")
		if source == "" {
			line += " (give --source)"
		}
		return line
	case rules.RoleNotAsked:
		return "not asked: the call is decided before any policy"
	}
	return string(a.Role)
}

// says tells the verdicts, those by one entry together.
func (a *traceReport) says() string {
	var parts []string
	for i := 0; i < len(a.Verdicts); {
		v := &a.Verdicts[i]
		names := []string{v.Attribute}
		for i++; i < len(a.Verdicts) && v.sameAs(&a.Verdicts[i]); i++ {
			if name := a.Verdicts[i].Attribute; !slices.Contains(names, name) { // both profiles may have it
				names = append(names, name)
			}
		}
		if v.Entry != nil {
			verb := "allows "
			if v.Verdict == rules.Deny.String() {
				verb = "denies "
			}
			parts = append(parts, verb+strings.Join(names, " and ")+" by "+v.Entry.inWords())
		}
	}
	return strings.Join(parts, ", ")
}

func (v *verdictReport) sameAs(o *verdictReport) bool {
	return v.Entry != nil && o.Entry != nil && *v.Entry == *o.Entry
}

func (r *report) writePerson(w io.Writer) {
	if r.Answer == rules.Allow.String() {
		fmt.Fprintln(w, "  nothing: Okta goes on")
		for _, update := range r.Person.Profile {
			fmt.Fprintf(w, "  Okta sets %s to %s\n", update.Attribute, update.Value)
		}
		return
	}
	if r.Call.in == oktasim.ProgressiveProfile {
		fmt.Fprintln(w, "  Classic          nothing: it has no progressive profiles")
	}
	for _, page := range []struct {
		engine string
		lines  []lineReport
	}{{"Classic", r.Person.Classic}, {"Identity Engine", r.Person.IdentityEngine}} {
		for _, line := range page.lines {
			fmt.Fprintf(w, "  %-15s  %s: %s\n", page.engine, line.Place, line.Text)
			page.engine = ""
		}
	}
}
