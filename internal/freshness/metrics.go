package freshness

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of watches:
//
//	registration_policy_watch_proven_timestamp_seconds{watched_namespace}  when the least recently heard watch of the namespace was last
//	                                                known to be alive, Unix time; updated about once a minute or more often; 0: never
//	registration_policy_namespace_unreadable{watched_namespace}            1 while the API server does not let the namespace be read
//	registration_policy_watch_restarts_total        watches stopped because they received nothing for too long
type metrics struct {
	restarts prometheus.Counter
}

// namespaceLabel is not "namespace": Prometheus sets that label to the namespace of the scraped pod.
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
