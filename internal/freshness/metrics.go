package freshness

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of watches:
//
//	registration_policy_watch_proven_timestamp_seconds{watched_namespace}
//	    State.Proven as Unix time; 0: never. It rises at least about once a minute while all watches of the namespace
//	    are alive.
//	registration_policy_namespace_unreadable{watched_namespace}
//	    1 while the objects of the namespace cannot be read, otherwise 0.
//	registration_policy_watch_restarts_total
//	    Watches that the watchdog stopped, because they received nothing for too long.
type metrics struct {
	restarts prometheus.Counter
}

// namespaceLabel is the label of a watched namespace. It is not "namespace", since Prometheus sets that label to the
// namespace of the scraped pod.
const namespaceLabel = "watched_namespace"

const metricsNamespace = "registration_policy"

func newMetrics(registerer prometheus.Registerer, tracker *Tracker) *metrics {
	m := &metrics{restarts: prometheus.NewCounter(prometheus.CounterOpts{
		Namespace: metricsNamespace, Name: "watch_restarts_total", Help: "Watches stopped because they received nothing for too long.",
	})}
	registerer.MustRegister(m.restarts)
	for _, namespace := range tracker.Namespaces() {
		labels := prometheus.Labels{namespaceLabel: namespace}
		registerer.MustRegister(
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: metricsNamespace, Name: "watch_proven_timestamp_seconds", ConstLabels: labels,
				Help: "When the least recently heard watch of the namespace was last known to be alive, in Unix time; 0: never.",
			}, func() float64 { return unixSeconds(tracker.State(namespace).Proven) }),
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{
				Namespace: metricsNamespace, Name: "namespace_unreadable", ConstLabels: labels,
				Help: "1 while the API server does not let the namespace be read.",
			}, func() float64 {
				if tracker.State(namespace).Fault != nil {
					return 1
				}
				return 0
			}),
		)
	}
	return m
}

func unixSeconds(at time.Time) float64 {
	if at.IsZero() {
		return 0
	}
	return float64(at.UnixMilli()) / float64(time.Second/time.Millisecond)
}
