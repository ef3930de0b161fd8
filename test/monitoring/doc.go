// Package monitoring holds what operators watch against the real things: the alerts against promtool and its series, and every
// query of the alerts, of the dashboard and of docs/runbook.md against the metrics of running replicas, in Prometheus's own
// database and engine. It is a module of its own because of what Prometheus brings along. All of it is tests.
package monitoring
