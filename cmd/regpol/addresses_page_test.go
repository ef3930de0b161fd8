package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"registrationpolicy.dev/operator/cmd/regpol/internal/verbtest"
)

// Asks about the examples in the page's table of people who are turned away: each must have the class of its row.
func TestThePageSaysWhoIsTurnedAway(t *testing.T) {
	t.Chdir(verbtest.WorkTree)
	_, table, _ := strings.Cut(verbtest.ReadText(t, filepath.Join(verbtest.WorkTree, "docs", "policies", "addresses.md")), "\n## Who is turned away, and what to do\n")
	table, _, _ = strings.Cut(table, "\n\nNot turned away: ")
	backquoted := regexp.MustCompile("`([^`]+)`")
	asked := 0
	ask := func(text string) string {
		asked++
		args := []string{"explain", "--policies", "config/samples/one-company.yaml", text}
		if !strings.Contains(text, "@") {
			args = append(args[:3], "jo@acme.com", "--login", text)
		}
		return runAs(t, "regpol", args...).Out
	}
	for line := range strings.Lines(table) {
		cells := strings.Split(line, " | ")
		if len(cells) != 4 || !strings.HasPrefix(cells[2], "`") {
			continue
		}
		for _, example := range backquoted.FindAllStringSubmatch(cells[1], -1) {
			if got, want := ask(example[1]), "("+strings.Trim(cells[2], "`")+")"; !strings.Contains(got, want) {
				t.Errorf("%q: want %s, got\n%s", example[1], want, got)
			}
		}
	}
	for _, plain := range []string{"o'brien@acme.com", "jo.doe"} {
		if got := ask(plain); !strings.HasPrefix(got, "allowed") {
			t.Errorf("%q:\n%s", plain, got)
		}
	}
	if asked < 9 {
		t.Errorf("%d examples", asked)
	}
}
