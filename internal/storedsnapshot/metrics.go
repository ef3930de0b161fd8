package storedsnapshot

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Values of the label fault.
const (
	faultRefused      = "refused"
	faultWriteFailed  = "write_failed"
	faultRemoveFailed = "remove_failed"
)

// Metrics are the metrics of stored snapshots:
//
//	registration_policy_stored_snapshot
//	    1 while a stored snapshot is in force, otherwise 0.
//	registration_policy_stored_snapshot_timestamp_seconds
//	    Unix time at which the stored snapshot in force was written; 0 if none is in force.
//	registration_policy_stored_snapshot_faults_total{fault}
//	    Files refused at a start or when they were to come into force (refused), failed writes (write_failed) and failed
//	    removals (remove_failed).
type Metrics struct {
	inUse   prometheus.Gauge
	written prometheus.Gauge
	faults  *prometheus.CounterVec
}

// NewMetrics registers the metrics. It panics if registerer already has them.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	const namespace, subsystem = "registration_policy", "stored_snapshot"
	m := &Metrics{
		inUse: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Name: subsystem, Help: "1 while answering from a stored snapshot.",
		}),
		written: prometheus.NewGauge(prometheus.GaugeOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "timestamp_seconds",
			Help: "Unix time at which the stored snapshot in force was written; 0 without one.",
		}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: namespace, Subsystem: subsystem, Name: "faults_total", Help: "Faults of stored snapshots.",
		}, []string{"fault"}),
	}
	for _, fault := range []string{faultRefused, faultWriteFailed, faultRemoveFailed} {
		m.faults.WithLabelValues(fault)
	}
	registerer.MustRegister(m.inUse, m.written, m.faults)
	return m
}

// activated records that a stored snapshot came into force, and when it was written.
func (m *Metrics) activated(written time.Time) {
	m.inUse.Set(1)
	m.written.Set(float64(written.UnixMilli()) / float64(time.Second/time.Millisecond))
}

func (m *Metrics) deactivated() {
	m.inUse.Set(0)
	m.written.Set(0)
}
