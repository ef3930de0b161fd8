package explanation

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

// maxNames is how many policies of one kind the report without -v names, so that it fits a screen. It counts the others.
const maxNames = 10

// Write writes the report in the format of --output.
func (r *Report) Write(s console.Streams, output string, verbose bool) error {
	return console.WriteReport(s, output, r, func() []byte { return r.Text(verbose, s.Coloured()) })
}

// AnswerWord returns the word allowed or denied, padded to the same length.
func (r *Report) AnswerWord(coloured bool) string {
	if r.Answer == rules.Deny.String() {
		return console.InkDenied.Paint("denied", coloured) + " "
	}
	return console.InkAllowed.Paint("allowed", coloured)
}

// Text returns the report as text. If it is verbose, it has every policy and the answer to Okta.
func (r *Report) Text(verbose, coloured bool) []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "%s  %s\n", r.AnswerWord(coloured), r.Call.Addresses())
	fmt.Fprintf(&w, "reason   %s\n", r.Decision.Describe())
	if entry := r.Decision.Entry; entry != nil && entry.At != "" {
		fmt.Fprintf(&w, "at       %s\n", entry.At)
	}
	fmt.Fprintf(&w, "call     %s\n", r.Call.describe())

	if len(r.Policies) > 0 {
		fmt.Fprintf(&w, "\n%s\n", console.InkHeading.Paint("Policies", coloured))
		r.writePolicies(&w, verbose, coloured)
	}
	fmt.Fprintf(&w, "\n%s\n", console.InkHeading.Paint("The person reads", coloured))
	r.writePerson(&w)
	if !verbose {
		return w.Bytes()
	}
	fmt.Fprintf(&w, "\n%s\n  ", console.InkHeading.Paint("Okta gets", coloured))
	_ = json.Indent(&w, r.Okta, "  ", "  ") // cannot fail: the encoder wrote this JSON
	w.WriteByte('\n')
	return w.Bytes()
}

// Addresses lists the addresses of the call. It leaves out a login that equals the email.
func (c *callReport) Addresses() string {
	var texts []string
	for _, attributes := range [][]attributeReport{c.Profile, c.Update} {
		for i, a := range attributes {
			if i > 0 && attributes[i-1].Text == a.Text {
				continue
			}
			texts = append(texts, console.QuoteIfNeeded(a.Text))
		}
	}
	if len(texts) == 0 {
		return "(no address in the call)"
	}
	return strings.Join(texts, ", ")
}

func (c *callReport) describe() string {
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
	return shape + ", source " + console.QuoteIfNeeded(c.Source)
}

// Describe gives the reason of the decision in one line.
func (d *decisionReport) Describe() string {
	if d.Observed {
		return fmt.Sprintf("the operator only observes: the answer is ALLOW; enforced it would be %s: %s", d.Outcome, d.text())
	}
	return d.text()
}

func (d *decisionReport) text() string {
	because := ""
	switch d.Reason {
	case rules.ReasonAllowed:
		because = d.Policy + " allows by " + d.Entry.describe()
	case rules.ReasonDenied:
		because = d.Policy + " denies by " + d.Entry.describe()
	case rules.ReasonNotAllowed:
		because = fmt.Sprintf("%s, and none allows every address", policiesApply(d.TookPart))
	case rules.ReasonNoPolicyApplies:
		because = "no policy in mode Enforce applies to this call"
	case rules.ReasonInvalidAddress:
		because = fmt.Sprintf("%s is not an address: %s (%s)", d.Attribute, invalidTexts[rules.Invalid(d.Invalid)], d.Invalid)
	case rules.ReasonMissingAddress:
		because = d.Attribute + " holds no address"
	case rules.ReasonUnrecognisedCall:
		because = "another eventType, or data without a profile"
	case rules.ReasonPolicyNotEnforceable:
		because = d.Policy + " applies and cannot be enforced"
	case rules.ReasonNoAddressChanged:
		because = "the call changes no address"
	}
	return fmt.Sprintf("%s: %s", d.Reason, because)
}

