// Package monitoring has only tests: they run the alerts on made-up series with promtool, and each query of the alerts,
// of the dashboard and of docs/platform/runbook.md on the metrics of running replicas, in Prometheus's own database and query
// engine. It is a Go module of its own because Prometheus has many dependencies.
package monitoring
