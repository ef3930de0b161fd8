package hookserver

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/rules"
)

// metrics are the server's metrics, one collector. All names begin with registration_policy_:
//
//	decisions_total{outcome,reason,request_type}
//	    Calls decided, by what the policies said. While observing is 1, Okta was told ALLOW all the same.
//	    outcome: ALLOW, DENY; reason: rules.Reasons; request_type: SelfServiceRegistration, ProgressiveProfile, Both,
//	    Unrecognised.
//	decision_duration_seconds
//	    From a call's header to its answer, the reading of the body included; decided calls only.
//	authentications_total{credential,result}
//	    credential: if accepted, its file's name, or oauth: and the client's id; else "". result: accepted, missing,
//	    repeated, unknown, both, disabled, or an oauth.Cause.
//	credentials
//	    Accepted values.
//	credential_faults
//	    Files in the credentials' directory that cannot be used, at the last reading.
//	oauth_keys
//	    Keys of the issuer's that verify tokens now. Absent without OAuth, as are the next two.
//	oauth_keys_age_seconds
//	    Since the keys were last fetched; absent until then.
//	oauth_key_fetches_total{result}
//	    Fetches of the keys. result: fetched, failed.
//	http_requests_total{code}
//	    Requests on the hook's port, by status.
//	calls_in_flight
//	    Calls being decided.
//	connections_evicted_total
//	    Connections closed to make room for new ones, or because there was none.
//	calls_shed_total
//	    Calls answered 503 because too many were in flight.
//	panics_total
//	    Calls answered 500 because of a fault in the program.
//	contradictory_request_types_total
//	    Decided calls whose requestType is unknown or contradicts the data.
//	observing
//	    1 if the operator observes, else 0.
//	snapshot{digest}
//	    1, with the digest of the rules in force; absent until there are any.
//	snapshot_policies{mode,enforceable}
//	    Policies in force.
//	policy_decisions_total{policy,outcome}
//	    Calls that this policy decided.
//	policy_audit_outcomes_total{policy,outcome}
//	    Calls whose outcome this policy, in mode Audit, would have changed to this one.
//	policy_last_matched_timestamp_seconds{policy}
//	    When an entry of this policy last matched, in Unix time; 0: never since this process began.
//
// policy is namespace/name. Every policy in force has its series from the beginning, so that dead ones show, and
// loses them when it is deleted. From 200 policies on, the further ones share the value other.
type metrics struct {
	server *Server

	decisions      *prometheus.CounterVec
	durations      prometheus.Histogram
	refusedAuth    *prometheus.CounterVec
	requests       *prometheus.CounterVec
	shed           prometheus.Counter
	evicted        prometheus.Counter
	panics         prometheus.Counter
	contradictions prometheus.Counter

	policies policyCounts
}

const metricPrefix = "registration_policy_"

var (
	authenticationsDesc = prometheus.NewDesc(metricPrefix+"authentications_total",
		"Authentications by credential name and result.", []string{"credential", "result"}, nil)
	credentialsDesc = prometheus.NewDesc(metricPrefix+"credentials", "Accepted credentials.", nil, nil)
	faultsDesc      = prometheus.NewDesc(metricPrefix+"credential_faults",
		"Files in the credentials' directory that cannot be used.", nil, nil)
	inFlightDesc  = prometheus.NewDesc(metricPrefix+"calls_in_flight", "Calls being decided.", nil, nil)
	observingDesc = prometheus.NewDesc(metricPrefix+"observing",
		"1 if every call is answered ALLOW and only recorded, else 0.", nil, nil)
	fencedDesc = prometheus.NewDesc(metricPrefix+"fenced",
		"1 while calls are answered 503 because this replica could not report for too long, else 0.", nil, nil)
	snapshotDesc = prometheus.NewDesc(metricPrefix+"snapshot",
		"1, with the digest of the rules in force.", []string{"digest"}, nil)
	snapshotPoliciesDesc = prometheus.NewDesc(metricPrefix+"snapshot_policies",
		"Policies in force.", []string{"mode", "enforceable"}, nil)
)

// durationBuckets are in seconds: from what a decision takes to what Okta waits.
var durationBuckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 250e-3, 1, 2.5}

