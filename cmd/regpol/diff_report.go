package main

import (
	"encoding/json"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// difference holds the changes between two sets of policies, and what their report needs.
type difference struct {
	before, after          *policySet
	changes                []analysis.Change
	showAddresses, verbose bool
}

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-diff.md describes.
// Empty members are left out.
type (
	diffReport struct {
		// Counts holds how many changes of each kind there are.
		Counts  map[string]int `json:"counts"`
		Changes []changeReport `json:"changes"`
		verbose bool
	}

	changeReport struct {
		Kind   string        `json:"kind"` // Widened, Narrowed, OtherText, OtherProfile
		Before resultReport  `json:"before"`
		After  resultReport  `json:"after"`
		Calls  []callsReport `json:"calls"`
		// Addresses are the addresses of which one alone changes the answer; the last that matches an address counts.
		Addresses []partReport `json:"addresses,omitempty"`
		More      int          `json:"moreAddresses,omitempty"` // entries of Addresses beyond those that are kept
		Example   []string     `json:"example"`                 // one address, or the two of a call
	}

	resultReport struct {
		Outcome string          `json:"outcome"` // ALLOW or DENY
		Reason  rules.Reason    `json:"reason"`
		Policy  string          `json:"policy,omitempty"`
		Entry   string          `json:"entry,omitempty"` // its path
		Text    string          `json:"text,omitempty"`  // as the author wrote it; an address only with --show-addresses
		At      string          `json:"at,omitempty"`    // file:line
		Message string          `json:"message,omitempty"`
		Profile json.RawMessage `json:"profile,omitempty"`
	}

	callsReport struct {
		RequestType  rules.RequestType `json:"requestType"`
		AnySource    bool              `json:"anySource,omitempty"`
		Sources      []string          `json:"sources,omitempty"`
		OtherSources bool              `json:"otherSources,omitempty"` // also those that no policy names
	}

	partReport struct {
		Except  bool     `json:"except,omitempty"`
		Entries []string `json:"entries"` // as in spec.allow: acme.com is only the domain, *.acme.com only the names below it
		depth   int      // how many other parts it is in
	}
)

// kindNames are the kinds of changes in the order of the report.
var kindNames = map[analysis.Kind]string{
	analysis.Widened: "Widened", analysis.Narrowed: "Narrowed", analysis.OtherText: "OtherText", analysis.OtherProfile: "OtherProfile",
}

func (d *difference) report() *diffReport {
	r := &diffReport{Counts: map[string]int{}, Changes: []changeReport{}, verbose: d.verbose}
	for _, name := range kindNames {
		r.Counts[name] = 0
	}
	for i := range d.changes {
		c := &d.changes[i]
		r.Counts[kindNames[c.Kind]]++
		change := changeReport{
			Kind: kindNames[c.Kind], Before: d.resultReport(d.before, &c.Was), After: d.resultReport(d.after, &c.Now),
			Calls: callsReports(c.Calls), More: c.Region.More,
		}
		depths := depthsOf(c.Region.Parts)
		for j, part := range c.Region.Parts {
			change.Addresses = append(change.Addresses, partReport{part.Except, d.entriesOf(part), depths[j]})
		}
		for _, witness := range c.Witness {
			change.Example = append(change.Example, d.address(witness))
		}
		r.Changes = append(r.Changes, change)
	}
	return r
}

func callsReports(all []analysis.Calls) []callsReport {
	reports := make([]callsReport, len(all))
	for i, calls := range all {
		reports[i] = callsReport{calls.Request, calls.AnySource, calls.Sources, calls.OtherSources}
	}
	return reports
}

// depthsOf returns in how many other parts of its region each part is: 0 for what is added, 1 for an exception, 2 for
// what is added again inside of an exception, and so on.
func depthsOf(parts []analysis.Part) []int {
	depths := make([]int, len(parts))
	var around []int                     // the indexes of the names that the last part is in
	withSubAddresses := map[string]int{} // the depths of the parts jo+*@acme.com
	for i, part := range parts {
		covers := func(name analysis.Part) bool {
			if part.Name == name.Name {
				return part.Local != "" && name.Self
			}
			return name.Below && (name.Name == "" || strings.HasSuffix(part.Name, "."+name.Name))
		}
		for len(around) > 0 && !covers(parts[around[len(around)-1]]) {
			around = around[:len(around)-1]
		}
		if len(around) > 0 {
			depths[i] = depths[around[len(around)-1]] + 1
		}
		base, _, _ := strings.Cut(part.Local, "+")
		key := base + subAddresses + "@" + part.Name
		switch depth, found := withSubAddresses[key]; {
		case part.Local == "":
			around = append(around, i)
		case part.Local == base+subAddresses:
			withSubAddresses[key] = depths[i]
		case found:
			depths[i] = depth + 1
		}
	}
	return depths
}

const (
	// hiddenLocal is printed in place of a local part.
	hiddenLocal = "(someone)"
	// subAddresses ends the local part of an entry that matches an address and all of its sub-addresses.
	subAddresses = "+*"
)

// address returns an example, without a local part that comes from an entry.
func (d *difference) address(w analysis.Witness) string {
	if _, domain, _ := strings.Cut(w.Address, "@"); w.Personal && !d.showAddresses {
		return hiddenLocal + "@" + domain
	}
	return w.Address
}

// entriesOf writes a part of a region as entries of spec.allow.
func (d *difference) entriesOf(part analysis.Part) []string {
	var entries []string
	switch {
	case part.Local != "" && d.showAddresses:
		return []string{part.Local + "@" + part.Name}
	case strings.HasSuffix(part.Local, subAddresses):
		return []string{hiddenLocal + subAddresses + "@" + part.Name}
	case part.Local != "":
		return []string{hiddenLocal + "@" + part.Name}
	case part.Name == "":
		return []string{"*"}
	}
	if part.Self {
		entries = append(entries, part.Name)
	}
	if part.Below {
		entries = append(entries, "*."+part.Name)
	}
	return entries
}

func (d *difference) resultReport(set *policySet, r *analysis.Result) resultReport {
	report := resultReport{
		Outcome: r.Outcome.String(), Reason: r.Reason, Policy: r.Policy.String(), Entry: r.Entry.String(), Message: r.Message,
	}
	if r.Profile != "" {
		report.Profile = json.RawMessage(r.Profile)
	}
	i := slices.IndexFunc(set.all, func(p policyfile.ReadPolicy) bool { return p.PolicyName == r.Policy })
	if i < 0 || r.Entry.Field == rules.NoEntry {
		return report
	}
	report.At = set.all[i].Place(r.Entry.String())
	isAddress := r.Entry.Field == rules.AllowAddresses || r.Entry.Field == rules.DenyAddresses
	if !isAddress || d.showAddresses {
		report.Text = set.all[i].EntryText(r.Entry)
	}
	return report
}
