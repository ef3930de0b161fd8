package replica

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of a replica:
//
//	registration_policy_replica_reported_timestamp_seconds   Unix time of this replica's last report; 0: none yet
type Metrics struct {
	reportedAt prometheus.Gauge
}

// NewMetrics registers the metrics. It panics if they are registered already, as the prometheus package does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{
		reportedAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: "registration_policy", Name: "replica_reported_timestamp_seconds",
			Help: "When this replica last reported what it decides by, in Unix time; 0: never.",
		}),
	}
	registerer.MustRegister(m.reportedAt)
	return m
}
