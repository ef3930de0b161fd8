package monitoring

import (
	"slices"
	"strings"
	"testing"
)

const runbookFile = "docs/platform/runbook.md"

// runbook is docs/platform/runbook.md, to which the alerts link.
type runbook struct {
	// sections are the sections about alerts, by their headings.
	sections map[string]string
	queries  []query
}

func readRunbook(t *testing.T) runbook {
	t.Helper()
	r := runbook{sections: map[string]string{}}
	heading, block := "", (*strings.Builder)(nil)
	for line := range strings.Lines(read(t, runbookFile)) {
		trimmed := strings.TrimSpace(line)
		switch {
		case block == nil && trimmed == "```promql":
			block = &strings.Builder{}
		case block != nil && trimmed == "```":
			r.queries = append(r.queries, query{where: "runbook, " + heading, expression: block.String(), instant: true})
			block = nil
		case block != nil:
			block.WriteString(trimmed + "\n")
		case strings.HasPrefix(line, "## "):
			heading = strings.TrimSpace(line[3:])
		}
		if strings.HasPrefix(heading, alertPrefix) {
			r.sections[heading] += line
		}
	}
	return r
}

func TestEveryAlertHasItsSectionOfTheRunbookAndEverySectionItsAlert(t *testing.T) {
	page := readRunbook(t)
	var names []string
	for _, alert := range alerts(t) {
		names = append(names, alert.Alert)
		// The anchor of a heading of one word is the word in lower case, on GitHub and in most other renderers.
		want := "/" + runbookFile + "#" + strings.ToLower(alert.Alert)
		if url := alert.Annotations["runbook_url"]; !strings.HasPrefix(url, "https://") || !strings.HasSuffix(url, want) {
			t.Errorf("%s leads to %s, want …%s", alert.Alert, url, want)
		}
		text, found := page.sections[alert.Alert]
		if !found {
			t.Errorf("%s has no section %q", runbookFile, alert.Alert)
		}
		for _, part := range []string{"**Means** (" + alert.Labels["severity"] + ")", "**Check**", "**Do**"} {
			if !strings.Contains(text, "- "+part) {
				t.Errorf("%s, %s: no %s", runbookFile, alert.Alert, part)
			}
		}
	}
	for heading := range page.sections {
		if !slices.Contains(names, heading) {
			t.Errorf("%s has a section %q, and there is no such alert", runbookFile, heading)
		}
	}
}
