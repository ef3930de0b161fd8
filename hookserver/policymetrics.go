package hookserver

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/rules"
)

var (
	policyDecisionsDesc = prometheus.NewDesc(metricPrefix+"policy_decisions_total",
		"Calls that a policy decided.", []string{"policy", "outcome"}, nil)
	policyAuditsDesc = prometheus.NewDesc(metricPrefix+"policy_audit_outcomes_total",
		"Calls whose outcome a policy in mode Audit would have changed to this.", []string{"policy", "outcome"}, nil)
	policyMatchedDesc = prometheus.NewDesc(metricPrefix+"policy_last_matched_timestamp_seconds",
		"When an entry of a policy last matched; 0 if never since the process began.", []string{"policy"}, nil)
)

// otherPolicies is the label of the policies that have no series of their own. No policy has that name: theirs hold a
// slash.
const otherPolicies = "other"

// policyCounts counts by policy. Its zero value is ready for use.
type policyCounts struct {
	changing sync.Mutex
	table    atomic.Pointer[policyTable]
}

// policyTable has the counts of the policies of one snapshot. The map is not changed once it is in use.
type policyTable struct {
	snapshot *rules.Snapshot
	counts   map[rules.PolicyName]*policyCount
	other    *policyCount
}

type policyCount struct {
	decisions [2]atomic.Uint64 // by rules.Outcome
	audits    [2]atomic.Uint64
	matched   atomic.Int64 // Unix time in nanoseconds; 0 means never
}

// of returns the table for a snapshot: the counts of the policies that were there before go on.
func (p *policyCounts) of(snapshot *rules.Snapshot) *policyTable {
	if table := p.table.Load(); table != nil && table.snapshot == snapshot {
		return table
	}
	p.changing.Lock()
	defer p.changing.Unlock()
	before := p.table.Load()
	if before == nil {
		before = &policyTable{other: new(policyCount)}
	} else if before.snapshot == snapshot {
		return before
	}
	next := &policyTable{snapshot, map[rules.PolicyName]*policyCount{}, before.other}
	policies := snapshot.Policies()
	for _, policy := range policies {
		if count, found := before.counts[policy.PolicyName]; found {
			next.counts[policy.PolicyName] = count
		}
	}
	for _, policy := range policies {
		if _, found := next.counts[policy.PolicyName]; !found && len(next.counts) < maxPolicySeries {
			next.counts[policy.PolicyName] = new(policyCount)
		}
	}
	p.table.Store(next)
	return next
}

func (t *policyTable) count(name rules.PolicyName) *policyCount {
	if count, found := t.counts[name]; found {
		return count
	}
	return t.other
}

// decided counts a decision. snapshot is the one in force: a policy that has left it counts among the others.
func (p *policyCounts) decided(snapshot *rules.Snapshot, d *rules.Decision, now time.Time) {
	table := p.of(snapshot)
	if d.Policy != (rules.PolicyName{}) {
		table.count(d.Policy).decisions[d.Outcome].Add(1)
	}
	for _, audit := range d.Audit {
		table.count(audit.Policy).audits[audit.Outcome].Add(1)
	}
	for policy := range d.Matched() {
		table.count(policy).matched.Store(now.UnixNano())
	}
}

func (p *policyCounts) collect(snapshot *rules.Snapshot, out chan<- prometheus.Metric) {
	table := p.of(snapshot)
	series := func(label string, count *policyCount) {
		for _, outcome := range []rules.Outcome{rules.Deny, rules.Allow} {
			out <- prometheus.MustNewConstMetric(policyDecisionsDesc, prometheus.CounterValue,
				float64(count.decisions[outcome].Load()), label, outcome.String())
			out <- prometheus.MustNewConstMetric(policyAuditsDesc, prometheus.CounterValue,
				float64(count.audits[outcome].Load()), label, outcome.String())
		}
		out <- prometheus.MustNewConstMetric(policyMatchedDesc, prometheus.GaugeValue,
			time.Duration(count.matched.Load()).Seconds(), label)
	}
	for name, count := range table.counts {
		series(strings.ToValidUTF8(name.String(), "?"), count) // others make the library panic
	}
	series(otherPolicies, table.other)
}
