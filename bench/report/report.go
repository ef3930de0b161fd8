// Package report has what the parts of the benchmark measure: as figures for programs, and as tables and plots for
// people.
package report

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// Part is what one part of the benchmark has measured.
type Part struct {
	// Name is the part's name in the JSON file, and in the markers of the page.
	Name string
	// Figures are everything measured.
	Figures []Figure
	// Plots are SVG files by their names.
	Plots map[string][]byte

	text strings.Builder
}

// Figure is one thing measured in several rounds.
type Figure struct {
	// Name is a path such as http/32 connections/program/throughput.
	Name string `json:"name"`
	// Unit is for example µs; "ratio" is for a ratio of two things measured in the same round.
	Unit string `json:"unit"`
	// Median, Least and Most are over the rounds.
	Median float64 `json:"median"`
	Least  float64 `json:"least"`
	Most   float64 `json:"most"`
	// Rounds is their number.
	Rounds int `json:"rounds"`
}

// New returns an empty part.
func New(name string) *Part { return &Part{Name: name, Plots: map[string][]byte{}} }

// Add adds a figure with a value for each round, and returns it as the cell of a table.
func (p *Part) Add(name, unit string, values []float64) string {
	if len(values) == 0 {
		return ""
	}
	f := Figure{
		Name: p.Name + "/" + name, Unit: unit, Rounds: len(values),
		Median: Median(values), Least: slices.Min(values), Most: slices.Max(values),
	}
	p.Figures = append(p.Figures, f)
	return f.cell()
}

// Median returns the median of values, of which there must be one.
func Median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// cell returns the figure as it stands in a table: with as many digits as say something.
func (f Figure) cell() string {
	decimals := 0
	if f.Median != math.Trunc(f.Median) || f.Least != math.Trunc(f.Least) || f.Most != math.Trunc(f.Most) {
		switch size := math.Abs(f.Median); {
		case size < 0.1:
			decimals = 3
		case size < 10:
			decimals = 2
		case size < 100:
			decimals = 1
		}
	}
	if f.Rounds == 1 || f.Least == f.Most {
		return number(f.Median, decimals)
	}
	return fmt.Sprintf("%s (%s–%s)", number(f.Median, decimals), number(f.Least, decimals), number(f.Most, decimals))
}

// number returns a value with a number of decimals; thousands have separators.
func number(value float64, decimals int) string {
	whole, fraction, _ := strings.Cut(fmt.Sprintf("%.*f", decimals, value), ".")
	for at := len(whole) - 3; at > 0 && whole[at-1] != '-'; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// Paragraph adds a paragraph to the page, within its columns.
func (p *Part) Paragraph(format string, args ...any) {
	const columns = 120
	at := 0
	for i, word := range strings.Fields(fmt.Sprintf(format, args...)) {
		length := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+length > columns:
			p.text.WriteString("\n")
			at = 0
		default:
			p.text.WriteString(" ")
			at++
		}
		p.text.WriteString(word)
		at += length
	}
	p.text.WriteString("\n\n")
}

// Table adds a table to the page. The first row is its head.
func (p *Part) Table(rows ...[]string) {
	for i, row := range rows {
		fmt.Fprintf(&p.text, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			p.text.WriteString(strings.Repeat("|---", len(row)) + "|\n")
		}
	}
	p.text.WriteString("\n")
}

// Plot adds a plot to the page. The description is for those who do not see it.
func (p *Part) Plot(file, description string, svg []byte) {
	p.Plots[file] = svg
	fmt.Fprintf(&p.text, "![%s](%s/%s)\n\n", description, plotDir, file)
}
