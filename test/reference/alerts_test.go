package reference

import (
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestTheRunbookListsEveryAlertWithItsSeverity(t *testing.T) {
	var object struct {
		Spec struct {
			Groups []struct {
				Rules []struct {
					Alert  string
					Labels struct{ Severity string }
				}
			}
		}
	}
	if err := yaml.Unmarshal([]byte(read(t, "../../config/monitoring/prometheus_rule.yaml")), &object); err != nil {
		t.Fatal(err)
	}
	const prefix = "RegistrationPolicy"
	var want []string
	for _, group := range object.Spec.Groups {
		for _, rule := range group.Rules {
			if name, found := strings.CutPrefix(rule.Alert, prefix); found {
				want = append(want, "["+name+"](#"+strings.ToLower(rule.Alert)+") | "+rule.Labels.Severity)
			} else if rule.Alert != "" {
				t.Errorf("%s does not begin with %s", rule.Alert, prefix)
			}
		}
	}
	holds(t, "../../docs/platform/runbook.md", "The alerts", want, 2)
}