// invalidTexts describes what is wrong with a text that is not an address.
var invalidTexts = map[rules.Invalid]string{
	rules.NotText:      "its value is not a string",
	rules.TooLong:      "it is longer than mail systems accept",
	rules.NotUTF8:      "it is not UTF-8",
	rules.NoAtSign:     "it has no @",
	rules.ManyAtSigns:  "it has more than one @",
	rules.BadLocalPart: "the part before the @ is empty, or has characters or dots that mail systems read differently",
	rules.EmptyLabel:   "its domain begins or ends in a dot, has two dots in a row, or is empty",
	rules.LabelTooLong: "a part of its domain between two dots is longer than 63 bytes",
	rules.BadCharacter: "its domain has a character that host names cannot have",
	rules.BadHyphen:    "a part of its domain has a hyphen at an end, or two in the third and fourth place",
	rules.BadIDN:       "a part of its domain is not a valid internationalised name",
	rules.TooFewLabels: "its domain has only one part, as acme has instead of acme.com",
	rules.NumericTLD:   "its domain ends in a number",
	rules.Blank:        "it has a space or an invisible character in it",
}

func policiesApply(policies int) string {
	if policies == 1 {
		return "one policy applies"
	}
	return fmt.Sprintf("%d policies apply", policies)
}

func (e *entryReport) describe() string {
	if e.Listed != "" {
		return e.Path + " " + strconv.Quote(e.Text) + ", which lists " + e.Listed
	}
	return e.Path + " " + strconv.Quote(e.Text)
}

// writePolicies writes a line or more for each policy that has a role in the decision. It names the others together,
// unless verbose is set.
func (r *Report) writePolicies(w io.Writer, verbose, coloured bool) {
	var shown []*policyReport
	var noMatch, notApplicable []string
	width, notConsulted, ownLine := 0, 0, 0
	for i := range r.Policies {
		p := &r.Policies[i]
		switch kind := p.kind(); {
		case kind == kindNotConsulted:
			notConsulted++
			continue
		case verbose || kind == kindRelevant:
		case kind == kindNotApplicable && r.Decision.Reason == rules.ReasonNoPolicyApplies && ownLine < maxNames:
			// The call is denied because no policy applies. So each of the first maxNames policies gets a line that
			// says why it does not apply.
			ownLine++
		case kind == kindNoMatch:
			noMatch = append(noMatch, p.Policy)
			continue
		default:
			notApplicable = append(notApplicable, p.Policy)
			continue
		}
		shown = append(shown, p)
		width = max(width, len(p.Policy))
	}
	for _, p := range shown {
		name := p.Policy
		for _, line := range r.linesOf(p, coloured) {
			fmt.Fprintf(w, "  %-*s  %s\n", width, name, line)
			name = ""
		}
	}
	writeNames(w, noMatch, "does not match", "do not match")
	writeNames(w, notApplicable, "does not apply to the call", "do not apply to the call")
	switch {
	case notConsulted == 1:
		fmt.Fprintln(w, "  1 policy was not consulted: the call was decided before")
	case notConsulted > 1:
		fmt.Fprintf(w, "  %d policies were not consulted: the call was decided before\n", notConsulted)
	}
}

// writeNames writes one line about policies, such as "2 policies do not match: a/b, a/c". It names at most maxNames of
// them. one and several are the statement for one policy and for several.
func writeNames(w io.Writer, names []string, one, several string) {
	switch {
	case len(names) == 1:
		fmt.Fprintf(w, "  1 policy %s: %s\n", one, names[0])
	case len(names) > maxNames:
		fmt.Fprintf(w, "  %d policies %s: %s and %d more (-v shows all)\n",
			len(names), several, strings.Join(names[:maxNames], ", "), len(names)-maxNames)
	case len(names) > 1:
		fmt.Fprintf(w, "  %d policies %s: %s\n", len(names), several, strings.Join(names, ", "))
	}
}

// policyKind says in which part of the text a policy is shown.
type policyKind int

const (
	kindRelevant      policyKind = iota // it has a part in the decision, a rejected entry, or an allow entry that nearly matches
	kindNoMatch                         // none of its entries matches
	kindNotApplicable                   // it is for other request types or sources
	kindNotConsulted                    // the call was decided before any policy
)

func (p *policyReport) kind() policyKind {
	if len(p.Traces) == 0 || len(p.NotInForce) > 0 {
		return kindRelevant
	}
	kind := kindNotApplicable
	for _, a := range p.Traces {
		if slices.ContainsFunc(a.Verdicts, func(v verdictReport) bool { return len(v.NearMisses) > 0 }) {
			return kindRelevant
		}
		switch a.Role {
		case rules.RoleNotAsked:
			return kindNotConsulted
		case rules.RoleNoMatch:
			kind = kindNoMatch
		case rules.RoleOtherRequestType, rules.RoleOtherSource:
		default:
			return kindRelevant
		}
	}
	return kind
}

