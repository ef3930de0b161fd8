package diff

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
	"registrationpolicy.dev/operator/cmd/regpol/internal/outcome"
	"registrationpolicy.dev/operator/rules/analysis"
)

// kindTexts are the headings and the counts of a report, in its order.
var kindTexts = []struct {
	kind           analysis.Kind
	heading, count string
	ink            console.Ink
}{
	{analysis.Widened, "Newly allowed", "newly allowed", console.InkDenied}, // red, because newly allowed people are the main risk
	{analysis.Narrowed, "Newly denied", "newly denied", console.InkFault},
	{analysis.OtherText, "Denied with another reason or text", "denied with another reason or text", console.InkHeading},
	{analysis.OtherProfile, "Allowed with other profile attributes", "allowed with other profile attributes", console.InkHeading},
}

// noChange is the only line of the report if there are no changes and all lists are compared.
const noChange = "No change: both sets of policies decide every call with one or two addresses alike."

// noChangeKnown is the first line of the report if there are no changes but some lists are not compared. The names of
// these lists follow.
const noChangeKnown = "No change that can be told without the lists that no file has:"

// notComparedHeading stands above the lists that are not compared, if there are changes.
const notComparedHeading = "Not compared, and so perhaps also changed:"

// summary returns the counts in one line.
func (r *diffReport) summary() string {
	switch {
	case len(r.Changes) > 0:
	case len(r.NotCompared) > 0:
		return noChangeKnown
	default:
		return noChange
	}
	var counts []string
	for _, k := range kindTexts {
		if n := r.Counts[kindNames[k.kind]]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, k.count))
		}
	}
	return console.Counted(len(r.Changes), "change", "changes") + ": " + strings.Join(counts, ", ")
}

// text returns the report as text.
func (r *diffReport) text(coloured bool) []byte {
	var w bytes.Buffer
	fmt.Fprintln(&w, r.summary())
	r.writeNotCompared(&w, func(line string) { fmt.Fprintf(&w, "  %s\n", line) })
	for _, k := range kindTexts {
		if r.Counts[kindNames[k.kind]] > 0 {
			fmt.Fprintf(&w, "\n%s\n", k.ink.Paint(k.heading, coloured))
		}
		shown, left := r.shown(k.kind)
		for _, c := range shown {
			r.writeChange(&w, c)
		}
		if left != "" {
			fmt.Fprintf(&w, "  %s\n", left)
		}
	}
	return w.Bytes()
}

// writeNotCompared writes the lists that are not compared, one in each line.
func (r *diffReport) writeNotCompared(w *bytes.Buffer, writeLine func(line string)) {
	if len(r.NotCompared) == 0 {
		return
	}
	if len(r.Changes) > 0 {
		fmt.Fprintf(w, "\n%s\n", notComparedHeading)
	}
	fmt.Fprintln(w)
	for _, list := range r.NotCompared {
		writeLine(list)
	}
}

// maxChanges is how many changes of one kind the text has without -v. All kinds together then fit into a comment of GitHub,
// which has up to 65,536 characters.
const maxChanges = 25

// shown returns the changes of one kind that are printed, and a text that counts those that are not.
func (r *diffReport) shown(kind analysis.Kind) (shown []*changeReport, left string) {
	more, pairs := 0, 0
	for i := range r.Changes {
		switch c := &r.Changes[i]; {
		case c.Kind != kindNames[kind]:
		case r.verbose:
			shown = append(shown, c)
		case kind == analysis.OtherText && len(c.Addresses) == 0:
			pairs++ // changed only for calls with two addresses: these changes are many, and matter least
		case len(shown) == maxChanges:
			more++
		default:
			shown = append(shown, c)
		}
	}
	var texts []string
	if more > 0 {
		texts = append(texts, console.Counted(more, "more change", "more changes"))
	}
	if pairs > 0 {
		texts = append(texts, console.Counted(pairs, "change of calls", "changes of calls")+" with two addresses")
	}
	if len(texts) == 0 {
		return shown, ""
	}
	return shown, strings.Join(texts, ", and ") + " (-v prints them)"
}

