package controllers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/rules"
)

// Results of a build of the rules.
const (
	buildPublished  = "published"
	buildListFailed = "list_failed"
	buildReadFailed = "read_failed"
)

// Metrics are what the controllers count:
//
//	registration_policy_rules_builds_total{result}           builds of the rules: published, list_failed (API server),
//	                                                         read_failed (directory)
//	registration_policy_rules_build_duration_seconds         time to compile and publish
//	registration_policy_rules_published_timestamp_seconds    when the rules in force were published, Unix time
//	registration_policy_rules_stale                          1 while the last read of the policies failed and earlier rules
//	                                                         stay in force
//	registration_policy_watch_proven_timestamp_seconds       when the watch that has been silent for longest was last known to
//	                                                         be alive, Unix time; at least about once a minute; 0: never
//	registration_policy_rejected_parts                       parts of policies that are not in force
//	registration_policy_lists                                different lists that policies use
//	registration_policy_list_entries                         entries of these lists together
//	registration_policy_list_compilations_total              lists compiled; one content is compiled once
//	registration_policy_leader                               1 on the replica that writes status
//	registration_policy_watch_restarts_total                 watches given up because nothing came by them for too long
type Metrics struct {
	builds        *prometheus.CounterVec
	buildDuration prometheus.Histogram
	publishedAt   prometheus.Gauge
	stale         prometheus.Gauge
	rejected      prometheus.Gauge
	lists         prometheus.Gauge
	listEntries   prometheus.Gauge
	compilations  prometheus.Counter
	leader        prometheus.Gauge
	watches       *watches
	restarts      prometheus.Counter
	stored        storedMetrics
}

// NewMetrics registers the metrics. It panics if they are registered already, as the prometheus package does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	const namespace = "registration_policy"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := &Metrics{
		builds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "rules_builds_total", Help: "Builds of the rules, by result.",
		}, []string{"result"}),
		buildDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "rules_build_duration_seconds", Help: "Time to compile and publish the rules.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5},
		}),
		publishedAt: gauge("rules_published_timestamp_seconds", "When the rules in force were published, in Unix time."),
		stale:       gauge("rules_stale", "1 while the last read of the policies failed and earlier rules stay in force."),
		rejected:    gauge("rejected_parts", "Parts of policies that are not in force."),
		lists:       gauge("lists", "Different lists that policies use."),
		listEntries: gauge("list_entries", "Entries of the lists that policies use, together."),
		compilations: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "list_compilations_total", Help: "Lists compiled; one content is compiled once.",
		}),
		leader: gauge("leader", "1 on the replica that writes status."),
		restarts: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "watch_restarts_total", Help: "Watches given up because nothing came by them for too long.",
		}),
		stored: newStoredMetrics(registerer),
	}
	m.watches = newWatches(m.restarts.Inc)
	proven := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Namespace: namespace, Name: "watch_proven_timestamp_seconds",
		Help: "When the watch that has been silent for longest was last known to be alive, in Unix time; 0: never.",
	}, m.watches.oldestProofSeconds)
	for _, result := range []string{buildPublished, buildListFailed, buildReadFailed} {
		m.builds.WithLabelValues(result)
	}
	registerer.MustRegister(m.builds, m.buildDuration, m.publishedAt, m.stale, m.rejected, m.leader, proven,
		m.lists, m.listEntries, m.compilations, m.restarts)
	return m
}

func (m *Metrics) published(rejections []rules.Rejection, took time.Duration) {
	m.builds.WithLabelValues(buildPublished).Inc()
	m.buildDuration.Observe(took.Seconds())
	m.publishedAt.SetToCurrentTime()
	m.stale.Set(0)
	m.rejected.Set(float64(len(rejections)))
}

// listCompiled counts the compilation of a list. Without metrics nothing is counted.
func (m *Metrics) listCompiled() {
	if m != nil {
		m.compilations.Inc()
	}
}

func (m *Metrics) listsInUse(lists, entries int) {
	if m != nil {
		m.lists.Set(float64(lists))
		m.listEntries.Set(float64(entries))
	}
}

// failed counts a read of the policies that failed.
func (m *Metrics) failed(result string) {
	m.builds.WithLabelValues(result).Inc()
	m.stale.Set(1)
}
