package install

import (
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// watched are the settings that enable all of the chart's monitoring.
var watched = settings{"metrics.serviceMonitor.enabled": true, "metrics.prometheusRule.enabled": true, "metrics.dashboard.enabled": true}

// rulesOf returns the alerts of a PrometheusRule.
func rulesOf(t *testing.T, object *unstructured.Unstructured) []map[string]any {
	t.Helper()
	var all []map[string]any
	for _, rule := range below([]any{object.Object}, "spec", "groups", "rules") {
		all = append(all, rule.(map[string]any))
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rules", where(object))
	}
	return all
}

// Series of a ServiceMonitor have the name of the Service as their label job.
func TestTheAlertsOfAReleaseAreAboutTheSeriesOfItsOwnService(t *testing.T) {
	objects := mustRender(t, "try", "okta", needed().with(watched).with(settings{"fullnameOverride": "hook"}))
	service := find(t, objects, "Service", "hook-metrics")
	want := `{namespace="` + service.GetNamespace() + `",job="` + service.GetName() + `"`
	for _, rule := range rulesOf(t, find(t, objects, "PrometheusRule", "hook")) {
		expression := rule["expr"].(string)
		if strings.Count(expression, "{") != strings.Count(expression, want) || !strings.Contains(expression, want) {
			t.Errorf("%s: %s selects something else than %s", rule["alert"], expression, want)
		}
	}
	ports := below([]any{service.Object}, "spec", "ports", "name")
	for _, port := range below([]any{find(t, objects, "ServiceMonitor", "hook").Object}, "spec", "endpoints", "port") {
		if !slices.Contains(ports, port) {
			t.Errorf("the ServiceMonitor reads the port %v, the Service has %v", port, ports)
		}
		if slices.Contains(below([]any{find(t, objects, "Service", "hook").Object}, "spec", "ports", "name"), port) {
			t.Errorf("the hook's Service has a port %v too: everything would be read twice", port)
		}
	}
}

func TestAlertsAreForWhatTheValuesSay(t *testing.T) {
	objects := mustRender(t, "try", "okta", needed().with(watched).with(settings{
		"fullnameOverride": "hook", "metrics.prometheusRule.matchers": `app="registrations"`,
		"metrics.prometheusRule.runbookURL": "https://wiki.acme.com/runbook",
		"metrics.prometheusRule.without":    []any{"RegistrationPolicyNoLeader"},
	}))
	for _, rule := range rulesOf(t, find(t, objects, "PrometheusRule", "hook")) {
		name := rule["alert"].(string)
		if name == "RegistrationPolicyNoLeader" {
			t.Error("an alert that is to be left out is there")
		}
		if expression := rule["expr"].(string); !strings.Contains(expression, `{app="registrations"`) || strings.Contains(expression, "namespace=") {
			t.Errorf("%s: %s", name, expression)
		}
		url := rule["annotations"].(map[string]any)["runbook_url"]
		if want := "https://wiki.acme.com/runbook#" + strings.ToLower(name); url != want {
			t.Errorf("%s leads to %v, want %s", name, url, want)
		}
	}
}
