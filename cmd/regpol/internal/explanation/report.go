package explanation

import (
	"encoding/json"
	"fmt"
	"net/http"

	"registrationpolicy.dev/operator/cmd/regpol/internal/registration"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/rules"
)

type (
	// Report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-explain.md
	// describes. Empty members are left out. Decision is what the policies decide about the Call, and Policies has the
	// role of each policy in this decision. Answer is what Okta gets, and Okta is the JSON of this answer. Person has
	// what the person reads, and Warnings say what is probably wrong.
	Report struct {
		Answer   string          `json:"answer"` // ALLOW or DENY
		Decision decisionReport  `json:"decision"`
		Call     callReport      `json:"call"`
		Policies []policyReport  `json:"policies"`
		Person   personReport    `json:"person"`
		Okta     json.RawMessage `json:"okta"`
		Warnings []string        `json:"warnings"`
	}

	decisionReport struct {
		Outcome   string       `json:"outcome"` // ALLOW or DENY by the policies; --observe changes only report.Answer
		Observed  bool         `json:"observed,omitempty"`
		Reason    rules.Reason `json:"reason"`
		Policy    string       `json:"policy,omitempty"`
		Entry     *entryReport `json:"entry,omitempty"`
		Attribute string       `json:"attribute,omitempty"`
		Domain    string       `json:"domain,omitempty"`
		Invalid   string       `json:"invalid,omitempty"`
		TookPart  int          `json:"policiesThatTookPart"`
		Digest    string       `json:"digest"`
	}

	// entryReport is an entry of a policy.
	entryReport struct {
		Path string `json:"path"`
		Text string `json:"text"`         // as the author wrote it
		At   string `json:"at,omitempty"` // file:line
		// Listed is the line of a list that matches the address: acme.com or *.acme.com. Text is then the name of the
		// list. Listed is empty if the policy's entry names no list. It is also empty if the matching line is a whole
		// address, because [rules.Policy.ListEntry] looks up only the domain.
		Listed string `json:"listed,omitempty"`
	}

	callReport struct {
		RequestType   string            `json:"requestType"`
		Source        string            `json:"source,omitempty"`
		Contradictory bool              `json:"contradictory,omitempty"`
		Profile       []attributeReport `json:"profile,omitempty"`
		Update        []attributeReport `json:"update,omitempty"`
		in            oktasim.Shape
	}

	attributeReport struct {
		Attribute string `json:"attribute"`
		Text      string `json:"text"` // "" if the value is not a string
	}

	policyReport struct {
		Policy       string            `json:"policy"`
		At           string            `json:"at,omitempty"` // file:line
		Mode         rules.Mode        `json:"mode"`
		RequestTypes []string          `json:"requestTypes,omitempty"`
		Sources      []string          `json:"sources,omitempty"`
		Traces       []traceReport     `json:"traces"`
		WouldBe      *wouldBeReport    `json:"enforcedAlone,omitempty"`
		NotInForce   []rejectionReport `json:"notInForce,omitempty"`
	}

	// traceReport is the role of a policy in the decision. A policy has two of them for a call that is a sign-up and a
	// profile change at once.
	traceReport struct {
		RequestType rules.RequestType `json:"requestType,omitempty"`
		Role        rules.Role        `json:"role"`
		By          string            `json:"by,omitempty"`
		Verdicts    []verdictReport   `json:"verdicts,omitempty"`
		blockedBy   bool              // the policy named in By denies the call, because that policy cannot be enforced
	}

	verdictReport struct {
		Attribute  string        `json:"attribute"`
		Verdict    string        `json:"verdict,omitempty"` // ALLOW or DENY
		Entry      *entryReport  `json:"entry,omitempty"`
		Overridden []entryReport `json:"overridden,omitempty"`
		NearMisses []entryReport `json:"nearMisses,omitempty"`
	}

	// wouldBeReport is the outcome if this one Audit policy were in mode Enforce.
	wouldBeReport struct {
		Outcome string       `json:"outcome"`
		Reason  rules.Reason `json:"reason"`
	}

	// rejectionReport is a part of a policy that is not in force.
	rejectionReport struct {
		Path    string `json:"path,omitempty"`
		Message string `json:"message"`
		At      string `json:"at,omitempty"` // file:line
	}

	// personReport has the lines that the person reads on each engine, from the top of the page.
	personReport struct {
		Classic        []registration.Line   `json:"classic,omitempty"`
		IdentityEngine []registration.Line   `json:"identityEngine,omitempty"`
		Profile        []registration.Update `json:"profileUpdates,omitempty"`
	}
)

// Report returns the report of the explanation.
func (e *Explanation) Report() *Report {
	d := &e.Preview.Decision
	r := &Report{
		Answer: d.Answer().String(),
		Decision: decisionReport{
			Outcome: d.Outcome.String(), Observed: d.Observed, Reason: d.Reason, Policy: d.Policy.String(),
			Attribute: d.Attribute, Domain: d.Domain.String(), Invalid: string(d.Invalid), TookPart: d.TookPart,
			Digest: e.Snapshot.Digest(),
		},
		Call:     e.callReport(),
		Policies: []policyReport{},
		Okta:     e.Preview.Body,
		Warnings: []string{},
	}
	if i := e.policyIndex(d.Policy); i >= 0 {
		r.Decision.Entry = e.entry(i, d.Entry, d.Domain)
	}
	e.addPolicies(r)
	e.addPerson(r)
	e.addWarnings(r)
	return r
}

