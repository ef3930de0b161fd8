package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"

	"registrationpolicy.dev/operator/hookserver"
	"registrationpolicy.dev/operator/internal/oktasim"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/internal/policyobject"
	"registrationpolicy.dev/operator/rules"
)

// evaluation holds the compiled policies, for the explanation of any number of calls.
type evaluation struct {
	policies    *policySet
	bounded     map[rules.PolicyName]rules.Policy // the policies, limited by --namespace-sources
	snapshot    *rules.Snapshot
	enforceable map[rules.PolicyName]bool
	rejections  map[rules.PolicyName][]rules.Rejection // the parts of policies that are not in force
}

// evaluate limits the policies by --namespace-sources (scopes), and compiles them.
func (o *explainOptions) evaluate(policies *policySet, scopes policyobject.Scopes) *evaluation {
	bounded, rejections := scopes.BoundAll(policies.rules())
	snapshot, rejected := rules.Compile(bounded)
	e := &evaluation{
		policies: policies, snapshot: snapshot, bounded: map[rules.PolicyName]rules.Policy{},
		enforceable: map[rules.PolicyName]bool{}, rejections: map[rules.PolicyName][]rules.Rejection{},
	}
	for _, policy := range bounded {
		e.bounded[policy.PolicyName] = policy
	}
	for _, summary := range snapshot.Policies() {
		e.enforceable[summary.PolicyName] = summary.Enforceable
	}
	for _, rejection := range append(rejections, rejected...) {
		e.rejections[rejection.Policy] = append(e.rejections[rejection.Policy], rejection)
	}
	return e
}

// notInForce describes the parts of a policy that are not in force.
func (e *evaluation) notInForce(p *policyfile.ReadPolicy) []rejectionReport {
	var reports []rejectionReport
	if p.NotUnderstood != "" {
		reports = append(reports, rejectionReport{Message: p.NotUnderstood})
	}
	for _, rejection := range e.rejections[p.PolicyName] {
		reports = append(reports, rejectionReport{rejection.Path, rejection.Message, p.Place(rejection.Path)})
	}
	return reports
}

// hasRejections reports whether a part of any policy is not in force.
func (e *evaluation) hasRejections() bool {
	return slices.ContainsFunc(e.policies.all, func(p policyfile.ReadPolicy) bool { return len(e.notInForce(&p)) > 0 })
}

// explanation is the decision about a call, with the policies that led to it.
type explanation struct {
	*evaluation
	call    *explainedCall
	preview hookserver.Preview
}

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-explain.md
// describes. Empty members are left out.
type (
	report struct {
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
		// Listed is the entry of the list that matches; Text is then the name of the list. It is empty if that entry is a
		// whole address.
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
		blockedBy   bool              // the policy By denies because it cannot be enforced
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
		Classic        []lineReport   `json:"classic,omitempty"`
		IdentityEngine []lineReport   `json:"identityEngine,omitempty"`
		Profile        []updateReport `json:"profileUpdates,omitempty"`
	}

	lineReport struct {
		Text  string `json:"text"`
		Place string `json:"place"`
	}

	updateReport struct {
		Attribute string          `json:"attribute"`
		Value     json.RawMessage `json:"value"`
	}
)

func (e *explanation) report() *report {
	d := &e.preview.Decision
	r := &report{
		Answer: d.Answer().String(),
		Decision: decisionReport{
			Outcome: d.Outcome.String(), Observed: d.Observed, Reason: d.Reason, Policy: d.Policy.String(),
			Attribute: d.Attribute, Domain: d.Domain.String(), Invalid: string(d.Invalid), TookPart: d.TookPart,
			Digest: e.snapshot.Digest(),
		},
		Call:     e.callReport(),
		Policies: []policyReport{},
		Okta:     e.preview.Body,
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

func (e *explanation) callReport() callReport {
	c := &e.preview.Call
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
func (e *explanation) policyIndex(name rules.PolicyName) int {
	for i := range e.policies.all {
		if e.policies.all[i].PolicyName == name {
			return i
		}
	}
	return -1
}

func (e *explanation) entry(policy int, entry rules.Entry, domain rules.Domain) *entryReport {
	if entry == (rules.Entry{}) {
		return nil
	}
	p := &e.policies.all[policy]
	return &entryReport{entry.String(), p.EntryText(entry), p.Place(entry.String()), p.ListEntry(entry, domain)}
}

func (e *explanation) addPolicies(r *report) {
	_, traces := e.snapshot.Explain(e.preview.Call)
	byName := map[rules.PolicyName][]rules.Trace{}
	for _, a := range traces {
		byName[a.PolicyName] = append(byName[a.PolicyName], a)
	}
	for i := range e.policies.all {
		p := &e.policies.all[i]
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
		for _, would := range e.preview.Decision.Audit {
			if would.Policy == p.PolicyName {
				report.WouldBe = &wouldBeReport{would.Outcome.String(), would.Reason}
			}
		}
		report.NotInForce = e.notInForce(p)
		r.Policies = append(r.Policies, report)
	}
}

func (e *explanation) verdict(policy int, v rules.Verdict) verdictReport {
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
		if e.preview.Decision.Reason != rules.ReasonNotAllowed {
			break // with any other reason, fixing a near miss would not change the decision
		}
		report.NearMisses = append(report.NearMisses, *e.entry(policy, near, domain))
	}
	return report
}

// domainOf returns the domain of the address that an attribute of the call holds.
func (e *explanation) domainOf(attribute string) rules.Domain {
	for _, attributes := range [2][]rules.Attribute{e.preview.Call.Update, e.preview.Call.Profile} {
		for _, a := range attributes {
			if address, err := rules.ParseAddress(a.Text); a.Name == attribute && err == nil {
				return address.Domain()
			}
		}
	}
	return rules.Domain{}
}

// addPerson adds what the person reads when Okta gets the answer.
func (e *explanation) addPerson(r *report) {
	read := oktasim.Read(e.call.shape, oktasim.Answer{
		Status: http.StatusOK, ContentType: "application/json", Body: e.preview.Body,
	})
	lines := func(page oktasim.Page) []lineReport {
		var reports []lineReport
		for _, line := range page {
			reports = append(reports, lineReport{line.Text, line.Place()})
		}
		return reports
	}
	r.Person.Classic, r.Person.IdentityEngine = lines(read.Classic), lines(read.IdentityEngine)
	for _, update := range read.ProfileUpdates {
		r.Person.Profile = append(r.Person.Profile, updateReport{update.Attribute, json.RawMessage(update.Value)})
	}
	for _, fault := range read.Faults {
		r.Warnings = append(r.Warnings, fmt.Sprint("the answer to Okta has a fault: ", fault))
	}
}

func (e *explanation) addWarnings(r *report) {
	warn := func(format string, args ...any) { r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...)) }
	for i := range r.Policies {
		if p := &r.Policies[i]; len(p.NotInForce) > 0 {
			warn("a part of %s is not in force: %s", p.Policy, p.NotInForce[0].describe())
		}
	}
	r.Warnings = append(r.Warnings, e.policies.warnings()...)
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
