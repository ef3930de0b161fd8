package monitoring

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// fleet is a simulated fleet: one value a minute of each series that the alerts read.
type fleet struct {
	minutes int
	series  map[string][]float64 // by name and labels; NaN where a pod does not run
	random  *rand.Rand
	total   map[string]float64 // the counters
}

// The times of the simulated day, in minutes since its begin, which is midnight.
const (
	day = 24 * 60
	// rollout is when the two pods are replaced, one after the other.
	rollout = 10 * 60
	// policyChange is when a policy is changed.
	policyChange = 14 * 60
	// serverUpgrade is when the API server does not answer for two minutes.
	serverUpgrade = 16 * 60
)

// newFleet simulates a healthy fleet of two replicas for some minutes: sign-ups as there are by day and by night, of which
// every sixth is denied, somebody who calls the hook without a credential now and then, and once each a rollout, a change of
// a policy, and an upgrade of the API server.
func newFleet(minutes int, seed uint64) *fleet {
	f := &fleet{minutes: minutes, series: map[string][]float64{}, random: rand.New(rand.NewPCG(seed, 0)), total: map[string]float64{}}
	for minute := range minutes {
		running := f.running(minute)
		for i, pod := range running {
			f.replica(minute, pod, i == 0)
		}
	}
	return f
}

// running returns the pods of a minute. The first leads.
func (f *fleet) running(minute int) []string {
	switch {
	case minute < rollout:
		return []string{"a", "b"}
	case minute < rollout+2:
		return []string{"a", "b", "c"}
	case minute < rollout+4:
		return []string{"b", "c", "d"}
	default:
		return []string{"c", "d"}
	}
}

// replica writes the series of a pod.
func (f *fleet) replica(minute int, pod string, leads bool) {
	now := float64(minute * 60)
	began := minute == 0 || f.at("ready", pod, "", minute-1) != f.at("ready", pod, "", minute-1) // NaN: it did not run
	set := func(name, labels string, value float64) { f.set(name, pod, labels, minute, value) }
	truth := func(is bool) float64 {
		if is {
			return 1
		}
		return 0
	}
	draining := pod == "a" && minute == rollout+1 || pod == "b" && minute == rollout+3
	set("ready", "", truth(!began && !draining))
	set("leader", "", truth(leads && !draining))
	set("observing", "", 0)
	set("fenced", "", 0)
	set("stored_snapshot", "", 0)
	set("rules_stale", "", truth(minute == serverUpgrade))

	digest := "sha256:1"
	if minute > policyChange || minute == policyChange && pod == "c" { // one replica has it a moment before the other
		digest = "sha256:2"
	}
	set("snapshot", `digest="`+digest+`"`, 1)
	set("snapshot_policies", `mode="Enforce",enforceable="true"`, 12)
	set("snapshot_policies", `mode="Enforce",enforceable="false"`, 0)
	changing := minute >= policyChange && minute < policyChange+2
	for state, count := range map[string]float64{"true": 12 - truth(changing), "false": 0, "unknown": truth(changing)} {
		set("policies", `ready="`+state+`"`, count*truth(leads))
	}
	for state, count := range map[string]float64{"ready": 2, "behind": 0, "silent": 0, "unreported": 0} {
		set("replicas", `state="`+state+`"`, count*truth(leads))
	}
	proven := now - f.random.Float64()*60
	if minute > serverUpgrade && minute < serverUpgrade+2 {
		proven = serverUpgrade * 60
	}
	for namespace, memory := range map[string]float64{"own": 20e6, "team-a": 5e6} {
		watched := `watched_namespace="` + namespace + `"`
		set("watch_proven_timestamp_seconds", watched, max(1, proven))
		set("namespace_unreadable", watched, 0)
		set("namespace_memory_bytes", watched, memory)
		set("namespace_memory_limit_bytes", watched, 40e6)
	}
	set("memory_live_bytes", "", 50e6+20e6*f.random.Float64())
	set("memory_limit_bytes", "", 256<<20)
	set("certificate_not_after_timestamp_seconds", "", 60*86400)
	set("oauth_keys", "", 2)
	set("oauth_keys_age_seconds", "", float64(minute%15*60))
	f.calls(minute, pod)
}

