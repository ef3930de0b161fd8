package reference

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Table returns the rows of the first table below a heading of a Markdown page, without the header row. It trims blanks
// around cells, and returns `\|` in a cell as a bar.
func Table(file, heading string) ([][]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows [][]string
	below := false
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		switch {
		case strings.HasPrefix(line, "#"):
			if len(rows) > 0 {
				return body(rows), nil
			}
			below = strings.TrimSpace(strings.TrimLeft(line, "#")) == heading
		case below && strings.HasPrefix(line, "|"):
			rows = append(rows, cells(line))
		case len(rows) > 0:
			return body(rows), nil
		}
	}
	if len(rows) == 0 {
		return nil, fmt.Errorf("%s: no table below the heading %q", file, heading)
	}
	return body(rows), nil
}

// body returns rows without the header row and the row of dashes below it.
func body(rows [][]string) [][]string { return rows[min(2, len(rows)):] }

func cells(line string) []string {
	const bar = "\x00" // a character that no page contains
	line = strings.ReplaceAll(line, `\|`, bar)
	split := strings.Split(strings.Trim(line, "|"), "|")
	for i, cell := range split {
		split[i] = strings.TrimSpace(strings.ReplaceAll(cell, bar, "|"))
	}
	return split
}

// Differences compares the first n cells of each row of a table, joined by " | ", with the wanted rows, in any order.
// See [Table] for the table. Cell n+1 is an explanation, and must not be empty. Differences returns a line for each
// difference.
func Differences(page, heading string, want []string, n int) []string {
	rows, err := Table(page, heading)
	if err != nil {
		return []string{err.Error()}
	}
	at := page + ", " + heading + ": "
	var differences []string
	seen := map[string]bool{}
	for _, row := range rows {
		if len(row) <= n || row[n] == "" {
			differences = append(differences, fmt.Sprintf("%sno explanation beside %q", at, row))
			continue
		}
		known := strings.Join(row[:n], " | ")
		switch {
		case seen[known]:
			differences = append(differences, fmt.Sprintf("%stwice: | %s |", at, known))
		case !slices.Contains(want, known):
			differences = append(differences, fmt.Sprintf("%snot in the code, or not like this: | %s |", at, known))
		}
		seen[known] = true
	}
	for _, row := range want {
		if !seen[row] {
			differences = append(differences, fmt.Sprintf("%smissing, or not like this: | %s |", at, row))
		}
	}
	return differences
}
