package main

import "github.com/prometheus/client_golang/prometheus"

// newReadyMetric returns registration_policy_ready: 1 while /readyz says that this replica should get calls. Prometheus reads the
// metrics of unready replicas too, so that "none is ready" can be told apart from "nothing answers".
func newReadyMetric(ready *readiness) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "registration_policy_ready", Help: "1 while this replica is ready for calls.",
	}, func() float64 {
		if ready.details().Ready {
			return 1
		}
		return 0
	})
}
