package main

import (
	"context"
	"fmt"
	"time"

	"registrationpolicy.dev/operator/bench/report"
	"registrationpolicy.dev/operator/rules"
	"registrationpolicy.dev/operator/rules/analysis"
)

// comparedPolicies is how many policies are compared, with ten domains each.
const comparedPolicies = 1_000

// measureComparisons measures what regpol diff does after it has read policies, while the list that they share grows and
// a thousandth of it changes.
func (h *house) measureComparisons(ctx context.Context, p *report.Part, biggest int) error {
	rows := [][]string{{"entries of the list", "changed", "ms", "exponent"}}
	line := report.Series{Name: "entries of a list, of which a thousandth changes"}
	for _, size := range []int{1_000, 10_000, 100_000, 1_000_000} {
		if size > biggest {
			continue
		}
		before, after := comparedSets("old", size), comparedSets("new", size)
		var milliseconds []float64
		for range h.rounds {
			if err := ctx.Err(); err != nil {
				return err
			}
			started := time.Now()
			changes, err := analysis.Compare(before, after)
			if err != nil || len(changes) != 2 {
				return fmt.Errorf("%d entries: %d changes, not 2: %w", size, len(changes), err)
			}
			milliseconds = append(milliseconds, float64(time.Since(started))/float64(time.Millisecond))
		}
		line.X, line.Y = append(line.X, float64(size)), append(line.Y, report.Median(milliseconds))
		rows = append(rows, []string{
			fmt.Sprint(size), fmt.Sprint(size / 1_000), p.Add(fmt.Sprintf("compare/%d/time", size), "ms", milliseconds), "",
		})
	}
	slope := exponent(line)
	rows[len(rows)-1][3] = p.Add("compare/exponent", "exponent", []float64{slope})
	line.Name += fmt.Sprintf(", exponent %.2f", slope)
	p.Paragraph("`regpol diff` compares two sets of %d policies of 10 domains, which deny by one list. The time is that of the "+
		"comparison, without reading files.", comparedPolicies)
	svg, err := report.Lines("Comparing two sets of policies, as their list grows", "entries", "ms", []report.Series{line})
	if err != nil {
		return err
	}
	p.Plot("compare.svg", "Milliseconds to compare two sets of policies, by the entries of their list", svg)
	p.Table(rows...)
	return nil
}

// comparedSets returns policies that deny by one list. Every thousandth of its entries has the prefix.
func comparedSets(prefix string, entries int) []rules.Policy {
	var text []byte
	for i := range entries {
		if i%1_000 == 0 {
			text = append(text, prefix+"-"...)
		}
		text = append(text, growthDomain(i)+"\n"...)
	}
	list := rules.CompileList(text)
	return policiesOf(comparedPolicies, func(i int, p *rules.Policy) {
		for j := range 10 {
			p.Allow.Domains = append(p.Allow.Domains, fmt.Sprintf("partner-%d-%d.example", i, j))
		}
		if i == 0 {
			p.Allow.Domains = append(p.Allow.Domains, "*") // so that a domain that leaves the list is allowed
		}
		p.Deny.Lists = []rules.ListUse{{Name: "disposable", List: list}}
	})
}
