package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/version"
)

// newVersionMetric returns registration_policy_build_info{version}, which is always 1. Queries join other metrics with
// it.
func newVersionMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "registration_policy_build_info", Help: "1, with the version of the operator.",
		ConstLabels: prometheus.Labels{"version": version.String()},
	}, func() float64 { return 1 })
}
