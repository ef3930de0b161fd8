package controllers

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Metrics are what the controllers count:
//
//	registration_policy_leader                               1 on the replica that writes status
//	registration_policy_replica_reported_timestamp_seconds   when this replica last reported what it decides by, Unix time
//	registration_policy_policies{ready}                      on the leader, policies by their condition Ready
//	registration_policy_replicas{state}                      on the leader, replicas that can be asked: reporting, silent,
//	                                                         unreported
type Metrics struct {
	leader     prometheus.Gauge
	reportedAt prometheus.Gauge
	policies   *prometheus.GaugeVec
	replicas   *prometheus.GaugeVec
}

// NewMetrics registers the metrics. It panics if they are registered already, as the prometheus package does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	const namespace = "registration_policy"
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: namespace, Name: name, Help: help})
	}
	m := &Metrics{
		leader:     gauge("leader", "1 on the replica that writes status."),
		reportedAt: gauge("replica_reported_timestamp_seconds", "When this replica last reported what it decides by, in Unix time; 0: never."),
		policies: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "policies", Help: "On the replica that writes status: policies, by their condition Ready.",
		}, []string{"ready"}),
		replicas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "replicas", Help: "On the replica that writes status: replicas that can be asked, by what is known of them.",
		}, []string{"state"}),
	}
	m.ledPolicies(nil)
	m.ledReplicas(fleetView{})
	registerer.MustRegister(m.leader, m.reportedAt, m.policies, m.replicas)
	return m
}

// ledPolicies counts policies by the status of their condition Ready; none, on a replica that does not lead.
func (m *Metrics) ledPolicies(byStatus map[metav1.ConditionStatus]int) {
	if m == nil {
		return
	}
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
		m.policies.WithLabelValues(strings.ToLower(string(status))).Set(float64(byStatus[status]))
	}
}

// ledReplicas counts the replicas in view; none, on a replica that does not lead.
func (m *Metrics) ledReplicas(view fleetView) {
	if m == nil {
		return
	}
	counts := map[replicaState]int{}
	for _, replica := range view.replicas {
		counts[replica.state]++
	}
	for _, state := range replicaStates() {
		m.replicas.WithLabelValues(string(state)).Set(float64(counts[state]))
	}
}
