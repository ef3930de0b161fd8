package publish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The values of the label result.
const (
	buildPublished  = "published"
	buildListFailed = "list_failed"
	buildReadFailed = "read_failed"
)

// Metrics are the metrics of builds, lists and memory budgets:
//
//	registration_policy_rules_builds_total{result}
//	    Builds of the rules: published, list_failed (policies or lists could not be read from the API server),
//	    read_failed (a policy directory could not be read).
//	registration_policy_rules_build_duration_seconds
//	    Time to assemble and publish the rules.
//	registration_policy_rules_published_timestamp_seconds
//	    When the rules in force were published, in Unix time.
//	registration_policy_rules_stale
//	    1 while the last read of the policies failed and earlier rules stay in force.
//	registration_policy_rejected_parts
//	    Parts of policies that are not in force.
//	registration_policy_lists
//	    Different lists that policies use.
//	registration_policy_list_entries
//	    Entries of the lists that policies use, together.
//	registration_policy_list_compilations_total
//	    Lists compiled.
//	registration_policy_namespace_memory_bytes{watched_namespace}
//	    Memory that the policies of a namespace and their lists need, including those that are over its limit.
//	registration_policy_namespace_memory_limit_bytes{watched_namespace}
//	    Memory that the policies of a namespace and their lists may take; absent without a limit.
type Metrics struct {
	builds        *prometheus.CounterVec
	buildDuration prometheus.Histogram
	publishedAt   prometheus.Gauge
	stale         prometheus.Gauge
	rejected      prometheus.Gauge
	lists         prometheus.Gauge
	listEntries   prometheus.Gauge
	compilations  prometheus.Counter
	wanted        *prometheus.GaugeVec
	limits        *prometheus.GaugeVec
}

// NewMetrics registers the metrics. It panics if registerer already has them.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	const namespace = "registration_policy"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	byNamespace := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help}, []string{"watched_namespace"})
	}
	m := &Metrics{
		builds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Name: "rules_builds_total", Help: "Builds of the rules, by result.",
		}, []string{"result"}),
		buildDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: namespace, Name: "rules_build_duration_seconds", Help: "Time to assemble and publish the rules.",
			Buckets: []float64{.0001, .0005, .001, .005, .01, .05, .1, .5, 1, 5},
		}),
		publishedAt: gauge("rules_published_timestamp_seconds", "When the rules in force were published, in Unix time."),
		stale:       gauge("rules_stale", "1 while the last read of the policies failed and earlier rules stay in force."),
		rejected:    gauge("rejected_parts", "Parts of policies that are not in force."),
		lists:       gauge("lists", "Different lists that policies use."),
		listEntries: gauge("list_entries", "Entries of the lists that policies use, together."),
		compilations: prometheus.NewCounter(prometheus.CounterOpts{
			Namespace: namespace, Name: "list_compilations_total", Help: "Lists compiled.",
		}),
		wanted: byNamespace("namespace_memory_bytes", "Memory that policies and lists of a namespace need, refused ones included."),
		limits: byNamespace("namespace_memory_limit_bytes", "Memory that a namespace may take."),
	}
	for _, result := range []string{buildPublished, buildListFailed, buildReadFailed} {
		m.builds.WithLabelValues(result)
	}
	registerer.MustRegister(m.builds, m.buildDuration, m.publishedAt, m.stale, m.rejected, m.lists, m.listEntries, m.compilations,
		m.wanted, m.limits)
	return m
}

// published counts a successful build. A nil Metrics counts nothing.
func (m *Metrics) published(rejections int, took time.Duration) {
	if m == nil {
		return
	}
	m.builds.WithLabelValues(buildPublished).Inc()
	m.buildDuration.Observe(took.Seconds())
	m.publishedAt.SetToCurrentTime()
	m.stale.Set(0)
	m.rejected.Set(float64(rejections))
}

// ListFailed counts a build that failed because policies or lists could not be read from the API server.
func (m *Metrics) ListFailed() { m.failed(buildListFailed) }

// ReadFailed counts a failed read of a policy directory.
func (m *Metrics) ReadFailed() { m.failed(buildReadFailed) }

func (m *Metrics) failed(result string) {
	m.builds.WithLabelValues(result).Inc()
	m.stale.Set(1)
}

// ReadSucceeded resets registration_policy_rules_stale after a successful read of a policy directory. If the read
// changes no rules, nothing is published, and no other call resets the metric.
func (m *Metrics) ReadSucceeded() { m.stale.Set(0) }

// storedInForce records that a stored snapshot came into force. rejections is the number of parts of its policies that
// are not in force.
func (m *Metrics) storedInForce(rejections int) { m.rejected.Set(float64(rejections)) }

// Budget sets how many bytes of memory a namespace needs, and how many it may take. A limit of 0 means that there is no
// limit. A nil Metrics does nothing.
func (m *Metrics) Budget(namespace string, wanted, limit int64) {
	if m == nil {
		return
	}
	m.wanted.WithLabelValues(namespace).Set(float64(wanted))
	if limit > 0 {
		m.limits.WithLabelValues(namespace).Set(float64(limit))
	}
}

// listCompiled counts the compilation of a list. A nil Metrics counts nothing.
func (m *Metrics) listCompiled() {
	if m != nil {
		m.compilations.Inc()
	}
}

// listsInUse sets how many different lists policies use, and how many entries they have. A nil Metrics does nothing.
func (m *Metrics) listsInUse(lists, entries int) {
	if m != nil {
		m.lists.Set(float64(lists))
		m.listEntries.Set(float64(entries))
	}
}
