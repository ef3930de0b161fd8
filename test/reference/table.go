package reference

import (
	"fmt"
	"os"
	"slices"
	"strings"
)

// Table returns the rows of the first table below a heading of a Markdown page, without the row of its titles. A cell
// has no blanks around it, and `\|` in it is a bar.
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

// body leaves out the titles and the line below them.
func body(rows [][]string) [][]string { return rows[min(2, len(rows)):] }

func cells(line string) []string {
	const bar = "\x00" // no page holds one
	line = strings.ReplaceAll(line, `\|`, bar)
	split := strings.Split(strings.Trim(line, "|"), "|")
	for i, cell := range split {
		split[i] = strings.TrimSpace(strings.ReplaceAll(cell, bar, "|"))
	}
	return split
}

// Differences compares the first n columns of the first table below a heading, joined by " | ", with what they should
// be, in any order. The cells behind them are prose, and must not be empty. It returns one line for each difference.
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
			differences = append(differences, fmt.Sprintf("%sno meaning beside %q", at, row))
			continue
		}
		known := strings.Join(row[:n], " | ")
		switch {
		case seen[known]:
			differences = append(differences, fmt.Sprintf("%stwice: | %s |", at, known))
		case !slices.Contains(want, known):
			differences = append(differences, fmt.Sprintf("%snothing is so, or no longer: | %s |", at, known))
		}
		seen[known] = true
	}
	for _, row := range want {
		if !seen[row] {
			differences = append(differences, fmt.Sprintf("%smissing, or not so: | %s |", at, row))
		}
	}
	return differences
}
