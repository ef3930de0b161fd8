package report

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCells(t *testing.T) {
	for want, values := range map[string][]float64{
		"":                       nil,
		"3":                      {3, 3, 3},
		"1,234,567":              {1234567},
		"0.45 (0.40–0.50)":       {0.4, 0.5, 0.45},
		"58.5 (58.0–59.0)":       {58, 59},
		"-0.020":                 {-0.02},
		"12,000 (1,000–100,000)": {100_000, 1000, 12_000},
		"19,737 (3,921–35,553)":  {3921.4, 35552.6},
		"0.074 (0.021–0.127)":    {0.021, 0.127},
		"1.58 (0.92–2.23)":       {0.924, 2.232},
		"213 (210–216)":          {210.2, 215.8},
		"2 (1–3)":                {1, 2, 3},
		"4 (3–5)":                {3, 5},
	} {
		if got := New("p").Add("name", "unit", values); got != want {
			t.Errorf("%v is %q, want %q", values, got, want)
		}
	}
}

// A part is written over its own earlier text and figures; everything else stays.
func TestAPartReplacesOnlyItself(t *testing.T) {
	dir := t.TempDir()
	page := "# Page\n<!-- bench:a -->\nold\n<!-- /bench:a -->\nby hand\n<!-- bench:b -->\nother\n<!-- /bench:b -->\n"
	if err := os.WriteFile(filepath.Join(dir, pageFile), []byte(page), 0o600); err != nil {
		t.Fatal(err)
	}
	run := Run{Date: "2026-11-01", Commit: "abc", Machine: "2 cores", Go: "Go 1"}
	for _, value := range []float64{1, 2} { // the second run replaces the first
		for _, name := range []string{"a", "b"} {
			p := New(name)
			p.Table([]string{"what", "how much"}, []string{"this", p.Add("x", "ms", []float64{value})})
			if name == "a" || value == 1 {
				if err := p.Write(dir, run); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	got, err := os.ReadFile(filepath.Join(dir, pageFile))
	if err != nil {
		t.Fatal(err)
	}
	section := func(name, value string) string {
		return "<!-- bench:" + name + " -->\n\n| what | how much |\n|---|---|\n| this | " + value +
			" |\n\nMeasured on 2026-11-01, commit abc, 2 cores, Go 1.\n<!-- /bench:" + name + " -->\n"
	}
	if want := "# Page\n" + section("a", "2") + "by hand\n" + section("b", "1"); string(got) != want {
		t.Errorf("the page is\n%s\nwant\n%s", got, want)
	}
	figures, err := os.ReadFile(filepath.Join(dir, jsonFile))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"a/x"`, `"b/x"`, `"median": 2`, `"median": 1`} {
		if !strings.Contains(string(figures), want) {
			t.Errorf("no %s in %s", want, figures)
		}
	}
	if err := New("c").Write(dir, run); err == nil {
		t.Error("a page without the markers of the part is no error")
	}
}
