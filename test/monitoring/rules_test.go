package monitoring

import (
	"context"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/template"
	"sigs.k8s.io/yaml"
)

const (
	rulesFile = "config/monitoring/prometheus_rule.yaml"
	// ownSeries is the label selector in the rules for the series of config/default. The chart replaces it by that of
	// the release.
	ownSeries = `namespace="` + releaseNamespace + `",job="` + releaseJob + `"`
	// The labels of the series of what config/default installs.
	releaseNamespace = "registration-policy"
	releaseJob       = "registration-policy-operator-metrics"

	alertPrefix = "RegistrationPolicy"
)

// rule is an alert in a rule file of Prometheus.
type rule struct {
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for,omitempty"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
}

type ruleGroup struct {
	Name  string `json:"name"`
	Rules []rule `json:"rules"`
}

// ruleGroups returns the groups of a PrometheusRule.
func ruleGroups(t *testing.T, text string) []ruleGroup {
	t.Helper()
	var object struct {
		APIVersion string         `json:"apiVersion"`
		Kind       string         `json:"kind"`
		Metadata   map[string]any `json:"metadata"`
		Spec       struct {
			Groups []ruleGroup `json:"groups"`
		} `json:"spec"`
	}
	if err := yaml.UnmarshalStrict([]byte(text), &object); err != nil {
		t.Fatal(err)
	}
	return object.Spec.Groups
}

// alerts returns all alerts.
func alerts(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, group := range ruleGroups(t, read(t, rulesFile)) {
		all = append(all, group.Rules...)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no alerts", rulesFile)
	}
	return all
}

func TestEveryAlertSaysWhatIsWrongHowBadItIsAndWhereToReadOn(t *testing.T) {
	seen := map[string]bool{}
	for _, alert := range alerts(t) {
		if !strings.HasPrefix(alert.Alert, alertPrefix) || seen[alert.Alert] {
			t.Errorf("%s: twice, or no name of ours", alert.Alert)
		}
		seen[alert.Alert] = true
		if severity := alert.Labels["severity"]; len(alert.Labels) != 1 || !slices.Contains([]string{"critical", "warning"}, severity) {
			t.Errorf("%s: labels %v", alert.Alert, alert.Labels)
		}
		if alert.For == "" {
			t.Errorf("%s: one bad reading is enough for it", alert.Alert)
		}
		for _, name := range []string{"summary", "description", "runbook_url"} {
			if alert.Annotations[name] == "" {
				t.Errorf("%s: no %s", alert.Alert, name)
			}
		}
		for name, text := range alert.Annotations {
			if expanded := expand(t, alert.Alert, text); strings.Contains(expanded, "{{") || strings.Contains(expanded, "<no value>") {
				t.Errorf("%s: %s becomes %q", alert.Alert, name, expanded)
			} else if name == "description" && !strings.Contains(expanded, "okta/hook") {
				t.Errorf("%s: the description %q does not say where", alert.Alert, expanded)
			}
		}
	}
}

// expand returns an annotation after Prometheus has executed its template.
func expand(t *testing.T, name, text string) string {
	t.Helper()
	variables := "{{$labels := .Labels}}{{$value := .Value}}"
	labels := map[string]string{"namespace": "okta", "job": "hook", "watched_namespace": "team-a"}
	there := template.AlertTemplateData(labels, nil, "http://prometheus.example", promql.Sample{F: 3.7})
	expander := template.NewTemplateExpander(t.Context(), variables+text, name, there, model.TimeFromUnix(time.Now().Unix()),
		func(context.Context, string, time.Time) (promql.Vector, error) { return nil, nil }, &url.URL{}, []string{"missingkey=error"})
	expanded, err := expander.Expand()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return expanded
}

// A cluster may have several releases. An alert that selects series of another release would fire twice, or for the
// wrong release.
func TestEveryAlertIsAboutTheSeriesOfOneReleaseAndSaysOfWhich(t *testing.T) {
	for _, alert := range alerts(t) {
		expression := parsed(t, alert.Alert, alert.Expr)
		parser.Inspect(expression, func(node parser.Node, _ []parser.Node) error {
			switch node := node.(type) {
			case *parser.VectorSelector:
				if !strings.Contains(node.String(), `job="`+releaseJob+`"`) || !strings.Contains(node.String(), `namespace="`+releaseNamespace+`"`) {
					t.Errorf("%s: %s selects other releases too", alert.Alert, node)
				}
			case *parser.AggregateExpr:
				if node.Without || !slices.Contains(node.Grouping, "namespace") || !slices.Contains(node.Grouping, "job") {
					t.Errorf("%s: %s forgets namespace or job", alert.Alert, node)
				}
			}
			return nil
		})
		if rest := strings.ReplaceAll(alert.Expr, ownSeries, ""); regexp.MustCompile(`namespace=|job=`).MatchString(rest) {
			t.Errorf("%s: the chart would not find the matchers in %s: write %s", alert.Alert, rest, ownSeries)
		}
	}
}

func parsed(t *testing.T, where, expression string) parser.Expr {
	t.Helper()
	found, err := parser.NewParser(parser.Options{}).ParseExpr(expression)
	if err != nil {
		t.Fatalf("%s: %v\n%s", where, err, expression)
	}
	return found
}
