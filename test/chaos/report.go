package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/policies"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// maxShown is the number of violations of each check that are printed.
	maxShown = 5
	// shownBefore is the length of the timeline that is printed before a violation.
	shownBefore = 45 * time.Second
	// A run of at least requiredAfter fails unless it has made every fault of [script.Required].
	requiredAfter = 2 * time.Minute
	// At most one call in callsPerStalled may be late or lost because the machine stalled. A run with more such calls
	// fails, because it shows too little.
	callsPerStalled = 200
)

// report checks the history and prints the result. Its last line is `N passed, N failed`.
func (c *chaos) report(calm bool) (passed bool, err error) {
	h, versions, err := c.history(context.Background())
	if err != nil {
		return false, err
	}
	found := history.Check(h, history.Limits{
		Answer: oktaTimeout, Staleness: staleness, Unfenced: unfencedStaleness, Again: readableAgainWithin,
	})
	c.summary(h, versions, &found)
	var failures, passes int
	check := func(name string, held int, broken bool) {
		word := "ok    "
		if broken {
			word = "FAILED"
			failures++
		} else {
			passes++
		}
		fmt.Fprintf(c.out, "%s %s (%d)\n", word, name, held)
	}
	for _, name := range history.Names() {
		of := slices.DeleteFunc(slices.Clone(found.Violations), func(v history.Violation) bool { return v.Name != name })
		// A check that was never made counts as failed.
		check(fmt.Sprintf("%s: %d", name, len(of)), found.Checked[name], len(of) > 0 || found.Checked[name] == 0)
		c.show(h, of)
	}
	check("few calls are excused by a stall of the machine", found.Stalled, found.Stalled*callsPerStalled > len(h.Calls))
	check("replicas without the API server were ready from a stored snapshot", c.faults.byStored, c.faults.byStored == 0 && c.triedStored())
	check("an unreadable namespace was decided by the policies last read", found.LastKnown,
		found.LastKnown == 0 && c.faults.made(script.TakeRights))
	check("a replica that had never read a namespace denied the calls in its scope, and decided all others", found.NeverRead,
		found.NeverRead == 0 && c.faults.made(script.TakeRights))
	check("all calls in the scope of a namespace beyond its budget were denied", found.OverBudget,
		found.OverBudget == 0 && c.faults.made(script.Flood))
	check("every policy was Ready at the end", len(h.Versions), !calm)
	for _, fault := range script.Required() {
		if asked := len(c.only) == 0 || slices.Contains(c.only, fault); asked && c.duration >= requiredAfter && !c.faults.made(fault) {
			c.faults.fail("%s was not made", fault)
		}
	}
	check("every fault was made and undone without an error", len(c.faults.errors), len(c.faults.errors) > 0)
	for _, text := range c.faults.errors {
		fmt.Fprintln(c.out, "  ", text)
	}
	if failures > 0 {
		fmt.Fprintf(c.out, "seed %d; the whole timeline:\n", c.seed)
		c.timeline.Print(c.out, 0, history.Never)
	}
	fmt.Fprintf(c.out, "%d passed, %d failed\n", passes, failures)
	return failures == 0, nil
}

// triedStored reports whether the run restarted a replica without --fence-after that had a stored snapshot and could
// not reach the API server.
func (c *chaos) triedStored() bool {
	return c.faults.counts[script.RestartAlone] > 0 && c.faults.alone > 0
}

func (c *chaos) summary(h *history.History, versions *policies.Versions, found *history.Report) {
	var worst time.Duration
	var end history.Moment
	for i := range h.Calls {
		worst = max(worst, h.Calls[i].End-h.Calls[i].Begin)
		end = max(end, h.Calls[i].End)
	}
	total := 0
	for _, count := range c.faults.counts {
		total += count
	}
	fmt.Fprintf(c.out, "seed %d: %d calls in %s, %d of them retried, highest latency %s; calls were at most %s behind schedule\n",
		c.seed, len(h.Calls), end.Round(time.Second), c.okta.retried, worst.Round(time.Millisecond), c.okta.behind.Round(time.Millisecond))
	fmt.Fprintf(c.out, "%d faults:", total)
	for _, fault := range c.faults.names() {
		fmt.Fprintf(c.out, " %s %d", fault, c.faults.counts[fault])
	}
	fmt.Fprintf(c.out, "; %d skipped; %d pods; %d were ready from a stored snapshot without the API server\n",
		c.faults.unsettled, len(c.faults.allPods), c.faults.byStored)
	doubts, generations := 0, 0
	for _, author := range c.authors {
		doubts += author.Doubts()
		generations += author.Generations()
	}
	fmt.Fprintf(c.out, "%d versions of the rules, %d of them mixtures of newer and older states; %d writes with a lost response; "+
		"the oldest rules of an answer were superseded %s before, of an unfenced replica %s\n", len(h.Versions), versions.Mixed, doubts,
		found.Stalest.Round(time.Millisecond), found.StalestUnfenced.Round(time.Millisecond))
	var stood time.Duration
	for _, stall := range h.Stalls {
		stood += stall.Until - stall.From
	}
	fmt.Fprintf(c.out, "the machine stalled %d times, %s in all, which excuses %d calls\n",
		len(h.Stalls), stood.Round(time.Millisecond), found.Stalled)
	ready := 0
	for i := range h.Observations {
		if h.Observations[i].Ready {
			ready++
		}
	}
	fmt.Fprintf(c.out, "Ready was read %d times, and was True %d times for %d of %d generations; %d answers are excused, because "+
		"their replica was not serving by the EndpointSlices, or their namespace could not be read\n",
		len(h.Observations), ready, len(c.watcher.ready), generations, found.Excused)
}

func (c *chaos) show(h *history.History, violations []history.Violation) {
	for _, v := range violations[:min(len(violations), maxShown)] {
		call := &h.Calls[v.Call]
		fmt.Fprintf(c.out, "  %s at %.3fs, last sent %.3fs, ended %.3fs, by %s start %d, %s: %s\n", call.ID, call.Begin.Seconds(),
			call.LastBegin.Seconds(), call.End.Seconds(), call.Pod, call.Start, call.Answer, v.Text)
	}
	if len(violations) > 0 {
		first := &h.Calls[violations[0].Call]
		fmt.Fprintf(c.out, "  timeline before the first of these %d violations:\n", len(violations))
		c.timeline.Print(c.out, first.Begin-shownBefore, first.End)
	}
}
