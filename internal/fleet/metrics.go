package fleet

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Metrics are the metrics of the leader; both are 0 on other replicas:
//
//	registration_policy_policies{ready}   policies, by the status of their condition Ready
//	registration_policy_replicas{state}   serving replicas, by the state of their reports (replicaState)
type Metrics struct {
	policies *prometheus.GaugeVec
	replicas *prometheus.GaugeVec
}

// NewMetrics registers the metrics. It panics if they are registered already, as the prometheus package does.
func NewMetrics(registerer prometheus.Registerer) *Metrics {
	const namespace = "registration_policy"
	m := &Metrics{
		policies: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "policies", Help: "On the replica that writes status: policies, by their condition Ready.",
		}, []string{"ready"}),
		replicas: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Namespace: namespace, Name: "replicas", Help: "On the replica that writes status: serving replicas, by the state of their reports.",
		}, []string{"state"}),
	}
	m.countPolicies(nil)
	m.countReplicas(view{})
	registerer.MustRegister(m.policies, m.replicas)
	return m
}

// countPolicies sets the number of policies by the status of their condition Ready. A nil map sets all to 0.
func (m *Metrics) countPolicies(byStatus map[metav1.ConditionStatus]int) {
	for _, status := range []metav1.ConditionStatus{metav1.ConditionTrue, metav1.ConditionFalse, metav1.ConditionUnknown} {
		m.policies.WithLabelValues(strings.ToLower(string(status))).Set(float64(byStatus[status]))
	}
}

// countReplicas sets the number of replicas by state. An empty view sets all to 0.
func (m *Metrics) countReplicas(v view) {
	counts := map[replicaState]int{}
	for _, replica := range v.replicas {
		counts[replica.state]++
	}
	for _, state := range []replicaState{reporting, silent, unreported} {
		m.replicas.WithLabelValues(string(state)).Set(float64(counts[state]))
	}
}
