package monitoring

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const dashboardFile = "config/monitoring/dashboard.json"

// dashboard has the parts of a Grafana dashboard that the tests check.
type dashboard struct {
	UID        string  `json:"uid"`
	Title      string  `json:"title"`
	Panels     []panel `json:"panels"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
}

type panel struct {
	ID          int     `json:"id"`
	Type        string  `json:"type"`
	Title       string  `json:"title"`
	Description string  `json:"description"`
	Datasource  source  `json:"datasource"`
	GridPos     gridPos `json:"gridPos"`
	Targets     []struct {
		Expr         string `json:"expr"`
		LegendFormat string `json:"legendFormat"`
		Instant      bool   `json:"instant"`
		Range        bool   `json:"range"`
		Datasource   source `json:"datasource"`
	} `json:"targets"`
}

type source struct {
	UID string `json:"uid"`
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type variable struct {
	Name       string `json:"name"`
	Type       string `json:"type"`
	Definition string `json:"definition"`
}

func readDashboard(t *testing.T) dashboard {
	t.Helper()
	var d dashboard
	if err := json.Unmarshal([]byte(read(t, dashboardFile)), &d); err != nil {
		t.Fatal(err)
	}
	return d
}

// filled replaces Grafana's variables in a query by values for the release of the test.
func filled(expression string) string {
	return strings.NewReplacer("$namespace", releaseNamespace, "$job", releaseJob, "$__rate_interval", "2m", "$__range", "1h").Replace(expression)
}

// gridWidth is the width of Grafana's grid, in columns.
const gridWidth = 24

func TestEveryPanelOfTheDashboardHasItsPlaceAndItsMeaning(t *testing.T) {
	d := readDashboard(t)
	ids := map[int]bool{}
	taken := map[[2]int]string{}
	for _, p := range d.Panels {
		if ids[p.ID] || p.ID == 0 {
			t.Errorf("%s: id %d is taken", p.Title, p.ID)
		}
		ids[p.ID] = true
		at := p.GridPos
		if at.X < 0 || at.X+at.W > gridWidth || at.W == 0 || at.H == 0 {
			t.Errorf("%s: does not fit at %+v", p.Title, at)
		}
		for x := at.X; x < at.X+at.W; x++ {
			for y := at.Y; y < at.Y+at.H; y++ {
				if other := taken[[2]int{x, y}]; other != "" {
					t.Fatalf("%s lies over %s", p.Title, other)
				}
				taken[[2]int{x, y}] = p.Title
			}
		}
		if p.Type == "row" {
			continue
		}
		if p.Title == "" || p.Description == "" || p.Datasource.UID != "$datasource" || len(p.Targets) == 0 {
			t.Errorf("panel %d %q lacks a title, a description, the data source or a query", p.ID, p.Title)
		}
		for _, query := range p.Targets {
			if query.Instant == query.Range || query.Datasource.UID != "$datasource" {
				t.Errorf("%s: asked neither now nor over time, or elsewhere: %s", p.Title, query.Expr)
			}
			selectors := strings.Count(query.Expr, "{")
			if own := strings.Count(query.Expr, `{namespace="$namespace",job="$job"`); own != selectors || own == 0 {
				t.Errorf("%s: not of one release: %s", p.Title, query.Expr)
			}
		}
	}
	var names []string
	for _, v := range d.Templating.List {
		names = append(names, v.Name+" "+v.Type)
	}
	if diff := cmp.Diff([]string{"datasource datasource", "namespace query", "job query"}, names); diff != "" {
		t.Error(diff)
	}
}

var (
	labelValues = regexp.MustCompile(`^label_values\((.+), ([a-z_]+)\)$`)
	legendLabel = regexp.MustCompile(`{{ *([a-z_]+) *}}`)
)

// queries returns the queries of the dashboard, with their variables replaced.
func (d dashboard) queries(t *testing.T) []query {
	t.Helper()
	var all []query
	for _, v := range d.Templating.List {
		if v.Type != "query" {
			continue
		}
		parts := labelValues.FindStringSubmatch(v.Definition)
		if parts == nil {
			t.Errorf("variable %s: %s", v.Name, v.Definition)
			continue
		}
		all = append(all, query{where: "variable " + v.Name, expression: filled(parts[1]), instant: true, shows: true, legend: "{{" + parts[2] + "}}"})
	}
	for _, p := range d.Panels {
		for i, target := range p.Targets {
			all = append(all, query{
				where: fmt.Sprintf("dashboard, %s (%c)", p.Title, 'A'+i), expression: filled(target.Expr),
				legend: target.LegendFormat, instant: target.Instant, shows: true,
			})
		}
	}
	return all
}