// calls writes the counters of a pod.
func (f *fleet) calls(minute int, pod string) {
	count := func(name, labels string, more float64) {
		key := pod + name + labels
		f.total[key] += more
		f.set(name, pod, labels, minute, f.total[key])
	}
	// Up to 300 sign-ups an hour in the afternoon, and some two at night.
	hour := float64(minute%day) / 60
	rate := 0.02 + 2.5*math.Pow(math.Max(0, math.Sin((hour-6)/18*math.Pi)), 2)
	allowed, denied := f.poisson(rate*5/6), f.poisson(rate/6)
	count("decisions_total", `outcome="ALLOW",reason="Allowed",request_type="SelfServiceRegistration"`, allowed)
	count("decisions_total", `outcome="DENY",reason="NotAllowed",request_type="SelfServiceRegistration"`, denied)
	count("decisions_total", `outcome="DENY",reason="PolicyNotEnforceable",request_type="SelfServiceRegistration"`, 0)
	count("authentications_total", `credential="okta",result="accepted"`, allowed+denied)
	count("authentications_total", `credential="",result="missing"`, f.poisson(0.1))
	count("authentications_total", `credential="",result="unknown"`, 0)
	slow := math.Min(f.poisson(0.01), allowed+denied)
	for _, bucket := range []struct {
		le    string
		calls float64
	}{{"0.0025", allowed + denied - slow}, {"0.25", allowed + denied}, {"1", allowed + denied}, {"2.5", allowed + denied}, {"+Inf", allowed + denied}} {
		count("decision_duration_seconds_bucket", `le="`+bucket.le+`"`, bucket.calls)
	}
	count("calls_shed_total", "", 0)
}

// poisson returns a random number of events with this mean.
func (f *fleet) poisson(mean float64) float64 {
	events := 0.0
	for left := f.random.ExpFloat64(); left < mean; left += f.random.ExpFloat64() {
		events++
	}
	return events
}

func seriesName(name, pod, labels string) string {
	return strings.TrimSuffix(fmt.Sprintf(`registration_policy_%s{namespace="okta",job="hook",pod="%s",%s`, name, pod, labels), ",") + "}"
}

func (f *fleet) set(name, pod, labels string, minute int, value float64) {
	key := seriesName(name, pod, labels)
	if f.series[key] == nil {
		f.series[key] = slices.Repeat([]float64{math.NaN()}, f.minutes)
	}
	f.series[key][minute] = value
}

// at returns the value of a series; NaN if there is none.
func (f *fleet) at(name, pod, labels string, minute int) float64 {
	if values := f.series[seriesName(name, pod, labels)]; values != nil {
		return values[minute]
	}
	return math.NaN()
}

// change replaces the values of series from a minute on: of those of a metric whose name contains the labels. since is the
// time since that minute.
func (f *fleet) change(from int, name, labels string, value func(before float64, since int) float64) int {
	changed := 0
	for key, values := range f.series {
		if !strings.HasPrefix(key, "registration_policy_"+name+"{") || !strings.Contains(key, labels) {
			continue
		}
		for minute := from; minute < f.minutes; minute++ {
			if !math.IsNaN(values[minute]) {
				values[minute] = value(values[minute], minute-from)
				changed++
			}
		}
	}
	return changed
}

// input returns the series as promtool's unit tests write them.
func (f *fleet) input() []map[string]string {
	var all []map[string]string
	for _, key := range slices.Sorted(maps.Keys(f.series)) {
		var values []string
		for minute, value := range f.series[key] {
			switch {
			case !math.IsNaN(value):
				values = append(values, strconv.FormatFloat(value, 'g', -1, 64))
			case minute > 0 && !math.IsNaN(f.series[key][minute-1]):
				values = append(values, "stale") // as Prometheus marks the series of a pod that is gone
			default:
				values = append(values, "_")
			}
		}
		all = append(all, map[string]string{"series": key, "values": strings.Join(values, " ")})
	}
	return all
}
