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

// metrics is the collector of the server's metrics. All names begin with registration_policy_:
//
//	decisions_total{outcome,reason,request_type}
//	    Decided calls, by the outcome of the policies. While observing is 1, the answer was ALLOW regardless.
//	    outcome: ALLOW, DENY; reason: rules.Reasons; request_type: SelfServiceRegistration, ProgressiveProfile, Both,
//	    Unrecognised.
//	decision_duration_seconds
//	    From a call's header to its answer, including the time to read the body; decided calls only.
//	authentications_total{credential,result}
//	    credential: if accepted, its file's name, or oauth: and the client's id; else "". result: accepted, missing,
//	    repeated, unknown, both (a token in Authorization, and a value in Options.AuthHeader), disabled (by
//	    Options.InsecureNoAuthentication), or an oauth.Cause.
//	credentials
//	    Stored credentials that are accepted now. OAuth tokens do not count.
//	credential_faults
//	    Unusable files in the credentials' directory, at the last reading.
//	oauth_keys
//	    Keys of the issuer that verify tokens now. Absent without OAuth, as are the next two.
//	oauth_keys_age_seconds
//	    Time since the keys were last fetched; absent until then.
//	oauth_key_fetches_total{result}
//	    Fetches of the keys. result: fetched, failed.
//	http_requests_total{code}
//	    Requests on the hook's port, by status, without answered health checks.
//	calls_in_flight
//	    Calls being decided.
//	connections_evicted_total
//	    Connections closed at maxConnections: the oldest unauthenticated one to make room for a new one, or the new one
//	    if all others are authenticated.
//	calls_shed_total
//	    Calls answered 503 because too many were in flight.
//	panics_total
//	    Calls answered 500 because of a panic.
//	contradictory_request_types_total
//	    Decided calls whose requestType is unknown or contradicts the data.
//	observing
//	    1 with Options.Observe, else 0.
//	fenced
//	    1 while Options.Fenced makes the server answer 503, else 0.
//	snapshot{digest}
//	    1, with the digest of the rules in force; absent until there are any.
//	snapshot_policies{mode,enforceable}
//	    Policies in force.
//	policy_decisions_total{policy,outcome}
//	    Calls that this policy decided.
//	policy_audit_outcomes_total{policy,outcome}
//	    Calls whose outcome this policy, in mode Audit, would have changed to the outcome of the label.
//	policy_last_matched_timestamp_seconds{policy}
//	    Unix time at which an entry of this policy last matched; 0: never since the process started.
//
// policy is namespace/name. Every policy in force has its series from the start, so that unused policies are visible,
// and loses them when it is deleted. Beyond 200 policies, the others share the value other.
type metrics struct {
	server *Server

	decisions             *prometheus.CounterVec
	durations             prometheus.Histogram
	failedAuthentications *prometheus.CounterVec
	requests              *prometheus.CounterVec
	shed                  prometheus.Counter
	evicted               prometheus.Counter
	panics                prometheus.Counter
	contradictions        prometheus.Counter

	// Series of decisions and requests that are known in advance. Finding one by its labels takes several times as long.
	decisionsByKind  map[decisionKind]prometheus.Counter
	requestsByStatus map[int]prometheus.Counter

	policies policyCounts
}

// decisionKind determines the labels of a decision. Its outcome follows from the reason.
type decisionKind struct {
	reason rules.Reason
	shape  rules.Shape
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

// durationBuckets range from the usual duration of a decision to the 3 s that Okta waits, in seconds.
var durationBuckets = []float64{50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 50e-3, 250e-3, 1, 2.5}

// newMetrics returns the metrics, with all series that are known in advance at 0. PromQL's increase ignores the first
// value of a series; without this it would miss the first call of each kind.
func newMetrics(s *Server) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: metricPrefix + name, Help: help})
	}
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: metricPrefix + name, Help: help}, labels)
	}
	m := &metrics{
		server: s,
		decisions: counters("decisions_total", "Decided calls, by the outcome of the policies.",
			"outcome", "reason", "request_type"),
		durations: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: metricPrefix + "decision_duration_seconds", Buckets: durationBuckets,
			Help: "Time from a call's header to its answer, of decided calls.",
		}),
		// All results except accepted: credentials.Files and oauth.Verifier count the accepted calls, so that the series of a
		// credential ends when it is removed.
		failedAuthentications: counters("authentications_total", "Authentications by credential name and result.",
			"credential", "result"),
		requests: counters("http_requests_total", "Requests on the hook's port, by status.", "code"),
		shed:     counter("calls_shed_total", "Calls answered 503 because too many were in flight."),
		evicted: counter("connections_evicted_total",
			"Connections closed at the limit: to make room for a new one, or the new one itself."),
		panics: counter("panics_total", "Calls answered 500 because of a panic."),
		contradictions: counter("contradictory_request_types_total",
			"Decided calls whose requestType is unknown or contradicts the data."),
		decisionsByKind:  map[decisionKind]prometheus.Counter{},
		requestsByStatus: map[int]prometheus.Counter{},
	}
	for _, reason := range rules.Reasons() {
		for _, shape := range shapesOf(reason) {
			m.decisionsByKind[decisionKind{reason, shape}] = m.decisions.WithLabelValues(
				outcomeOf(reason).String(), string(reason), shape.String())
		}
	}
	for _, status := range slices.Concat([]int{http.StatusOK, http.StatusNotFound}, slices.Collect(maps.Keys(refusalBodies))) {
		m.requestsByStatus[status] = m.requests.WithLabelValues(strconv.Itoa(status))
	}
	for _, result := range []string{authMissing, authRepeated, authUnknown} {
		if !s.options.InsecureNoAuthentication {
			m.failedAuthentications.WithLabelValues("", result)
		}
	}
	return m
}

// shapesOf returns the shapes of calls for which a decision can have this reason. Each pair of a reason
// and a shape is a series of the decisions metric.
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

// outcomeOf returns the outcome of a reason: DENY if Reason.Code is not "", which is the case only for denials.
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

// collectors returns the metrics whose series are never removed.
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
	m.failedAuthentications.Collect(out)
	if credentials := m.server.options.Credentials; credentials != nil {
		state := credentials.State()
		for i, name := range state.Names {
			out <- prometheus.MustNewConstMetric(authenticationsDesc, prometheus.CounterValue, float64(state.Uses[i]), name, authAccepted)
		}
		gauge(credentialsDesc, float64(len(state.Names)))
		gauge(faultsDesc, float64(state.Faults))
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

func (m *metrics) request(status int) {
	if counter, found := m.requestsByStatus[status]; found {
		counter.Inc()
		return
	}
	m.requests.WithLabelValues(strconv.Itoa(status)).Inc()
}

func (m *metrics) authentication(credential, result string) {
	if result != authAccepted {
		m.failedAuthentications.WithLabelValues(credential, result).Inc()
	}
}

func (m *metrics) decided(c *decidedCall, contradictory bool, duration time.Duration, now time.Time) {
	d := &c.decision
	if counter, found := m.decisionsByKind[decisionKind{d.Reason, c.shape}]; found {
		counter.Inc()
	} else {
		m.decisions.WithLabelValues(d.Outcome.String(), string(d.Reason), c.shape.String()).Inc()
	}
	m.durations.Observe(duration.Seconds())
	if contradictory {
		m.contradictions.Inc()
	}
	if snapshot := m.server.snapshot(); snapshot != nil {
		m.policies.decided(snapshot, d, now)
	}
}
