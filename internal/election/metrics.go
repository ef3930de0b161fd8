package election

import "github.com/prometheus/client_golang/prometheus"

// Metrics are the metrics of the election:
//
//	registration_policy_leader  1 on the replica that writes status
type Metrics struct {
	leader prometheus.Gauge
}

// NewMetrics registers the metrics. It panics if they are registered already, as the prometheus package does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	m := &Metrics{leader: prometheus.NewGauge(prometheus.GaugeOpts{
		Namespace: "registration_policy", Name: "leader", Help: "1 on the replica that writes status.",
	})}
	registerer.MustRegister(m.leader)
	return m
}
