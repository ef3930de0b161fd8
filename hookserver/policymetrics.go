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
		"Calls whose outcome a policy in mode Audit would have changed to this one.", []string{"policy", "outcome"}, nil)
	policyMatchedDesc = prometheus.NewDesc(metricPrefix+"policy_last_matched_timestamp_seconds",
		"Unix time at which an entry of a policy last matched; 0 if never since the process started.", []string{"policy"}, nil)
)

// otherPolicies is the label of policies without their own series. It cannot be a policy's name, which has a slash.
const otherPolicies = "other"

// policyCounts counts by policy. Its zero value is ready for use.
type policyCounts struct {
	replacing sync.Mutex // held while table is replaced
	table     atomic.Pointer[policyTable]
}

// policyTable has the counts of the policies of a snapshot. Its map is read-only once it is published.
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

// tableFor returns the counters of the policies of a snapshot. Policies that were in the previous snapshot keep their
// counts.
func (p *policyCounts) tableFor(snapshot *rules.Snapshot) *policyTable {
	if table := p.table.Load(); table != nil && table.snapshot == snapshot {
		return table
	}
	p.replacing.Lock()
	defer p.replacing.Unlock()
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

// decided counts a decision. snapshot is the one in force: a policy that is no longer in it counts as otherPolicies.
func (p *policyCounts) decided(snapshot *rules.Snapshot, d *rules.Decision, now time.Time) {
	table := p.tableFor(snapshot)
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
	table := p.tableFor(snapshot)
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
		series(strings.ToValidUTF8(name.String(), "?"), count) // MustNewConstMetric panics otherwise
	}
	series(otherPolicies, table.other)
}
