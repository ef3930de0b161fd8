package monitoring

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"

	"registrationpolicy.dev/operator/test/reference"
)

// query is a query of an alert, of the dashboard or of the runbook.
type query struct {
	where      string
	expression string
	// legend is Grafana's legend, which may name labels of the result.
	legend  string
	instant bool
	// shows says that the result for the release of the test must not be empty.
	shows bool
}

func TestEveryQueryIsAnsweredByTheMetricsOfRunningReplicas(t *testing.T) {
	p := newPrometheus(t)
	p.watch(t, startRelease(t))
	calls := float64(len(ages()) * 2) // of each kind: one before each scrape of each of two replicas
	p.wantCounted(t, `sum(registration_policy_decisions_total{outcome="ALLOW"})`, 3*calls)
	p.wantCounted(t, `sum(registration_policy_decisions_total{reason="PolicyNotEnforceable"})`, calls)
	p.wantCounted(t, `sum(registration_policy_authentications_total{result!="accepted"})`, 3*calls)

	all := readDashboard(t).queries(t)
	for _, alert := range alerts(t) {
		all = append(all, query{where: alert.Alert, expression: alert.Expr, instant: true})
	}
	all = append(all, readRunbook(t).queries...)
	values := documentedValues(t)
	for _, q := range all {
		p.wantNames(t, q, values)
		answer := p.ask(t, q.where, q.expression, q.instant)
		t.Logf("%s\n    %s\n%s", q.where, q.expression, shown(answer))
		if q.shows && len(answer) == 0 {
			t.Errorf("%s: nothing to show\n%s", q.where, q.expression)
		}
		for _, label := range legendLabel.FindAllStringSubmatch(q.legend, -1) {
			for _, series := range answer {
				if !series.labels.Has(label[1]) {
					t.Errorf("%s: the legend names %s, and the answer has %s", q.where, label[1], series.labels)
				}
			}
		}
	}
}

// shown returns the result of a query as a table.
func shown(answer []answered) string {
	var text strings.Builder
	for _, series := range answer {
		fmt.Fprintf(&text, "      %12.5g  %s\n", series.value, series.labels)
	}
	if len(answer) == 0 {
		return "      (nothing)\n"
	}
	return text.String()
}

// wantNames reports an error for every metric, label or value of a label in a query that does not exist. The result of
// such a query would always be empty, and an alert with it would never fire.
func (p *prometheus) wantNames(t *testing.T, q query, values map[string][]string) {
	t.Helper()
	var metrics []string
	parser.Inspect(parsed(t, q.where, q.expression), func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			metrics = append(metrics, selector.Name)
			p.wantSelected(t, q, selector, values)
		}
		return nil
	})
	parser.Inspect(parsed(t, q.where, q.expression), func(node parser.Node, _ []parser.Node) error {
		switch node := node.(type) {
		case *parser.AggregateExpr:
			p.wantLabels(t, q, metricsIn(node.Expr), node.Grouping)
		case *parser.BinaryExpr:
			if matching := node.VectorMatching; matching != nil {
				p.wantLabels(t, q, metricsIn(node), slices.Concat(matching.MatchingLabels, matching.Include))
			}
		}
		return nil
	})
	if len(metrics) == 0 {
		t.Errorf("%s: names no metric: %s", q.where, q.expression)
	}
}

// alternatives matches a regular expression that only lists values.
var alternatives = regexp.MustCompile(`^[A-Za-z_]+(\|[A-Za-z_]+)*$`)

func (p *prometheus) wantSelected(t *testing.T, q query, selector *parser.VectorSelector, values map[string][]string) {
	t.Helper()
	if !p.has(t, selector.Name) {
		t.Errorf("%s: no replica serves %s", q.where, selector.Name)
		return
	}
	for _, matcher := range selector.LabelMatchers {
		if matcher.Name == labels.MetricName {
			continue
		}
		if !p.hasLabel(t, selector.Name, matcher.Name) {
			t.Errorf("%s: %s has no label %s", q.where, selector.Name, matcher.Name)
		}
		known, documented := values[matcher.Name]
		if !documented {
			continue
		}
		if matcher.Type == labels.MatchRegexp || matcher.Type == labels.MatchNotRegexp {
			if !alternatives.MatchString(matcher.Value) {
				t.Errorf("%s: %s is no list of values", q.where, matcher)
			}
		}
		for value := range strings.SplitSeq(matcher.Value, "|") {
			if !slices.Contains(known, value) {
				t.Errorf("%s: %s is no value of %s; docs/reference/metrics.md has %s", q.where, value, matcher.Name, known)
			}
		}
	}
	if len(p.selected(t, selector.LabelMatchers...)) == 0 {
		t.Errorf("%s: selects nothing: %s", q.where, selector)
	}
}

// metricsIn returns the names of the metrics in a part of a query.
func metricsIn(node parser.Node) []string {
	var names []string
	parser.Inspect(node, func(node parser.Node, _ []parser.Node) error {
		if selector, ok := node.(*parser.VectorSelector); ok {
			names = append(names, selector.Name)
		}
		return nil
	})
	return names
}

// wantLabels reports an error for a label that none of the metrics has.
func (p *prometheus) wantLabels(t *testing.T, q query, metrics, wanted []string) {
	t.Helper()
	for _, label := range wanted {
		if !slices.ContainsFunc(metrics, func(name string) bool { return p.hasLabel(t, name, label) }) {
			t.Errorf("%s: none of %s has a label %s", q.where, metrics, label)
		}
	}
}

// documentedValues returns the possible values of labels from docs/reference/metrics.md. Labels with arbitrary values
// are not in it.
func documentedValues(t *testing.T) map[string][]string {
	t.Helper()
	rows, err := reference.Table(repository+"/docs/reference/metrics.md", "Values of labels")
	if err != nil {
		t.Fatal(err)
	}
	code := regexp.MustCompile("`([^`]+)`")
	values := map[string][]string{}
	for _, row := range rows {
		label := code.FindStringSubmatch(row[0])[1]
		if strings.Contains(row[1], "*") { // any value is possible
			continue
		}
		for _, value := range code.FindAllStringSubmatch(row[1], -1) {
			values[label] = append(values[label], value[1])
		}
	}
	if len(values["outcome"]) != 2 {
		t.Fatalf("read %v", values)
	}
	return values
}

// wantCounted checks the value of a counter of the test's calls. Otherwise a database with wrong metrics would go
// unnoticed, because every query could still have a result.
func (p *prometheus) wantCounted(t *testing.T, expression string, want float64) {
	t.Helper()
	answer := p.ask(t, "counted", expression, true)
	if len(answer) != 1 || math.Abs(answer[0].value-want) > 1e-9 {
		t.Errorf("%s: %s, want %v", expression, shown(answer), want)
	}
}