func (e *Explanation) callReport() callReport {
	c := &e.Preview.Call
	texts := func(attributes []rules.Attribute) []attributeReport {
		var reports []attributeReport
		for _, a := range attributes {
			if a.Kind != rules.Absent {
				reports = append(reports, attributeReport{a.Name, a.Text})
			}
		}
		return reports
	}
	return callReport{c.Shape.String(), c.Source, c.Contradictory, texts(c.Profile), texts(c.Update), e.call.shape}
}

// policyIndex returns the index of a policy in e.policies.all, or -1.
func (e *Explanation) policyIndex(name rules.PolicyName) int {
	for i := range e.Policies.Policies {
		if e.Policies.Policies[i].PolicyName == name {
			return i
		}
	}
	return -1
}

func (e *Explanation) entry(policy int, entry rules.Entry, domain rules.Domain) *entryReport {
	if entry == (rules.Entry{}) {
		return nil
	}
	p := &e.Policies.Policies[policy]
	return &entryReport{entry.String(), p.EntryText(entry), p.Place(entry.String()), p.ListEntry(entry, domain)}
}

func (e *Explanation) addPolicies(r *Report) {
	_, traces := e.Snapshot.Explain(e.Preview.Call)
	byName := map[rules.PolicyName][]rules.Trace{}
	for _, a := range traces {
		byName[a.PolicyName] = append(byName[a.PolicyName], a)
	}
	for i := range e.Policies.Policies {
		p := &e.Policies.Policies[i]
		report := policyReport{
			Policy: p.String(), At: p.Place("metadata.name"), Mode: p.Mode, Sources: p.Sources, Traces: []traceReport{},
		}
		if report.Mode == "" {
			report.Mode = rules.Enforce
		}
		if bounded, found := e.bounded[p.PolicyName]; found {
			report.Sources = bounded.Sources
		}
		for _, request := range p.RequestTypes {
			report.RequestTypes = append(report.RequestTypes, string(request))
		}
		for _, a := range byName[p.PolicyName] {
			trace := traceReport{
				RequestType: a.Request, Role: a.Role, By: a.By.String(),
				blockedBy: a.By != rules.PolicyName{} && !e.enforceable[a.By],
			}
			for _, v := range a.Verdicts {
				trace.Verdicts = append(trace.Verdicts, e.verdict(i, v))
			}
			report.Traces = append(report.Traces, trace)
		}
		for _, would := range e.Preview.Decision.Audit {
			if would.Policy == p.PolicyName {
				report.WouldBe = &wouldBeReport{would.Outcome.String(), would.Reason}
			}
		}
		report.NotInForce = e.notInForce(p)
		r.Policies = append(r.Policies, report)
	}
}

func (e *Explanation) verdict(policy int, v rules.Verdict) verdictReport {
	domain := e.domainOf(v.Attribute)
	report := verdictReport{Attribute: v.Attribute, Entry: e.entry(policy, v.Entry, domain)}
	switch {
	case v.Denies:
		report.Verdict = rules.Deny.String()
	case v.Allows:
		report.Verdict = rules.Allow.String()
	}
	for _, overridden := range v.Overridden {
		report.Overridden = append(report.Overridden, *e.entry(policy, overridden, domain))
	}
	for _, near := range v.NearMisses {
		if e.Preview.Decision.Reason != rules.ReasonNotAllowed {
			break // with any other reason, fixing a near miss would not change the decision
		}
		report.NearMisses = append(report.NearMisses, *e.entry(policy, near, domain))
	}
	return report
}

// domainOf returns the domain of the address that an attribute of the call holds.
func (e *Explanation) domainOf(attribute string) rules.Domain {
	for _, attributes := range [2][]rules.Attribute{e.Preview.Call.Update, e.Preview.Call.Profile} {
		for _, a := range attributes {
			if address, err := rules.ParseAddress(a.Text); a.Name == attribute && err == nil {
				return address.Domain()
			}
		}
	}
	return rules.Domain{}
}

// addPerson adds what the person reads when Okta gets the answer.
func (e *Explanation) addPerson(r *Report) {
	read := oktasim.Read(e.call.shape, oktasim.Answer{
		Status: http.StatusOK, ContentType: "application/json", Body: e.Preview.Body,
	})
	lines := func(page oktasim.Page) []registration.Line {
		var reports []registration.Line
		for _, line := range page {
			reports = append(reports, registration.Line{Text: line.Text, Place: line.Place()})
		}
		return reports
	}
	r.Person.Classic, r.Person.IdentityEngine = lines(read.Classic), lines(read.IdentityEngine)
	for _, update := range read.ProfileUpdates {
		r.Person.Profile = append(r.Person.Profile, registration.Update{Attribute: update.Attribute, Value: json.RawMessage(update.Value)})
	}
	for _, fault := range read.Faults {
		r.Warnings = append(r.Warnings, fmt.Sprint("the answer to Okta has a fault: ", fault))
	}
}

func (e *Explanation) addWarnings(r *Report) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	for i := range r.Policies {
		if p := &r.Policies[i]; len(p.NotInForce) > 0 {
			warn("a part of %s is not in force: %s", p.Policy, p.NotInForce[0].describe())
		}
	}
	r.Warnings = append(r.Warnings, e.Policies.Warnings()...)
	if r.Call.Contradictory {
		warn("the call's requestType is unknown or contradicts its data: the decision follows the data, and sets no profile attributes")
	}
}

func (n rejectionReport) describe() string {
	text := n.Message
	if n.Path != "" {
		text = n.Path + ": " + text
	}
	if n.At != "" {
		text += " (" + n.At + ")"
	}
	return text
}
