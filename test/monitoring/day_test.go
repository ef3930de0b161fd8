package monitoring

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"
	"sigs.k8s.io/yaml"
)

const (
	// seeds is how many simulated days are checked: each has other sign-ups.
	seeds = 2
	// history is how long a fleet is healthy before its incident, in minutes: until the morning, so that sign-ups come.
	history = 9 * 60
	// incidentLength is how long an incident lasts, in minutes: longer than the longest "for" of the alerts that it fires.
	incidentLength = 50
)

// promtoolTest is one unit test of promtool.
type promtoolTest struct {
	Name        string              `json:"name"`
	Interval    string              `json:"interval"`
	InputSeries []map[string]string `json:"input_series"`
	Expressions []promtoolQuery     `json:"promql_expr_test"`
}

type promtoolQuery struct {
	Expr    string           `json:"expr"`
	Eval    string           `json:"eval_time"`
	Samples []promtoolSample `json:"exp_samples"`
}

type promtoolSample struct {
	Labels string  `json:"labels"`
	Value  float64 `json:"value"`
}

// runTests runs unit tests on the alerts of the release okta/hook.
func runTests(t *testing.T, tests ...promtoolTest) {
	t.Helper()
	dir := t.TempDir()
	ruleFile(t, dir, `namespace="okta",job="hook"`, false)
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{"rules.yaml"}, "evaluation_interval": "1m", "tests": tests})
	if err != nil {
		t.Fatal(err)
	}
	promtool(t, "test", "rules", write(t, dir, "tests.yaml", string(text)))
}

// A healthy fleet has nights without a sign-up, callers without a credential, rollouts, changes and short faults. No alert may
// fire in a whole day of them.
func TestNoAlertFiresInADayOfAHealthyFleet(t *testing.T) {
	t.Parallel()
	var tests []promtoolTest
	for seed := range uint64(seeds) {
		tests = append(tests, promtoolTest{
			Name: fmt.Sprintf("seed %d", seed), Interval: "1m", InputSeries: newFleet(day, seed).input(),
			Expressions: []promtoolQuery{
				{Expr: `count by (alertname) (count_over_time(ALERTS{alertstate="firing"}[1d]))`, Eval: "23h59m"},
				// It must see the fleet, or it would be quiet for want of series.
				{Expr: `sum(count_over_time(registration_policy_ready[1d]) > bool 0)`, Eval: "23h59m", Samples: []promtoolSample{{"{}", 4}}},
			},
		})
	}
	runTests(t, tests...)
}

// An alert that reads a series which the simulated fleet does not have would be quiet for want of it.
func TestTheSimulatedFleetHasEverySeriesThatAnAlertReads(t *testing.T) {
	t.Parallel()
	f := newFleet(1, 0)
	for _, alert := range alerts(t) {
		expression := parsed(t, alert.Alert, alert.Expr)
		parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
			if selector, ok := node.(*parser.VectorSelector); ok {
				for key := range f.series {
					if strings.HasPrefix(key, selector.Name+"{") {
						return nil
					}
				}
				t.Errorf("%s reads %s, which the fleet does not have", alert.Alert, selector.Name)
			}
			return nil
		})
	}
}

// constant returns a change of a series to a value.
func constant(value float64) func(float64, int) float64 {
	return func(float64, int) float64 { return value }
}

// rising returns a change of a counter: it rises by so many a minute, beside what it does anyway.
func rising(perMinute float64) func(float64, int) float64 {
	return func(before float64, since int) float64 { return before + perMinute*float64(since+1) }
}

// stop lets counters keep the value that they had.
func (f *fleet) stop(from int, name, labels string) int {
	changed := 0
	for key, values := range f.series {
		if strings.HasPrefix(key, "registration_policy_"+name+"{") && strings.Contains(key, labels) {
			for minute := from; minute < f.minutes; minute++ {
				values[minute] = values[from-1]
				changed++
			}
		}
	}
	return changed
}

