package monitoring

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// promtool runs promtool by go run, which keeps it in the build cache. A build tag leaves out the service discovery of
// cloud providers, so that it builds much faster. go tool has no build tags.
func promtool(t *testing.T, args ...string) string {
	t.Helper()
	program := []string{"run", "-tags=remove_all_sd", "github.com/prometheus/prometheus/cmd/promtool"}
	return command(t, "go", append(program, args...)...)
}

// ruleFile writes the alerts of a release as a rule file for Prometheus.
func ruleFile(t *testing.T, dir, series string, annotated bool) string {
	t.Helper()
	groups := ruleGroups(t, strings.ReplaceAll(read(t, rulesFile), ownSeries, series))
	for _, group := range groups {
		for i := range group.Rules {
			if !annotated {
				group.Rules[i].Annotations = nil
			}
		}
	}
	text, err := yaml.Marshal(map[string]any{"groups": groups})
	if err != nil {
		t.Fatal(err)
	}
	return write(t, dir, "rules.yaml", string(text))
}

func TestPromtoolAcceptsTheAlerts(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "rules", "--lint=all", "--lint-fatal", ruleFile(t, t.TempDir(), ownSeries, true))
}

// unitTests has the parts of a file of promtool's unit tests that are checked here.
type unitTests struct {
	Tests []struct {
		Name           string `json:"name"`
		AlertRuleTests []struct {
			Alertname string           `json:"alertname"`
			ExpAlerts []map[string]any `json:"exp_alerts"`
		} `json:"alert_rule_test"`
	} `json:"tests"`
}

func TestEveryAlertFiresWhenItShouldAndOnlyThen(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ruleFile(t, dir, `namespace="okta",job="hook"`, false)
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	fires, silent := map[string]int{}, map[string]int{}
	args := []string{"test", "rules"}
	for _, file := range files {
		text := read(t, "test/monitoring/"+file)
		args = append(args, write(t, dir, filepath.Base(file), text))
		var tests unitTests
		if err := yaml.Unmarshal([]byte(text), &tests); err != nil {
			t.Fatal(err)
		}
		for _, test := range tests.Tests {
			for _, expected := range test.AlertRuleTests {
				if !strings.HasPrefix(alertPrefix+test.Name, expected.Alertname+":") {
					t.Errorf("%s: %q is about %s", file, test.Name, expected.Alertname)
				}
				if len(expected.ExpAlerts) > 0 {
					fires[expected.Alertname]++
				} else {
					silent[expected.Alertname]++
				}
			}
		}
	}
	promtool(t, args...)

	var names []string
	for _, alert := range alerts(t) {
		names = append(names, alert.Alert)
		if fires[alert.Alert] == 0 || silent[alert.Alert] == 0 {
			t.Errorf("%s: %d tests in which it fires, %d in which it does not", alert.Alert, fires[alert.Alert], silent[alert.Alert])
		}
	}
	for name := range silent {
		if !slices.Contains(names, name) {
			t.Errorf("no alert %s: its tests prove nothing", name)
		}
	}
}