// newMetrics makes the counters, with the series that are known beforehand at 0: PromQL's increase does not see what a series
// began with, and so not the first call that fails in a way of its own.
func newMetrics(s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &metrics{
		server: s,
		decisions: counters("decisions_total", "Calls decided, by what the policies said.",
			"outcome", "reason", "request_type"),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricPrefix + "decision_duration_seconds", Buckets: durationBuckets,
			Help: "Time from a call's header to its answer, of decided calls.",
		}),
		// The accepted ones are counted at the credential, so that a removed one leaves no series behind.
		refusedAuth: counters("authentications_total", "Authentications by credential name and result.",
			"credential", "result"),
		requests: counters("http_requests_total", "Requests on the hook's port, by status.", "code"),
		shed:     counter("calls_shed_total", "Calls answered 503 because too many were in flight."),
		evicted: counter("connections_evicted_total",
			"Connections closed to make room for new ones, or because there was none."),
		panics: counter("panics_total", "Calls answered 500 because of a fault in the program."),
		contradictions: counter("contradictory_request_types_total",
			"Decided calls whose requestType is unknown or contradicts the data."),
	}
	for _, reason := range rules.Reasons() {
		for _, shape := range shapesOf(reason) {
			m.decisions.WithLabelValues(outcomeOf(reason).String(), string(reason), shape.String())
		}
	}
	for _, status := range slices.Concat([]int{http.StatusOK, http.StatusNotFound}, slices.Collect(maps.Keys(refusalBodies))) {
		m.requests.WithLabelValues(strconv.Itoa(status))
	}
	for _, result := range []string{authMissing, authRepeated, authUnknown} {
		if !s.options.InsecureNoAuthentication {
			m.refusedAuth.WithLabelValues("", result)
		}
	}
	return m
}

// shapesOf returns the shapes of calls that can be decided for a reason.
func shapesOf(reason rules.Reason) []rules.Shape {
	switch reason {
	case rules.ReasonUnrecognisedCall:
		return []rules.Shape{rules.UnrecognisedShape}
	case rules.ReasonNoAddressChanged:
		return []rules.Shape{rules.ProfileUpdate}
	default:
		return []rules.Shape{rules.SignUp, rules.ProfileUpdate, rules.Both}
	}
}

// outcomeOf returns the outcome that a reason stands for: only those that deny have a code.
func outcomeOf(reason rules.Reason) rules.Outcome {
	if reason.Code() == "" {
		return rules.Allow
	}
	return rules.Deny
}

func (m *metrics) register(registerer prometheus.Registerer) error { return registerer.Register(m) }

// Describe implements prometheus.Collector.
func (m *metrics) Describe(descs chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{
		authenticationsDesc, credentialsDesc, faultsDesc, inFlightDesc, observingDesc, fencedDesc, snapshotDesc, snapshotPoliciesDesc,
		policyDecisionsDesc, policyAuditsDesc, policyMatchedDesc, oauthKeysDesc, oauthKeysAgeDesc, oauthFetchesDesc,
	} {
		descs <- desc
	}
	for _, collector := range m.collectors() {
		collector.Describe(descs)
	}
}

// collectors are the metrics whose series never go away.
func (m *metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.decisions, m.durations, m.requests, m.shed, m.evicted, m.panics, m.contradictions}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, collector := range m.collectors() {
		collector.Collect(out)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	m.refusedAuth.Collect(out)
	if credentials := m.server.options.Credentials; credentials != nil {
		accepted := credentials.list()
		for _, c := range accepted {
			out <- prometheus.MustNewConstMetric(authenticationsDesc, prometheus.CounterValue,
				float64(c.used.Load()), c.name, authAccepted)
		}
		gauge(credentialsDesc, float64(len(accepted)))
		gauge(faultsDesc, float64(credentials.faults.Load()))
	}
	if verifier := m.server.options.OAuth; verifier != nil {
		collectOAuth(verifier.State(), out)
	}
	gauge(inFlightDesc, float64(len(m.server.inFlight)))
	flag := func(desc *prometheus.Desc, set bool) {
		value := 0.0
		if set {
			value = 1
		}
		gauge(desc, value)
	}
	flag(observingDesc, m.server.options.Observe)
	flag(fencedDesc, m.server.options.Fenced != nil && m.server.options.Fenced())

	snapshot := m.server.snapshot()
	if snapshot == nil {
		return
	}
	gauge(snapshotDesc, 1, snapshot.Digest())
	type kind struct {
		mode        rules.Mode
		enforceable bool
	}
	kinds := map[kind]int{
		{rules.Enforce, true}: 0, {rules.Enforce, false}: 0,
		{rules.Audit, true}: 0, {rules.Audit, false}: 0,
	}
	for _, policy := range snapshot.Policies() {
		kinds[kind{policy.Mode, policy.Enforceable}]++
	}
	for k, n := range kinds {
		gauge(snapshotPoliciesDesc, float64(n), string(k.mode), strconv.FormatBool(k.enforceable))
	}
	m.policies.collect(snapshot, out)
}

func (m *metrics) request(status int) { m.requests.WithLabelValues(strconv.Itoa(status)).Inc() }

func (m *metrics) authentication(credential, result string) {
	if result != authAccepted {
		m.refusedAuth.WithLabelValues(credential, result).Inc()
	}
}

func (m *metrics) decided(c *decidedCall, contradictory bool, duration time.Duration) {
	d := c.decision
	m.decisions.WithLabelValues(d.Outcome.String(), string(d.Reason), c.shape.String()).Inc()
	m.durations.Observe(duration.Seconds())
	if contradictory {
		m.contradictions.Inc()
	}
	if snapshot := m.server.snapshot(); snapshot != nil {
		m.policies.decided(snapshot, d, time.Now())
	}
}
