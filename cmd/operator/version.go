package main

import (
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"
)

// stamped is the version that a build was given by -ldflags "-X main.stamped=v1.2.3"; "" means none.
var stamped string

// version returns the version that the build was given, or that of this module, as the go command recorded it in the binary.
func version() string {
	if stamped != "" {
		return stamped
	}
	if build, found := debug.ReadBuildInfo(); found && build.Main.Version != "" {
		return build.Main.Version
	}
	return "(devel)"
}

// newVersionMetric returns registration_policy_build_info{version}, which is always 1: what else is measured can be
// joined with it.
func newVersionMetric() prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "registration_policy_build_info", Help: "1, with the version of the operator.",
		ConstLabels: prometheus.Labels{"version": version()},
	}, func() float64 { return 1 })
}
