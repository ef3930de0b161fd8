package replay

import (
	"cmp"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/cmd/regpol/internal/pastdecision"
	"registrationpolicy.dev/operator/cmd/regpol/internal/policysource"
	"registrationpolicy.dev/operator/internal/pastcalls"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// replay decides past calls, and counts them in groups.
type replay struct {
	options  *replayOptions
	policies *policysource.Set
	decider  *pastdecision.Decider
	before   *pastdecision.Decider    // nil without --before
	compared *pastdecision.Comparison // nil without --before

	counts   replayCounts
	read     replayRead
	groups   map[group]int
	warnings []string
	fault    error
}

// The report is the output of -o json and -o yaml, a part of the interface that docs/reference/regpol-replay.md
// describes. Empty members are left out.
type (
	replayReport struct {
		Counts replayCounts  `json:"counts"`
		Groups []groupReport `json:"groups"`
		Read   replayRead    `json:"read"`

		verbose, showAddresses bool
	}

	// replayCounts are numbers of calls. All but AssumedOneDomain and Contradictory add up to Calls.
	replayCounts struct {
		Calls        int `json:"calls"`
		NewlyDenied  int `json:"newlyDenied"`
		NewlyAllowed int `json:"newlyAllowed"`
		StillDenied  int `json:"stillDenied"`
		StillAllowed int `json:"stillAllowed"`
		Denied       int `json:"denied"`  // without an earlier outcome
		Allowed      int `json:"allowed"` // without an earlier outcome
		Unknown      int `json:"unknown"`
		// AssumedOneDomain counts the allowed calls that can have more addresses than the one in the log. Their answer
		// assumes that these have the same domain.
		AssumedOneDomain int `json:"assumedOneDomain"`
		// Contradictory counts the newly denied calls whose log line has the digest of the replayed policies. According
		// to the log, these policies allowed the calls.
		Contradictory int `json:"contradictory"`
	}

	groupReport struct {
		Kind    string             `json:"kind"` // NewlyDenied, NewlyAllowed, Denied, Unknown
		Calls   int                `json:"calls"`
		Domain  string             `json:"domain,omitempty"`
		Address string             `json:"address,omitempty"` // with --show-addresses
		Before  *outcome.Result    `json:"before,omitempty"`
		After   *outcome.Result    `json:"after,omitempty"`
		Cause   pastdecision.Cause `json:"cause,omitempty"` // only for the kind Unknown: why it is unknown
	}

	replayRead struct {
		Other      int `json:"other"`      // log lines, and events of Okta's system log, without a call
		Unreadable int `json:"unreadable"` // damaged lines
		LeftOut    int `json:"leftOut"`    // lines that the log says are missing
	}
)

// The kinds of groups, in the order of the report.
const (
	kindNewlyDenied  = "NewlyDenied"
	kindNewlyAllowed = "NewlyAllowed"
	kindDenied       = "Denied"
	kindUnknown      = "Unknown"
)

// group holds the calls that are counted together.
type group struct {
	kind            string
	domain, address string
	beforeReason    string
	beforePolicy    string
	reason          rules.Reason
	policy          rules.PolicyName
	entry           rules.Entry
	cause           pastdecision.Cause
}

// maxGroups is the largest number of groups. It bounds the memory for a log with many domains. Calls that would need
// further groups are counted without their domain.
const maxGroups = 100_000

// maxShown is the length in bytes of the longest address that is printed. A valid one has at most 254.
const maxShown = 1024

// add decides a call and counts it.
func (r *replay) add(call *pastcalls.Call) {
	now, err := r.decider.Decide(call)
	if err != nil && r.fault == nil {
		r.fault = err
	}
	was, isKnown := r.earlier(call)
	if call.Request == nil && isKnown && (now.Unknown != "" || now.Assumed) {
		unchanged, err := r.compared.Unchanged(&call.Record)
		if err != nil && r.fault == nil {
			r.fault = err
		}
		if unchanged {
			now = was
		}
	}
	r.counts.Calls++
	g := group{domain: now.Domain, reason: now.Reason, policy: now.Policy, entry: now.Entry, cause: now.Unknown}
	if r.options.showAddresses && len(now.Address) <= maxShown {
		g.address = now.Address
	}
	if isKnown {
		g.beforeReason, g.beforePolicy = string(was.Reason), was.Policy.String()
	}
	denied := now.Outcome == rules.Deny
	switch {
	case now.Unknown == "" && isKnown && was.Unknown != "":
		g.cause = was.Unknown
		fallthrough
	case now.Unknown != "":
		r.counts.Unknown++
		g = group{kind: kindUnknown, domain: now.Domain, cause: g.cause}
	case !isKnown && denied:
		r.counts.Denied++
		g.kind = kindDenied
	case !isKnown:
		r.counts.Allowed++
	case was.Outcome == now.Outcome && denied:
		r.counts.StillDenied++
	case was.Outcome == now.Outcome:
		r.counts.StillAllowed++
	case denied:
		r.counts.NewlyDenied++
		g.kind = kindNewlyDenied
		if call.Record.Digest == r.decider.Digest {
			r.counts.Contradictory++
		}
	default:
		r.counts.NewlyAllowed++
		g.kind = kindNewlyAllowed
	}
	if now.Assumed && now.Unknown == "" {
		r.counts.AssumedOneDomain++
	}
	if g.kind == "" {
		return
	}
	if _, found := r.groups[g]; !found && len(r.groups) >= maxGroups {
		g.domain, g.address = "", ""
	}
	r.groups[g]++
}

// earlier returns how a call was decided: as it was recorded, or by the policies of --before. It returns false if neither
// says it.
func (r *replay) earlier(call *pastcalls.Call) (pastdecision.Answer, bool) {
	if record := &call.Record; record.Outcome != "" {
		was := pastdecision.Answer{Reason: rules.Reason(record.Reason)}
		if record.Outcome == rules.Allow.String() {
			was.Outcome = rules.Allow
		}
		if namespace, name, found := strings.Cut(record.Policy, "/"); found {
			was.Policy = rules.PolicyName{Namespace: namespace, Name: name}
		}
		return was, true
	}
	if r.before == nil {
		return pastdecision.Answer{}, false
	}
	was, err := r.before.Decide(call)
	if err != nil && r.fault == nil {
		r.fault = err
	}
	return was, true
}

func (r *replay) report() *replayReport {
	report := &replayReport{
		Counts: r.counts, Read: r.read, Groups: []groupReport{}, verbose: r.options.verbose, showAddresses: r.options.showAddresses,
	}
	for g, calls := range r.groups {
		one := groupReport{Kind: g.kind, Calls: calls, Domain: g.domain, Address: g.address, Cause: g.cause}
		if g.kind != kindUnknown {
			result := analysis.Result{Reason: g.reason, Policy: g.policy, Entry: g.entry}
			if g.kind == kindNewlyAllowed {
				result.Outcome = rules.Allow
			}
			after := outcome.ResultOf(r.policies, &result, r.options.showAddresses)
			one.After = &after
		}
		if g.kind == kindNewlyDenied || g.kind == kindNewlyAllowed {
			before := rules.Allow
			if g.kind == kindNewlyAllowed {
				before = rules.Deny
			}
			one.Before = &outcome.Result{Outcome: before.String(), Reason: rules.Reason(g.beforeReason), Policy: g.beforePolicy}
		}
		report.Groups = append(report.Groups, one)
	}
	slices.SortFunc(report.Groups, func(a, b groupReport) int { return a.compare(&b) })
	return report
}

var kindOrder = []string{kindNewlyDenied, kindNewlyAllowed, kindDenied, kindUnknown}

// compare orders groups by kind, and within a kind by the number of calls, the largest first.
func (g *groupReport) compare(o *groupReport) int {
	return cmp.Or(cmp.Compare(slices.Index(kindOrder, g.Kind), slices.Index(kindOrder, o.Kind)), cmp.Compare(o.Calls, g.Calls),
		cmp.Compare(g.Domain, o.Domain), cmp.Compare(g.Address, o.Address), cmp.Compare(g.Cause, o.Cause),
		g.After.Compare(o.After), g.Before.Compare(o.Before))
}
