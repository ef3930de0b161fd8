package lists

import (
	"fmt"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/internal/budget"
	"registrationpolicy.dev/operator/internal/listmemory"
	"registrationpolicy.dev/operator/internal/listsync"
)

// writeListReport writes a report in the format of --output.
func writeListReport(s console.Streams, r *listsync.Report, output string) error {
	return console.WriteReport(s, output, r, func() []byte { return listText(r, s.Coloured()) })
}

// listText returns the report as text.
func listText(r *listsync.Report, coloured bool) []byte {
	var w strings.Builder
	ink := console.InkAllowed
	if r.Outcome == listsync.Refused {
		ink = console.InkDenied
	}
	fmt.Fprintf(&w, "%s  %s/%s%s\n", ink.Paint(string(r.Outcome), coloured), r.Namespace, r.Name, dryRunSuffix(r))
	line := func(name, text string) { fmt.Fprintf(&w, "  %-9s  %s\n", name, text) }
	line("source", r.Source)
	line("digest", r.Digest)
	if r.Previous != "" && r.Previous != r.Digest {
		line("before", r.Previous)
	}
	line("entries", fmt.Sprintf("%d (%d new, %d gone)", r.Entries, r.Added, r.Removed))
	if r.SkippedLines > 0 {
		for i, text := range skippedTexts(r) {
			name := ""
			if i == 0 {
				name = "skipped"
			}
			line(name, text)
		}
	}
	if r.Memory != nil {
		line("memory", memoryText(r.Memory))
	}
	if r.Outcome == listsync.Done {
		line("in", storedAs(r))
	}
	if len(r.Deleted) > 0 {
		line("deleted", strings.Join(r.Deleted, ", "))
	}
	if len(r.Refusals) > 0 {
		heading := "Why"
		if r.Outcome != listsync.Refused {
			heading = "Accepted all the same"
		}
		fmt.Fprintf(&w, "\n%s\n", console.InkHeading.Paint(heading, coloured))
		for _, refusal := range r.Refusals {
			fmt.Fprintf(&w, "  %-15s  %s\n", refusal.Kind, refusal.Text)
		}
	}
	if r.Accept != "" {
		fmt.Fprintf(&w, "\nNothing was written. To write the list all the same, once you have checked the refusals, add:\n  --accept %s\n", r.Accept)
	}
	return []byte(w.String())
}

// dryRunSuffix returns what follows the name of the list in the report of a dry run.
func dryRunSuffix(r *listsync.Report) string {
	if r.DryRun {
		return " (dry run)"
	}
	return ""
}

func memoryText(m *listmemory.Memory) string {
	if m.LimitBytes == 0 {
		return budget.Size(m.ListBytes) + "; the limit of the namespace is not known, because no status of a policy was read that states it"
	}
	return fmt.Sprintf("%s; policies and other lists take %s, and the namespace may take %s",
		budget.Size(m.ListBytes), budget.Size(m.OtherBytes), budget.Size(m.LimitBytes))
}

// skippedTexts returns the number of skipped lines, then a text for each reason.
func skippedTexts(r *listsync.Report) []string {
	texts := []string{"1 line, which is not an entry"}
	if r.SkippedLines > 1 {
		texts[0] = fmt.Sprintf("%d lines, which are not entries", r.SkippedLines)
	}
	for _, skipped := range r.SkippedReasons {
		numbers := make([]string, len(skipped.FirstLines))
		for i, number := range skipped.FirstLines {
			numbers[i] = fmt.Sprint(number)
		}
		text := "line " + numbers[0]
		if skipped.Lines > 1 {
			text = "lines " + strings.Join(numbers, ", ")
		}
		if more := skipped.Lines - len(numbers); more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		texts = append(texts, text+": "+skipped.Reason)
	}
	return texts
}

// storedAs describes the ConfigMaps that hold the list.
func storedAs(r *listsync.Report) string {
	switch r.Shards {
	case 0:
		return "one ConfigMap"
	case 1:
		return "an index and one shard"
	}
	return fmt.Sprintf("an index and %d shards", r.Shards)
}