func (r *diffReport) writeChange(w *bytes.Buffer, c *changeReport) {
	fmt.Fprintf(w, "  %s\n", r.who(c))
	fmt.Fprintf(w, "    before   %s\n", c.Before.Describe())
	fmt.Fprintf(w, "    after    %s\n", c.After.Describe())
	fmt.Fprintf(w, "    calls    %s\n", outcome.DescribeCalls(c.Calls))
	fmt.Fprintf(w, "    example  %s\n", c.example())
}

func (c *changeReport) example() string { return strings.Join(c.Example, " with login ") }

// maxEntries is how many entries the text has of each list without -v.
const maxEntries = 8

// who describes the addresses of a change in one line, such as "*.acme.com except a.acme.com, but with jo@a.acme.com".
// Each list after the first is an exception from the list before it.
func (r *diffReport) who(c *changeReport) string {
	if len(c.Addresses) == 0 {
		return "calls with two addresses; neither address alone changes in this way"
	}
	var text strings.Builder
	for depth, entries := range nested(c.Addresses) {
		if depth > 0 {
			text.WriteString([]string{", but with ", " except "}[depth%2])
		}
		if depth == 0 && slices.Equal(entries, []string{"*"}) {
			entries = []string{"every address"}
		}
		entries = counts(entries)
		left := 0
		if !r.verbose && len(entries) > maxEntries {
			left = len(entries) - maxEntries
			entries = entries[:maxEntries]
		}
		text.WriteString(strings.Join(entries, ", "))
		if left > 0 {
			fmt.Fprintf(&text, " and %d more (-v prints them)", left)
		}
	}
	if c.More > 0 {
		fmt.Fprintf(&text, "; %d further entries are left out", c.More)
	}
	return text.String()
}

// nested returns the entries of parts by their depth.
func nested(parts []partReport) [][]string {
	var levels [][]string
	for _, part := range parts {
		for part.depth >= len(levels) {
			levels = append(levels, nil)
		}
		levels[part.depth] = append(levels[part.depth], part.Entries...)
	}
	return levels
}

// counts returns each entry once. It adds how often an entry occurs, if more than once: different addresses look alike
// if their local parts are hidden.
func counts(entries []string) []string {
	var once []string
	n := map[string]int{}
	for _, entry := range entries {
		if n[entry]++; n[entry] == 1 {
			once = append(once, entry)
		}
	}
	for i, entry := range once {
		if n[entry] > 1 {
			once[i] = fmt.Sprintf("%d × %s", n[entry], entry)
		}
	}
	return once
}

// markdown returns the report as a comment for a pull request: the counts, and the changes in sections that are folded.
func (r *diffReport) markdown() []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "**Who may sign up:** %s\n", r.summary())
	r.writeNotCompared(&w, func(line string) { fmt.Fprintf(&w, "- %s\n", escapeMarkdown.Replace(line)) })
	for _, k := range kindTexts {
		n := r.Counts[kindNames[k.kind]]
		if n == 0 {
			continue
		}
		fmt.Fprintf(&w, "\n<details>\n<summary>%s (%d)</summary>\n\n", k.heading, n)
		shown, left := r.shown(k.kind)
		for i, c := range shown {
			if i == 0 {
				fmt.Fprint(&w, "| addresses | before | after | calls | example |\n|---|---|---|---|---|\n")
			}
			cells := []string{r.who(c), c.Before.Describe(), c.After.Describe(), outcome.DescribeCalls(c.Calls), c.example()}
			for j := range cells {
				cells[j] = escapeMarkdown.Replace(cells[j])
			}
			fmt.Fprintf(&w, "| %s |\n", strings.Join(cells, " | "))
		}
		if left != "" {
			if len(shown) > 0 {
				fmt.Fprintln(&w)
			}
			fmt.Fprintln(&w, left)
		}
		fmt.Fprint(&w, "\n</details>\n")
	}
	return w.Bytes()
}

// escapeMarkdown escapes the markup of GitHub's Markdown in a cell of a table, including formulas. A zero-width space
// after @ and # keeps GitHub from linking an address to a user, and a number to an issue. Line breaks, which file names
// may have, become spaces.
var escapeMarkdown = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "~", `\~`, "$", `\$`, "&", "&amp;", "<", "&lt;", ">", "&gt;", "[", `\[`,
	"@", "@\u200b", "#", "#\u200b", "\n", " ", "\r", " ")
