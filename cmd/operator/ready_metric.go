package main

import "github.com/prometheus/client_golang/prometheus"

// newReadyMetric returns registration_policy_ready, which is 1 while /readyz answers 200. Prometheus scrapes unready
// replicas too, so an alert can tell "no replica is ready" from "no replica is reachable".
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
