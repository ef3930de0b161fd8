package outcome

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/policyfile"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// Values of --fail-on: somebody is newly allowed (FailOnWiden), newly denied (FailOnNarrow), or either (FailOnAny).
const (
	FailOnWiden  = "widen"
	FailOnNarrow = "narrow"
	FailOnAny    = "any"
)

type (
	// Result is how calls are decided: the Outcome with its Reason, by the Entry of a Policy, with the Message that the person
	// reads or the Profile that Okta sets.
	Result struct {
		Outcome string          `json:"outcome"` // ALLOW or DENY
		Reason  rules.Reason    `json:"reason"`
		Policy  string          `json:"policy,omitempty"`
		Entry   string          `json:"entry,omitempty"` // its path
		Text    string          `json:"text,omitempty"`  // as the author wrote it; an address only with --show-addresses
		At      string          `json:"at,omitempty"`    // file:line
		Message string          `json:"message,omitempty"`
		Profile json.RawMessage `json:"profile,omitempty"`
	}

	// Calls are calls of one RequestType, from AnySource or from Sources.
	Calls struct {
		RequestType  rules.RequestType `json:"requestType"`
		AnySource    bool              `json:"anySource,omitempty"`
		Sources      []string          `json:"sources,omitempty"`
		OtherSources bool              `json:"otherSources,omitempty"` // also those that no policy names
	}
)

const (
	// HiddenLocal is printed in place of a local part.
	HiddenLocal = "(someone)"
	// SubAddresses ends the local part of an entry that matches an address and all of its sub-addresses.
	SubAddresses = "+*"
)

// ExampleOf returns the address of an example. Unless showAddresses is set, it hides a local part that comes from an entry.
func ExampleOf(w analysis.Witness, showAddresses bool) string {
	if _, domain, _ := strings.Cut(w.Address, "@"); w.Personal && !showAddresses {
		return HiddenLocal + "@" + domain
	}
	return w.Address
}

// ResultOf returns the result r in the form of a report. The policies in set gave this result. If the entry is an
// address, the report has its text only with showAddresses.
func ResultOf(set *policysource.Set, r *analysis.Result, showAddresses bool) Result {
	report := Result{
		Outcome: r.Outcome.String(), Reason: r.Reason, Policy: r.Policy.String(), Entry: r.Entry.String(), Message: r.Message,
	}
	if r.Profile != "" {
		report.Profile = json.RawMessage(r.Profile)
	}
	i := slices.IndexFunc(set.Policies, func(p policyfile.ReadPolicy) bool { return p.PolicyName == r.Policy })
	if i < 0 || r.Entry.Field == rules.NoEntry {
		return report
	}
	report.At = set.Policies[i].Place(r.Entry.String())
	isAddress := r.Entry.Field == rules.AllowAddresses || r.Entry.Field == rules.DenyAddresses
	if !isAddress || showAddresses {
		report.Text = set.Policies[i].EntryText(r.Entry)
	}
	return report
}

// Compare orders results by policy, entry and reason. It returns 0 if r or o is nil. A report compares the results of
// two groups of calls only if both groups are of the same kind, such as NewlyDenied: then both have the result, or
// neither.
func (r *Result) Compare(o *Result) int {
	if r == nil || o == nil {
		return 0
	}
	return cmp.Or(cmp.Compare(r.Policy, o.Policy), cmp.Compare(r.Entry, o.Entry), cmp.Compare(r.Reason, o.Reason))
}

// CallsOf returns the reports of calls.
func CallsOf(all []analysis.Calls) []Calls {
	reports := make([]Calls, len(all))
	for i, calls := range all {
		reports[i] = Calls{calls.Request, calls.AnySource, calls.Sources, calls.OtherSources}
	}
	return reports
}

// Describe gives a result in one line.
func (r *Result) Describe() string {
	text := "denied"
	if r.Outcome == rules.Allow.String() {
		text = "allowed"
	}
	if r.Policy == "" {
		text += ": " + string(r.Reason)
	} else {
		text += " by " + r.Policy
		if r.Entry != "" {
			text += " " + r.Entry
		}
		if r.Text != "" {
			text += fmt.Sprintf(" %q", r.Text)
		}
		if r.At != "" {
			text += " (" + r.At + ")"
		}
		if r.Reason == rules.ReasonPolicyNotEnforceable {
			text += ": it cannot be enforced"
		}
	}
	if r.Message != "" {
		text += fmt.Sprintf(", text %q", r.Message)
	}
	if r.Profile != nil {
		text += ", sets " + string(r.Profile)
	}
	return text
}

// requestTexts are the request types in the words that regpol explain prints.
var requestTexts = map[rules.RequestType]string{
	rules.SelfServiceRegistration: "sign-ups", rules.ProgressiveProfile: "changes of a profile",
}

// DescribeCalls gives the calls of a change in one line. Request types with the same sources are named together.
func DescribeCalls(all []Calls) string {
	var texts []string
	var before *Calls
	for i := range all {
		calls := &all[i]
		from := "from any source"
		if !calls.AnySource {
			sources := slices.Clone(calls.Sources)
			if calls.OtherSources {
				sources = append(sources, "any source that no policy names")
			}
			from = "from " + strings.Join(sources, ", ")
		}
		if before != nil && sameSources(before, calls) {
			texts[len(texts)-1] = requestTexts[before.RequestType] + " and " + requestTexts[calls.RequestType] + " " + from
		} else {
			texts = append(texts, requestTexts[calls.RequestType]+" "+from)
		}
		before = calls
	}
	return strings.Join(texts, "; ")
}

func sameSources(a, b *Calls) bool {
	return a.AnySource == b.AnySource && a.OtherSources == b.OtherSources && slices.Equal(a.Sources, b.Sources)
}
