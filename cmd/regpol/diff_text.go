package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// kindTexts are the headings and the counts of a report, in its order.
var kindTexts = []struct {
	kind           analysis.Kind
	heading, count string
	ink            ink
}{
	{analysis.Widened, "Newly allowed", "newly allowed", inkDenied}, // what lets people in is the risk
	{analysis.Narrowed, "Newly denied", "newly denied", inkFault},
	{analysis.OtherText, "Denied with another reason or text", "denied with another reason or text", inkHeading},
	{analysis.OtherProfile, "Allowed with other profile attributes", "allowed with other profile attributes", inkHeading},
}

// noChange is the report without changes.
const noChange = "No change: both sets of policies decide every call with one or two addresses alike.\n"

// summary returns the counts in one line.
func (r *diffReport) summary() string {
	if len(r.Changes) == 0 {
		return strings.TrimSpace(noChange)
	}
	var counts []string
	for _, k := range kindTexts {
		if n := r.Counts[kindNames[k.kind]]; n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", n, k.count))
		}
	}
	return counted(len(r.Changes), "change", "changes") + ": " + strings.Join(counts, ", ")
}

// counted returns a number with its noun.
func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// text returns the report as text.
func (r *diffReport) text(coloured bool) []byte {
	var w bytes.Buffer
	fmt.Fprintln(&w, r.summary())
	for _, k := range kindTexts {
		if r.Counts[kindNames[k.kind]] > 0 {
			fmt.Fprintf(&w, "\n%s\n", k.ink.paint(k.heading, coloured))
		}
		left := 0
		for i := range r.Changes {
			switch c := &r.Changes[i]; {
			case c.Kind != kindNames[k.kind]:
			case k.kind == analysis.OtherText && len(c.Addresses) == 0 && !r.verbose:
				left++ // these are many and matter least
			default:
				r.writeChange(&w, c)
			}
		}
		if left > 0 {
			fmt.Fprintf(&w, "  %s with two addresses (-v prints them)\n", counted(left, "change of calls", "changes of calls"))
		}
	}
	return w.Bytes()
}

func (r *diffReport) writeChange(w *bytes.Buffer, c *changeReport) {
	fmt.Fprintf(w, "  %s\n", r.who(c))
	fmt.Fprintf(w, "    before   %s\n", c.Before.describe())
	fmt.Fprintf(w, "    after    %s\n", c.After.describe())
	fmt.Fprintf(w, "    calls    %s\n", describeCalls(c.Calls))
	fmt.Fprintf(w, "    example  %s\n", c.example())
}

func (c *changeReport) example() string { return strings.Join(c.Example, " with login ") }

// maxParts is how many entries of a change the text has without -v.
const maxParts = 8

// who describes the addresses of a change in one line.
func (r *diffReport) who(c *changeReport) string {
	if len(c.Addresses) == 0 {
		return "calls with two addresses; neither address alone changes in this way"
	}
	var with, without []string
	shown := c.Addresses
	if !r.verbose && len(shown) > maxParts {
		shown = shown[:maxParts]
	}
	for _, part := range shown {
		for _, entry := range part.Entries {
			switch {
			case part.Except:
				without = append(without, entry)
			case len(without) > 0:
				with = append(with, entry+" (also where an exception would have it)")
			default:
				with = append(with, entry)
			}
		}
	}
	text := strings.Join(with, ", ")
	if slices.Equal(with, []string{"*"}) {
		text = "every address"
	}
	if len(without) > 0 {
		text += " except " + strings.Join(without, ", ")
	}
	if more := len(c.Addresses) - len(shown) + c.More; more > 0 {
		text += fmt.Sprintf(", and %d more (-v prints them)", more)
	}
	return text
}

// describe gives a result in one line.
func (r *resultReport) describe() string {
	text := "denied"
	if r.Outcome == rules.Allow.String() {
		text = "allowed"
	}
	if r.Policy == "" {
		text += ": " + string(r.Reason)
	} else {
		text += " by " + r.Policy
		if r.Entry != "" {
			text += " " + r.Entry
		}
		if r.Text != "" {
			text += fmt.Sprintf(" %q", r.Text)
		}
		if r.At != "" {
			text += " (" + r.At + ")"
		}
		if r.Reason == rules.ReasonPolicyNotEnforceable {
			text += ": it cannot be enforced"
		}
	}
	if r.Message != "" {
		text += fmt.Sprintf(", text %q", r.Message)
	}
	if r.Profile != nil {
		text += ", sets " + string(r.Profile)
	}
	return text
}

// requestTexts are the request types in the words of explain.
var requestTexts = map[rules.RequestType]string{
	rules.SelfServiceRegistration: "sign-ups", rules.ProgressiveProfile: "changes of a profile",
}

// describeCalls gives the calls of a change in one line. Request types with the same sources are named together.
func describeCalls(all []callsReport) string {
	var texts []string
	for i, calls := range all {
		from := "from any source"
		if !calls.AnySource {
			sources := slices.Clone(calls.Sources)
			if calls.OtherSources {
				sources = append(sources, "any source that no policy names")
			}
			from = "from " + strings.Join(sources, ", ")
		}
		if i > 0 && sameSources(all[i-1], calls) {
			last := &texts[len(texts)-1]
			*last = requestTexts[all[i-1].RequestType] + " and " + requestTexts[calls.RequestType] + " " + from
			continue
		}
		texts = append(texts, requestTexts[calls.RequestType]+" "+from)
	}
	return strings.Join(texts, "; ")
}

func sameSources(a, b callsReport) bool {
	return a.AnySource == b.AnySource && a.OtherSources == b.OtherSources && slices.Equal(a.Sources, b.Sources)
}

// markdown returns the report as a comment for a pull request: the counts, and the changes folded.
func (r *diffReport) markdown() []byte {
	var w bytes.Buffer
	fmt.Fprintf(&w, "**Who may sign up:** %s\n", r.summary())
	for _, k := range kindTexts {
		n := r.Counts[kindNames[k.kind]]
		if n == 0 {
			continue
		}
		fmt.Fprintf(&w, "\n<details>\n<summary>%s (%d)</summary>\n\n", k.heading, n)
		fmt.Fprint(&w, "| addresses | before | after | calls | example |\n|---|---|---|---|---|\n")
		for i := range r.Changes {
			if c := &r.Changes[i]; c.Kind == kindNames[k.kind] {
				cells := []string{r.who(c), c.Before.describe(), c.After.describe(), describeCalls(c.Calls), c.example()}
				for j := range cells {
					cells[j] = escapeMarkdown.Replace(cells[j])
				}
				fmt.Fprintf(&w, "| %s |\n", strings.Join(cells, " | "))
			}
		}
		fmt.Fprint(&w, "\n</details>\n")
	}
	return w.Bytes()
}

// escapeMarkdown escapes what Markdown would take for markup in a cell of a table. A space without width keeps an
// address from becoming a mention of a user.
var escapeMarkdown = strings.NewReplacer(
	`\`, `\\`, "|", `\|`, "*", `\*`, "_", `\_`, "`", "\\`", "<", "&lt;", ">", "&gt;", "[", `\[`, "@", "@\u200b")
