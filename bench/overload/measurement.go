package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"registrationpolicy.dev/operator/bench/process"
)

// measurement is one run of the program.
type measurement struct {
	rounds, lines int
	turn          time.Duration
}

const (
	// orgCalls is the maximum number of concurrent calls of an Okta org. Results are relative to it.
	orgCalls = 75
	// unlimited is a limit that is never reached.
	unlimited = 1_000_000
	// oktaTimeout is how long Okta waits for an answer.
	oktaTimeout = 3 * time.Second
)

var (
	limits = []int{orgCalls, 0, unlimited} // 0: the operator's default
	// callers has at most the server's maximum number of connections.
	callers = []int{orgCalls, 2 * orgCalls, 512, 2000}
)

func name(limit int) string {
	switch limit {
	case 0:
		return "its own"
	case unlimited:
		return "none"
	default:
		return fmt.Sprint(limit)
	}
}

// turnResult is the result of a turn.
type turnResult struct {
	rate, shedShare float64
	p50, p99, most  time.Duration
	shedP99         time.Duration
	lates           int
}

func (m measurement) run(ctx context.Context, out io.Writer) error {
	dir, err := os.MkdirTemp("", "overload")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	program, err := process.Build(ctx, "..", "./cmd/operator", dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "%d turns of %s each; medians; times as ratios to those of %d callers under the operator's own limit\n", m.rounds, m.turn, orgCalls)
	results := map[[2]int][]turnResult{}
	for round := range m.rounds {
		order := slices.Clone(limits)
		if round%2 == 1 { // alternate the order
			slices.Reverse(order)
		}
		for _, limit := range order {
			op, hook, err := start(ctx, program, dir, limit, m.lines)
			if err != nil {
				return err
			}
			for _, n := range callers {
				s, err := load(ctx, hook, n, m.turn)
				if err != nil {
					op.Stop()
					return fmt.Errorf("limit %s, %d callers: %w", name(limit), n, err)
				}
				results[[2]int{limit, n}] = append(results[[2]int{limit, n}], summarise(s, m.turn))
			}
			op.Stop()
		}
	}
	base := results[[2]int{0, orgCalls}]
	fmt.Fprintf(out, "%d callers: %.0f answers/s, p50 %s, p99 %s\n\n", orgCalls, medianOf(base, rateOf), medianTime(base, p50Of), medianTime(base, p99Of))
	fmt.Fprintln(out, "limit    callers  answers/s  shed   p50     p99     the longest  p99 of the shed  lost or later than 3 s")
	for _, limit := range limits {
		for _, n := range callers {
			r := results[[2]int{limit, n}]
			late := 0
			for _, turn := range r {
				late += turn.lates
			}
			fmt.Fprintf(out, "%-8s %7d  %9.2f  %3.0f %%  %6.2f  %6.2f  %11s  %15s  %d\n", name(limit), n,
				medianOf(r, rateOf)/medianOf(base, rateOf), 100*medianOf(r, func(t turnResult) float64 { return t.shedShare }),
				float64(medianTime(r, p50Of))/float64(medianTime(base, p50Of)), float64(medianTime(r, p99Of))/float64(medianTime(base, p99Of)),
				medianTime(r, func(t turnResult) time.Duration { return t.most }).Round(time.Millisecond),
				medianTime(r, func(t turnResult) time.Duration { return t.shedP99 }).Round(time.Millisecond), late)
		}
	}
	return nil
}

func rateOf(t turnResult) float64      { return t.rate }
func p50Of(t turnResult) time.Duration { return t.p50 }
func p99Of(t turnResult) time.Duration { return t.p99 }

func summarise(s samples, turn time.Duration) turnResult {
	r := turnResult{rate: float64(len(s.answered)) / turn.Seconds(), lates: s.lost}
	if all := len(s.answered) + len(s.shed); all > 0 {
		r.shedShare = float64(len(s.shed)) / float64(all)
	}
	slices.Sort(s.answered)
	slices.Sort(s.shed)
	for _, took := range s.answered {
		if took > oktaTimeout {
			r.lates++
		}
	}
	if n := len(s.answered); n > 0 {
		r.p50, r.p99, r.most = s.answered[n/2], s.answered[n*99/100], s.answered[n-1]
	}
	if n := len(s.shed); n > 0 {
		r.shedP99 = s.shed[n*99/100]
	}
	return r
}

// medianOf returns the median of a value of the turns.
func medianOf(turns []turnResult, value func(turnResult) float64) float64 {
	var values []float64
	for _, t := range turns {
		values = append(values, value(t))
	}
	slices.Sort(values)
	return (values[(len(values)-1)/2] + values[len(values)/2]) / 2
}

// medianTime is medianOf for a duration.
func medianTime(turns []turnResult, value func(turnResult) time.Duration) time.Duration {
	return time.Duration(medianOf(turns, func(t turnResult) float64 { return float64(value(t)) }))
}