func (r *Report) linesOf(p *policyReport, coloured bool) []string {
	var traces [][]string
	for i := range p.Traces {
		traces = append(traces, p.linesOfTrace(&p.Traces[i], r.Call.Source))
	}
	// A call that is a sign-up and a profile change at once has two traces. If they are equal, one is printed.
	if len(traces) > 1 && slices.Equal(traces[0], traces[1]) {
		traces = traces[:1]
	}
	var lines []string
	for i := range traces {
		if len(traces) > 1 {
			traces[i][0] = "as " + string(p.Traces[i].RequestType) + ": " + traces[i][0]
		}
		lines = append(lines, traces[i]...)
	}
	if len(p.Traces) == 0 {
		lines = append(lines, "not used: --namespace-sources gives its namespace none of its sources")
	}
	for _, rejection := range p.NotInForce {
		lines = append(lines, console.InkFault.Paint("  not in force: ", coloured)+rejection.describe())
	}
	return lines
}

func (p *policyReport) linesOfTrace(a *traceReport, source string) []string {
	lines := []string{p.role(a, source)}
	for _, v := range a.Verdicts {
		for _, overridden := range v.Overridden {
			lines = append(lines, fmt.Sprintf("  takes precedence over its own %s for %s", overridden.describe(), v.Attribute))
		}
		for _, near := range v.NearMisses {
			line := "  near miss: " + near.describe() + " matches only that domain, not its subdomains"
			if strings.HasPrefix(near.Text, "*.") {
				line = "  near miss: " + near.describe() + " matches only subdomains, not that domain itself"
			}
			if !slices.Contains(lines, line) { // email and login often have the same near miss
				lines = append(lines, line)
			}
		}
	}
	return lines
}

// role describes the role of the policy in one line.
func (p *policyReport) role(a *traceReport, source string) string {
	verdict := a.verdictText()
	switch a.Role {
	case rules.RoleDecides:
		if verdict == "" {
			return "decides: it cannot be enforced, so all calls that it applies to are denied"
		}
		return "decides: " + verdict
	case rules.RoleDenies:
		return verdict + "; so does " + a.By + ", which is first by name"
	case rules.RoleAllows:
		return verdict + "; so does " + a.By + ", which is first by name"
	case rules.RoleOverruled:
		if a.blockedBy {
			return verdict + ", but " + a.By + " cannot be enforced and blocks the call"
		}
		return verdict + ", but loses to the deny of " + a.By
	case rules.RoleAllowsPart:
		return verdict + " only: one policy must allow every address"
	case rules.RoleNoMatch:
		return "no entry matches"
	case rules.RoleNotEnforceable:
		return "cannot be enforced and blocks the call; so does " + a.By + ", which is first by name"
	case rules.RoleAudit:
		if verdict == "" {
			verdict = "no entry matches"
		}
		if p.WouldBe != nil {
			return fmt.Sprintf("Audit, decides nothing: %s; enforced it would make this %s (%s)",
				verdict, p.WouldBe.Outcome, p.WouldBe.Reason)
		}
		return "Audit, decides nothing: " + verdict
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

// verdictText describes the verdicts, for example: allows email and login by spec.allow.domains[0] "acme.com". It joins
// the attributes that match the same entry.
func (a *traceReport) verdictText() string {
	var parts []string
	for i := 0; i < len(a.Verdicts); {
		v := &a.Verdicts[i]
		names := []string{v.Attribute}
		for i++; i < len(a.Verdicts) && v.sameEntry(&a.Verdicts[i]); i++ {
			if name := a.Verdicts[i].Attribute; !slices.Contains(names, name) { // both profiles of a call can have the attribute
				names = append(names, name)
			}
		}
		if v.Entry != nil {
			verb := "allows "
			if v.Verdict == rules.Deny.String() {
				verb = "denies "
			}
			parts = append(parts, verb+strings.Join(names, " and ")+" by "+v.Entry.describe())
		}
	}
	return strings.Join(parts, ", ")
}

func (v *verdictReport) sameEntry(o *verdictReport) bool {
	return v.Entry != nil && o.Entry != nil && *v.Entry == *o.Entry
}

func (r *Report) writePerson(w io.Writer) {
	if r.Answer == rules.Allow.String() {
		fmt.Fprintln(w, "  nothing: the registration continues")
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
		lines  []registration.Line
	}{{"Classic", r.Person.Classic}, {"Identity Engine", r.Person.IdentityEngine}} {
		for _, line := range page.lines {
			fmt.Fprintf(w, "  %-15s  %s: %s\n", page.engine, line.Place, line.Text)
			page.engine = ""
		}
	}
}
