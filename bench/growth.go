package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math"
	"testing"
	"time"

	"gonum.org/v1/gonum/stat"

	"registrationpolicy.dev/operator/bench/report"
	"registrationpolicy.dev/operator/rules"
)

// growing is something that a namespace may have more and more of.
type growing struct {
	name  string
	sizes []int
	build func(size int) []rules.Policy
	// domain is that of the i-th call.
	domain func(i, size int) string
	want   rules.Reason
}

const growthSource = "rul1bufGk5dJdRYw50g4" // the source of every call

var growths = []growing{
	{
		"policies, of which one allows the domain", []int{1, 10, 100, 1_000, 10_000},
		func(size int) []rules.Policy {
			return policiesOf(size, func(i int, p *rules.Policy) { p.Allow.Domains = []string{growthDomain(i)} })
		},
		func(i, size int) string { return growthDomain(i % size) }, rules.ReasonAllowed,
	},
	{
		"entries of a list", []int{1_000, 10_000, 100_000, 1_000_000},
		func(size int) []rules.Policy {
			var text []byte
			for i := range size {
				text = append(text, growthDomain(i)+"\n"...)
			}
			return policiesOf(1, func(_ int, p *rules.Policy) {
				p.Allow.Domains = []string{"*"}
				p.Deny.Lists = []rules.ListUse{{Name: "list", List: rules.CompileList(text)}}
			})
		},
		func(i, size int) string { return "mail." + growthDomain(i*7919%size) }, rules.ReasonDenied,
	},
	{
		"policies with different lists of sources, which all have the call's", []int{1, 10, 100, 1_000},
		func(size int) []rules.Policy {
			return policiesOf(size, func(i int, p *rules.Policy) {
				p.Allow.Domains, p.Sources = []string{growthDomain(i)}, []string{growthSource, fmt.Sprintf("rulOther%d", i)}
			})
		},
		func(i, size int) string { return growthDomain(i % size) }, rules.ReasonAllowed,
	},
	{
		"policies that all allow the domain", []int{1, 10, 100, 1_000},
		func(size int) []rules.Policy {
			return policiesOf(size, func(_ int, p *rules.Policy) { p.Allow.Domains = []string{growthDomain(0)} })
		},
		func(int, int) string { return growthDomain(0) }, rules.ReasonAllowed,
	},
}

func growthDomain(i int) string { return fmt.Sprintf("company-%06d.example.com", i) }

func policiesOf(n int, set func(i int, p *rules.Policy)) []rules.Policy {
	policies := make([]rules.Policy, n)
	for i := range policies {
		policies[i].PolicyName = rules.PolicyName{Namespace: "okta", Name: fmt.Sprintf("policy-%05d", i)}
		set(i, &policies[i])
	}
	return policies
}

// measureGrowth measures a decision while what decides it grows.
func (h *house) measureGrowth(ctx context.Context, p *report.Part) error {
	benchtime, biggest := "50ms", math.MaxInt
	if h.quick {
		benchtime, biggest = "5ms", 10_000
	}
	testing.Init() // testing.Benchmark reads the flag
	if err := flag.Set("test.benchtime", benchtime); err != nil {
		return err
	}
	rows := [][]string{{"number", "of", "ns a decision", "allocations", "exponent"}}
	var lines []report.Series
	for _, g := range growths {
		line := report.Series{Name: g.name}
		for _, size := range g.sizes {
			if size > biggest {
				continue
			}
			nanoseconds, allocations, err := h.decisions(ctx, g, size)
			if err != nil {
				return fmt.Errorf("%d %s: %w", size, g.name, err)
			}
			line.X, line.Y = append(line.X, float64(size)), append(line.Y, report.Median(nanoseconds))
			name := fmt.Sprintf("%s/%d", g.name, size)
			rows = append(rows, []string{
				fmt.Sprint(size), g.name,
				p.Add(name+"/time", "ns", nanoseconds), p.Add(name+"/allocations", "allocations", []float64{allocations}), "",
			})
		}
		slope := exponent(line)
		rows[len(rows)-1][4] = p.Add(g.name+"/exponent", "exponent", []float64{slope})
		line.Name += fmt.Sprintf(", exponent %.2f", slope)
		lines = append(lines, line)
	}
	p.Paragraph("A sign-up with `email` and `login`, decided while one thing grows. The exponent describes the three largest sizes: " +
		"with 0 the cost does not depend on the size, with 1 it doubles when the size doubles.")
	svg, err := report.Lines("A decision, as what decides it grows", "number", "ns a decision", lines)
	if err != nil {
		return err
	}
	p.Plot("growth.svg", "Nanoseconds a decision by the number of policies, entries and lists", svg)
	p.Table(rows...)
	return h.measureComparisons(ctx, p, biggest)
}

// decisions returns the time of a decision in each round, and its allocations.
func (h *house) decisions(ctx context.Context, g growing, size int) (nanoseconds []float64, allocations float64, _ error) {
	snapshot, rejections := rules.Compile(g.build(size))
	if len(rejections) > 0 {
		return nil, 0, fmt.Errorf("rejected: %v", rejections)
	}
	const different = 1024
	calls := make([]rules.Call, different)
	for i := range calls {
		address := "jo@" + g.domain(i, size)
		calls[i] = rules.Call{Shape: rules.SignUp, Source: growthSource, Profile: []rules.Attribute{
			{Name: "email", Kind: rules.Text, Text: address}, {Name: "login", Kind: rules.Text, Text: address},
		}}
		if d := snapshot.Decide(calls[i]); d.Reason != g.want {
			return nil, 0, fmt.Errorf("decided %s, want %s", d.Reason, g.want)
		}
	}
	for range h.rounds {
		result := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				snapshot.Decide(calls[i%different])
			}
		})
		if result.N == 0 {
			return nil, 0, errors.New("the benchmark did not run")
		}
		nanoseconds = append(nanoseconds, float64(result.T)/float64(result.N)/float64(time.Nanosecond))
		allocations = float64(result.AllocsPerOp())
	}
	return nanoseconds, allocations, ctx.Err()
}

// exponent returns e of the curve size^e through the largest sizes.
func exponent(line report.Series) float64 {
	const largest = 3
	from := max(0, len(line.X)-largest)
	var x, y []float64
	for i := from; i < len(line.X); i++ {
		x, y = append(x, math.Log(line.X[i])), append(y, math.Log(line.Y[i]))
	}
	_, slope := stat.LinearRegression(x, y, nil, false)
	return math.Round(slope*100) / 100
}
