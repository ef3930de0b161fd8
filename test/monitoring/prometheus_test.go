package monitoring

import (
	"errors"
	"io"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/tsdb"
)

// prometheus is the database and the query engine of Prometheus.
type prometheus struct {
	database *tsdb.DB
	engine   *promql.Engine
	// now is the time of the queries: that of the last scrape.
	now time.Time
}

func newPrometheus(t *testing.T) *prometheus {
	t.Helper()
	options := tsdb.DefaultOptions()
	options.RetentionDuration = 0
	database, err := tsdb.Open(t.TempDir(), nil, nil, options, tsdb.NewDBStats())
	if err != nil {
		t.Fatal(err)
	}
	database.DisableCompactions()
	t.Cleanup(func() { _ = database.Close() })
	return &prometheus{database: database, engine: promql.NewEngine(promql.EngineOpts{
		MaxSamples: 1e6, Timeout: patience, EnableAtModifier: true, Parser: parser.NewParser(parser.Options{}),
	})}
}

// target returns the labels that the Prometheus operator adds to the series of a pod.
func target(pod string) map[string]string {
	return map[string]string{
		"namespace": releaseNamespace, "job": releaseJob, "service": releaseJob, "endpoint": "metrics", "container": "operator",
		"pod": pod, "instance": pod + ".example:9090",
	}
}

// take stores the metrics of a replica with a time.
func (p *prometheus) take(t *testing.T, text []byte, pod string, at time.Time) {
	t.Helper()
	symbols := labels.NewSymbolTable()
	reading, err := textparse.New(text, "text/plain; version=0.0.4", symbols, textparse.ParserOptions{})
	if err != nil {
		t.Fatal(err)
	}
	appender := p.database.Appender(t.Context())
	for {
		entry, err := reading.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if entry != textparse.EntrySeries {
			continue
		}
		var own labels.Labels
		reading.Labels(&own)
		series := labels.NewBuilder(own)
		for name, value := range target(pod) {
			if own.Has(name) {
				t.Fatalf("%s has a label %s, which Prometheus would rename", own, name)
			}
			series.Set(name, value)
		}
		_, _, value := reading.Series()
		if _, err := appender.Append(0, series.Labels(), at.UnixMilli(), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := appender.Commit(); err != nil {
		t.Fatal(err)
	}
	p.now = at
}

// ages returns how long before the last scrape each scrape is, in order: a day, an hour, and then every half minute.
func ages() []time.Duration {
	const day, step = 24 * time.Hour, 30 * time.Second
	all := []time.Duration{day + 12*time.Minute, day + 8*time.Minute, day + 4*time.Minute, time.Hour, 50 * time.Minute, 40 * time.Minute}
	for age := 8 * step; age >= 0; age -= step {
		all = append(all, age)
	}
	return all
}

// watch fills the database with a day of metrics. It makes real calls and scrapes real metrics, and stores them with
// the times of ages.
func (p *prometheus) watch(t *testing.T, r *release) {
	t.Helper()
	for _, age := range ages() {
		r.receive(t)
		at := time.Now().Add(-age)
		for _, replica := range r.replicas {
			p.take(t, replica.scrape(t, r.client), replica.pod, at)
		}
	}
}

// selected returns the labels of all series that match, at any time.
func (p *prometheus) selected(t *testing.T, matchers ...*labels.Matcher) []labels.Labels {
	t.Helper()
	querier, err := p.database.Querier(0, p.now.UnixMilli())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = querier.Close() }()
	var found []labels.Labels
	set := querier.Select(t.Context(), true, nil, matchers...)
	for set.Next() {
		found = append(found, set.At().Labels())
	}
	if err := set.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// has reports whether a metric has any series.
func (p *prometheus) has(t *testing.T, metric string) bool {
	t.Helper()
	return len(p.selected(t, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metric))) > 0
}

// hasLabel reports whether some series of a metric have a label.
func (p *prometheus) hasLabel(t *testing.T, metric, label string) bool {
	t.Helper()
	return slices.ContainsFunc(p.selected(t, labels.MustNewMatcher(labels.MatchEqual, labels.MetricName, metric)),
		func(series labels.Labels) bool { return series.Has(label) })
}

// answered is a series in the result of a query, with its last value.
type answered struct {
	labels labels.Labels
	value  float64
}

// ask returns the result of a query: at p.now if instant is set, otherwise over the last minutes.
func (p *prometheus) ask(t *testing.T, where, expression string, instant bool) []answered {
	t.Helper()
	if instant {
		query, err := p.engine.NewInstantQuery(t.Context(), p.database, nil, expression, p.now)
		if err != nil {
			t.Errorf("%s: %v\n%s", where, err, expression)
			return nil
		}
		defer query.Close()
		result := query.Exec(t.Context())
		vector, err := result.Vector()
		if err != nil || len(result.Warnings) > 0 {
			t.Errorf("%s: %v %v\n%s", where, err, slices.Collect(maps.Values(result.Warnings)), expression)
			return nil
		}
		var all []answered
		for _, sample := range vector {
			all = append(all, answered{sample.Metric, sample.F})
		}
		return all
	}
	query, err := p.engine.NewRangeQuery(t.Context(), p.database, nil, expression, p.now.Add(-4*time.Minute), p.now, 30*time.Second)
	if err != nil {
		t.Errorf("%s: %v\n%s", where, err, expression)
		return nil
	}
	defer query.Close()
	result := query.Exec(t.Context())
	matrix, err := result.Matrix()
	if err != nil || len(result.Warnings) > 0 {
		t.Errorf("%s: %v %v\n%s", where, err, slices.Collect(maps.Values(result.Warnings)), expression)
		return nil
	}
	var all []answered
	for _, series := range matrix {
		all = append(all, answered{series.Metric, series.Floats[len(series.Floats)-1].F})
	}
	return all
}