// incidents are what the alerts name, as changes of a healthy fleet. Alerts that need days are in testdata/days.yaml.
var incidents = map[string]struct {
	happens func(f *fleet, from int) int // returns how many values it changed
	// with are other alerts that then fire rightly, too.
	with []string
}{
	"NoReplicaReady": {func(f *fleet, from int) int { return f.change(from, "ready", "", constant(0)) }, nil},
	"NoCallAuthenticated": {func(f *fleet, from int) int { // Okta sends a credential that was removed
		return f.stop(from, "authentications_total", `result="accepted"`) *
			f.change(from, "authentications_total", `result="unknown"`, rising(2))
	}, []string{"AuthenticationFailing"}},
	"AuthenticationFailing": {func(f *fleet, from int) int { // one of two callers has the wrong credential
		return f.change(from, "authentications_total", `result="unknown"`, rising(2))
	}, nil},
	"OAuthKeysOld": {func(f *fleet, from int) int {
		return f.change(from, "oauth_keys_age_seconds", `pod="a"`, func(_ float64, since int) float64 { return 3000 + float64(60*since) })
	}, nil},
	"DenialsJumped": {func(f *fleet, from int) int {
		return f.stop(from, "decisions_total", `outcome="ALLOW"`) * f.change(from, "decisions_total", `reason="NotAllowed"`, rising(2))
	}, nil},
	"AnswersLate": {func(f *fleet, from int) int { // every call takes over a second
		return f.stop(from, "decision_duration_seconds_bucket", `le="0.0025"`) * f.stop(from, "decision_duration_seconds_bucket", `le="0.25"`) *
			f.stop(from, "decision_duration_seconds_bucket", `le="1"`) *
			f.change(from, "decision_duration_seconds_bucket", `le="2.5"`, rising(1)) *
			f.change(from, "decision_duration_seconds_bucket", `le="+Inf"`, rising(1))
	}, nil},
	"Shedding": {func(f *fleet, from int) int { return f.change(from, "calls_shed_total", `pod="a"`, rising(1)) }, nil},
	"CertificateEnding": {func(f *fleet, from int) int {
		return f.change(from, "certificate_not_after_timestamp_seconds", "", constant(13*86400))
	}, nil},
	"NotEnforceable": {func(f *fleet, from int) int {
		return f.change(from, "snapshot_policies", `enforceable="false"`, constant(1))
	}, nil},
	"NotReadyForLong": {func(f *fleet, from int) int {
		return f.change(from, "policies", `pod="a",ready="false"`, constant(1))
	}, nil},
	"RulesStale": {func(f *fleet, from int) int { // the API server does not answer
		return f.change(from, "watch_proven_timestamp_seconds", "", constant(float64(from*60)))
	}, nil},
	"NamespaceUnreadable": {func(f *fleet, from int) int {
		return f.change(from, "namespace_unreadable", `watched_namespace="team-a"`, constant(1)) *
			f.change(from, "watch_proven_timestamp_seconds", `watched_namespace="team-a"`, constant(float64(from*60)))
	}, nil},
	"ReplicasDisagree": {func(f *fleet, from int) int {
		values := f.series[seriesName("snapshot", "b", `digest="sha256:1"`)]
		for minute := from; minute < f.minutes; minute++ {
			values[minute] = math.NaN()
			f.set("snapshot", "b", `digest="sha256:2"`, minute, 1)
		}
		return 1
	}, nil},
	"ReplicaSilent": {func(f *fleet, from int) int { return f.change(from, "replicas", `pod="a",state="silent"`, constant(1)) }, nil},
	"ReplicaFenced": {func(f *fleet, from int) int {
		return f.change(from, "fenced", `pod="b"`, constant(1)) * f.change(from, "ready", `pod="b"`, constant(0))
	}, nil},
	"StoredSnapshotInUse": {func(f *fleet, from int) int { return f.change(from, "stored_snapshot", `pod="b"`, constant(1)) }, nil},
	"NoLeader":            {func(f *fleet, from int) int { return f.change(from, "leader", "", constant(0)) }, nil},
	"NamespaceMemoryHigh": {func(f *fleet, from int) int {
		return f.change(from, "namespace_memory_bytes", `watched_namespace="team-a"`, constant(34e6))
	}, nil},
	"NamespaceOverBudget": {func(f *fleet, from int) int {
		return f.change(from, "namespace_memory_bytes", `watched_namespace="team-a"`, constant(41e6))
	}, nil},
	"MemoryHigh": {func(f *fleet, from int) int { return f.change(from, "memory_live_bytes", `pod="a"`, constant(200e6)) }, nil},
}

// daysLong are alerts that fire only after days; see testdata/days.yaml.
var daysLong = []string{"OldCredentialInUse", "ObservingForLong"}

// In an otherwise healthy fleet, each incident fires its alert and no other that has nothing to do with it.
func TestEachIncidentFiresItsAlert(t *testing.T) {
	t.Parallel()
	var tests []promtoolTest
	for _, alert := range alerts(t) {
		name := strings.TrimPrefix(alert.Alert, alertPrefix)
		incident, found := incidents[name]
		if !found {
			if !slices.Contains(daysLong, name) {
				t.Errorf("no incident for %s", name)
			}
			continue
		}
		f := newFleet(history+incidentLength, 1)
		if incident.happens(f, history) == 0 {
			t.Errorf("%s: the incident changes nothing", name)
		}
		fires := append([]string{name}, incident.with...)
		slices.Sort(fires)
		var want []promtoolSample
		for _, name := range fires {
			want = append(want, promtoolSample{fmt.Sprintf(`{alertname="%s%s"}`, alertPrefix, name), 1})
		}
		tests = append(tests, promtoolTest{
			Name: name, Interval: "1m", InputSeries: f.input(),
			Expressions: []promtoolQuery{
				{Expr: `count by (alertname) (ALERTS{alertstate="firing"})`, Eval: fmt.Sprintf("%dm", history-1)},
				{Expr: `count by (alertname) (ALERTS{alertstate="firing"})`, Eval: fmt.Sprintf("%dm", history+incidentLength-1), Samples: want},
			},
		})
	}
	runTests(t, tests...)
}
