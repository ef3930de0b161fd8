package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"registrationpolicy.dev/operator/test/chaos/history"
	"registrationpolicy.dev/operator/test/chaos/script"
)

const (
	// shown is how many violations of each promise are shown.
	shown = 5
	// around is how much of the timeline is shown before a violation.
	around = 45 * time.Second
	// longEnough is how long faults are made at least in a run that makes all of those that it must.
	longEnough = 2 * time.Minute
	// mostStood: no more than one call in so many may be excused by a standstill of the machine.
	mostStood = 200
)

// report checks the history and prints what was found. Its last line is `N passed, N failed`.
func (c *chaos) report(calm bool) (passed bool, err error) {
	h, versions, err := c.history(context.Background())
	if err != nil {
		return false, err
	}
	found := history.Check(h, history.Limits{Answer: oktaTime, Staleness: staleness, Unfenced: unfencedStaleness, Again: again})
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
		// A promise that was held against nothing is not kept.
		check(fmt.Sprintf("%s: %d", name, len(of)), found.Held[name], len(of) > 0 || found.Held[name] == 0)
		c.show(h, of)
	}
	check("few calls met a standstill of the machine", found.Stood, found.Stood*mostStood > len(h.Calls))
	check("replicas were ready alone, by a stored snapshot", c.faults.byStored, c.faults.byStored == 0 && c.triedStored())
	check("a namespace that could not be read was decided for by what was last read", found.LastKnown,
		found.LastKnown == 0 && c.faults.made(script.TakeRights))
	check("a replica that had never read a namespace denied the calls of its scope, and decided all others", found.NeverRead,
		found.NeverRead == 0 && c.faults.made(script.TakeRights))
	check("a namespace beyond its budget was denied in its scope", found.OverBudget, found.OverBudget == 0 && c.faults.made(script.Flood))
	check("every policy was ready in the end", len(h.Versions), !calm)
	for _, fault := range script.Always() {
		if asked := len(c.only) == 0 || slices.Contains(c.only, fault); asked && c.duration >= longEnough && !c.faults.made(fault) {
			c.faults.fail("%s was not made", fault)
		}
	}
	check("every fault could be made and undone", len(c.faults.errors), len(c.faults.errors) > 0)
	for _, text := range c.faults.errors {
		fmt.Fprintln(c.out, "  ", text)
	}
	if failures > 0 {
		fmt.Fprintf(c.out, "seed %d; all that happened:\n", c.seed)
		c.timeline.Print(c.out, 0, history.Never)
	}
	fmt.Fprintf(c.out, "%d passed, %d failed\n", passes, failures)
	return failures == 0, nil
}

// triedStored tells whether a replica that is not fenced was started without the API server.
func (c *chaos) triedStored() bool {
	return c.faults.counts[script.RestartAlone] > 0 && c.faults.alone > 0
}

func (c *chaos) summary(h *history.History, versions *Versions, found *history.Report) {
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
	fmt.Fprintf(c.out, "seed %d: %d calls in %s, %d of them tried twice, worst latency %s; Okta was at most %s behind its rate\n",
		c.seed, len(h.Calls), end.Round(time.Second), c.okta.retried, worst.Round(time.Millisecond), c.okta.behind.Round(time.Millisecond))
	fmt.Fprintf(c.out, "%d faults:", total)
	for _, fault := range c.faults.names() {
		fmt.Fprintf(c.out, " %s %d", fault, c.faults.counts[fault])
	}
	fmt.Fprintf(c.out, "; %d left out; %d pods; %d were ready alone, by a stored snapshot\n",
		c.faults.unsettled, len(c.faults.old), c.faults.byStored)
	doubts, generations := 0, 0
	for _, author := range c.authors {
		doubts += author.doubts
		generations += len(author.stored)
	}
	fmt.Fprintf(c.out, "%d versions of the rules, %d mixed of newer and older states; %d writes in doubt; "+
		"the stalest answer by rules superseded %s before, of an unfenced replica %s\n", len(h.Versions), versions.mixed, doubts,
		found.Stalest.Round(time.Millisecond), found.StalestUnfenced.Round(time.Millisecond))
	var stood time.Duration
	for _, standstill := range h.Standstills {
		stood += standstill.Until - standstill.From
	}
	fmt.Fprintf(c.out, "the machine stood still %d times, %s in all, which excuses %d calls\n",
		len(h.Standstills), stood.Round(time.Millisecond), found.Stood)
	ready := 0
	for i := range h.Sights {
		if h.Sights[i].Ready {
			ready++
		}
	}
	fmt.Fprintf(c.out, "Ready was looked at %d times, and seen True %d times for %d of %d generations; %d answers are excused: "+
		"their replica did not serve by the EndpointSlices\n", len(h.Sights), ready, len(c.watcher.ready), generations, found.Excused)
}

func (c *chaos) show(h *history.History, violations []history.Violation) {
	for _, v := range violations[:min(len(violations), shown)] {
		call := &h.Calls[v.Call]
		fmt.Fprintf(c.out, "  %s at %.3fs, last sent %.3fs, ended %.3fs, by %s start %d, %s: %s\n", call.ID, call.Begin.Seconds(),
			call.LastBegin.Seconds(), call.End.Seconds(), call.Pod, call.Start, call.Answer, v.Text)
	}
	if len(violations) > 0 {
		first := &h.Calls[violations[0].Call]
		fmt.Fprintf(c.out, "  before the first of these %d:\n", len(violations))
		c.timeline.Print(c.out, first.Begin-around, first.End)
	}
}
