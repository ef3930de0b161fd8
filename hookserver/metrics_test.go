package hookserver

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"registrationpolicy.dev/operator/rules"
)

func named(name string, mode rules.Mode, allow ...string) rules.Policy {
	policy := allowing(allow...)
	policy.Name, policy.Mode = name, mode
	return policy
}

func TestMetricsAsText(t *testing.T) {
	server := run(t)
	denying := named("denying", rules.Enforce, "example.net")
	denying.Deny.Domains = []string{"bad.example"}
	server.publish(denying, named("allowing", rules.Enforce, "example.com"), named("trial", rules.Audit, "trial.example"),
		named("dead", rules.Enforce, "dead.example"), named("broken", "Sometimes", "x.example"))
	server.publish(denying, named("allowing", rules.Enforce, "example.com"), named("trial", rules.Audit, "trial.example"),
		named("dead", rules.Enforce, "dead.example"))

	server.post(signUp("jo@example.com", "jo"))
	server.post(signUp("jo@example.com", "jo"))
	server.post(signUp("jo@bad.example", "jo"))
	server.post(signUp("jo@trial.example", "jo"))
	server.post(signUp("jo", "jo"))
	server.post(call("userProfileUpdate", map[string]any{}))
	server.post(`{"requestType":"new.type"}`)
	server.post("{")
	server.post("", func(r *http.Request) { r.Method = http.MethodGet })
	server.post("", func(r *http.Request) { r.Header.Del("Authorization") })

	snapshot, err := server.store.Load()
	if err != nil {
		t.Fatal(err)
	}
	want := `
# HELP registration_policy_authentications_total Authentications by credential name and result.
# TYPE registration_policy_authentications_total counter
registration_policy_authentications_total{credential="",result="missing"} 1
registration_policy_authentications_total{credential="",result="repeated"} 0
registration_policy_authentications_total{credential="",result="unknown"} 0
registration_policy_authentications_total{credential="current",result="accepted"} 8
# HELP registration_policy_calls_in_flight Calls being decided.
# TYPE registration_policy_calls_in_flight gauge
registration_policy_calls_in_flight 0
# HELP registration_policy_calls_shed_total Calls answered 503 because too many were in flight.
# TYPE registration_policy_calls_shed_total counter
registration_policy_calls_shed_total 0
# HELP registration_policy_connections_evicted_total Connections closed at the limit: to make room for a new one, or the new one itself.
# TYPE registration_policy_connections_evicted_total counter
registration_policy_connections_evicted_total 0
# HELP registration_policy_contradictory_request_types_total Decided calls whose requestType is unknown or contradicts the data.
# TYPE registration_policy_contradictory_request_types_total counter
registration_policy_contradictory_request_types_total 1
# HELP registration_policy_credential_faults Files in the credentials' directory that cannot be used.
# TYPE registration_policy_credential_faults gauge
registration_policy_credential_faults 0
# HELP registration_policy_credentials Accepted credentials.
# TYPE registration_policy_credentials gauge
registration_policy_credentials 1
# HELP registration_policy_decisions_total Decided calls, by the outcome of the policies.
# TYPE registration_policy_decisions_total counter
registration_policy_decisions_total{outcome="ALLOW",reason="Allowed",request_type="Both"} 0
registration_policy_decisions_total{outcome="ALLOW",reason="Allowed",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="ALLOW",reason="Allowed",request_type="SelfServiceRegistration"} 2
registration_policy_decisions_total{outcome="ALLOW",reason="NoAddressChanged",request_type="ProgressiveProfile"} 1
registration_policy_decisions_total{outcome="DENY",reason="Denied",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="Denied",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="Denied",request_type="SelfServiceRegistration"} 1
registration_policy_decisions_total{outcome="DENY",reason="InvalidAddress",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="InvalidAddress",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="InvalidAddress",request_type="SelfServiceRegistration"} 1
registration_policy_decisions_total{outcome="DENY",reason="MissingAddress",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="MissingAddress",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="MissingAddress",request_type="SelfServiceRegistration"} 0
registration_policy_decisions_total{outcome="DENY",reason="NoPolicyApplies",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="NoPolicyApplies",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="NoPolicyApplies",request_type="SelfServiceRegistration"} 0
registration_policy_decisions_total{outcome="DENY",reason="NotAllowed",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="NotAllowed",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="NotAllowed",request_type="SelfServiceRegistration"} 1
registration_policy_decisions_total{outcome="DENY",reason="PolicyNotEnforceable",request_type="Both"} 0
registration_policy_decisions_total{outcome="DENY",reason="PolicyNotEnforceable",request_type="ProgressiveProfile"} 0
registration_policy_decisions_total{outcome="DENY",reason="PolicyNotEnforceable",request_type="SelfServiceRegistration"} 0
registration_policy_decisions_total{outcome="DENY",reason="UnrecognisedCall",request_type="Unrecognised"} 1
# HELP registration_policy_http_requests_total Requests on the hook's port, by status.
# TYPE registration_policy_http_requests_total counter
registration_policy_http_requests_total{code="200"} 7
registration_policy_http_requests_total{code="400"} 1
registration_policy_http_requests_total{code="401"} 1
registration_policy_http_requests_total{code="404"} 0
registration_policy_http_requests_total{code="405"} 1
registration_policy_http_requests_total{code="413"} 0
registration_policy_http_requests_total{code="415"} 0
registration_policy_http_requests_total{code="500"} 0
registration_policy_http_requests_total{code="503"} 0
# HELP registration_policy_observing 1 if every call is answered ALLOW and only recorded, else 0.
# TYPE registration_policy_observing gauge
registration_policy_observing 0
# HELP registration_policy_panics_total Calls answered 500 because of a panic.
# TYPE registration_policy_panics_total counter
registration_policy_panics_total 0
# HELP registration_policy_policy_audit_outcomes_total Calls whose outcome a policy in mode Audit would have changed to this one.
# TYPE registration_policy_policy_audit_outcomes_total counter
registration_policy_policy_audit_outcomes_total{outcome="ALLOW",policy="okta/allowing"} 0
registration_policy_policy_audit_outcomes_total{outcome="ALLOW",policy="okta/dead"} 0
registration_policy_policy_audit_outcomes_total{outcome="ALLOW",policy="okta/denying"} 0
registration_policy_policy_audit_outcomes_total{outcome="ALLOW",policy="okta/trial"} 1
registration_policy_policy_audit_outcomes_total{outcome="ALLOW",policy="other"} 0
registration_policy_policy_audit_outcomes_total{outcome="DENY",policy="okta/allowing"} 0
registration_policy_policy_audit_outcomes_total{outcome="DENY",policy="okta/dead"} 0
registration_policy_policy_audit_outcomes_total{outcome="DENY",policy="okta/denying"} 0
registration_policy_policy_audit_outcomes_total{outcome="DENY",policy="okta/trial"} 0
registration_policy_policy_audit_outcomes_total{outcome="DENY",policy="other"} 0
# HELP registration_policy_policy_decisions_total Calls that a policy decided.
# TYPE registration_policy_policy_decisions_total counter
registration_policy_policy_decisions_total{outcome="ALLOW",policy="okta/allowing"} 2
registration_policy_policy_decisions_total{outcome="ALLOW",policy="okta/dead"} 0
registration_policy_policy_decisions_total{outcome="ALLOW",policy="okta/denying"} 0
registration_policy_policy_decisions_total{outcome="ALLOW",policy="okta/trial"} 0
registration_policy_policy_decisions_total{outcome="ALLOW",policy="other"} 0
registration_policy_policy_decisions_total{outcome="DENY",policy="okta/allowing"} 0
registration_policy_policy_decisions_total{outcome="DENY",policy="okta/dead"} 0
registration_policy_policy_decisions_total{outcome="DENY",policy="okta/denying"} 1
registration_policy_policy_decisions_total{outcome="DENY",policy="okta/trial"} 0
registration_policy_policy_decisions_total{outcome="DENY",policy="other"} 0
# HELP registration_policy_snapshot 1, with the digest of the rules in force.
# TYPE registration_policy_snapshot gauge
registration_policy_snapshot{digest="` + snapshot.Digest() + `"} 1
# HELP registration_policy_snapshot_policies Policies in force.
# TYPE registration_policy_snapshot_policies gauge
registration_policy_snapshot_policies{enforceable="false",mode="Audit"} 0
registration_policy_snapshot_policies{enforceable="false",mode="Enforce"} 0
registration_policy_snapshot_policies{enforceable="true",mode="Audit"} 1
registration_policy_snapshot_policies{enforceable="true",mode="Enforce"} 3
`
	var names []string
	for line := range strings.Lines(want) {
		if name, found := strings.CutPrefix(line, "# TYPE "); found {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	if err := testutil.GatherAndCompare(server.registry, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
	server.hasMetric("decision_duration_seconds_count 7")
	server.hasMetric(`policy_last_matched_timestamp_seconds{policy="okta/dead"} 0`)
	for _, matched := range []string{"allowing", "denying", "trial"} {
		if strings.Contains(server.metrics(), `policy_last_matched_timestamp_seconds{policy="okta/`+matched+`"} 0`) {
			t.Errorf("%s matched and does not say so", matched)
		}
	}
	problems, err := testutil.GatherAndLint(server.registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
}

func TestObservingShows(t *testing.T) {
	server := run(t, func(o *Options) { o.Observe = true })
	if outcome, _ := server.post(signUp("jo@elsewhere.example", "jo")).read(t); outcome != "ALLOW" {
		t.Error(outcome)
	}
	server.hasMetric("observing 1")
	server.hasMetric(`decisions_total{outcome="DENY",reason="NotAllowed",request_type="SelfServiceRegistration"} 1`)
	line := server.log.with(t, "Decided")[0]
	if line["outcome"] != "DENY" || line["observed"] != true || line["domain"] != "elsewhere.example" {
		t.Errorf("%v", line)
	}
}

func TestPoliciesBeyondTheBoundShareTheirSeries(t *testing.T) {
	server := run(t)
	policies := make([]rules.Policy, maxPolicySeries+2)
	for i := range policies {
		policies[i] = named(fmt.Sprintf("p%03d", i), rules.Enforce, fmt.Sprintf("p%03d.example", i))
	}
	server.publish(policies...)
	server.post(signUp("jo@p201.example", "jo"))
	server.hasMetric(`policy_decisions_total{outcome="ALLOW",policy="other"} 1`)
	if got := strings.Count(server.metrics(), "policy_last_matched_timestamp_seconds{"); got != maxPolicySeries+1 {
		t.Errorf("%d series", got)
	}

	server.post(signUp("jo@p150.example", "jo"))
	server.publish(policies[100:]...)
	text := server.metrics()
	if strings.Contains(text, `"okta/p099"`) {
		t.Error("a policy that left still has its series")
	}
	if !strings.Contains(text, `"okta/p201"`) {
		t.Error("a policy has no series although there is room")
	}
	server.hasMetric(`policy_decisions_total{outcome="ALLOW",policy="okta/p150"} 1`) // it stayed, and its counts with it
}

func TestACallDecidedByAPolicyThatHasLeft(t *testing.T) {
	var counts policyCounts
	old, err := storeOf(allowing("example.com")).Load()
	if err != nil {
		t.Fatal(err)
	}
	now, err := storeOf().Load()
	if err != nil {
		t.Fatal(err)
	}
	d := old.Decide(rules.Call{Shape: rules.SignUp, Profile: []rules.Attribute{{Name: "email", Kind: rules.Text, Text: "jo@example.com"}}})
	counts.decided(now, &d, time.Unix(1, 0))
	if got := counts.tableFor(now).other.decisions[rules.Allow].Load(); got != 1 {
		t.Errorf("%d counted among the others", got)
	}
}
