package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The targets.
const (
	steadyTarget     = 2  // lists per minute and replica
	editTarget       = 20 // lists for one edit
	burstTarget      = 300
	burstEdits       = 30
	burstTime        = 40 * time.Second
	unreadableTarget = 2 * time.Second
	// fenceAfter is the --fence-after of fenced fleets: the minimum.
	fenceAfter = 30 * time.Second
)

// measurement is a run of the program.
type measurement struct {
	out     io.Writer
	cluster *cluster
	dir     string
	program string
	verbose bool

	namespaces, replicas, edits, writes, policies int
	numbers                                       []int // of namespaces, for ceiling
	steady, fenced, delay, every                  time.Duration
}

// check checks the flags.
func (m *measurement) check(ceiling string) error {
	for number := range strings.SplitSeq(ceiling, ",") {
		n, err := strconv.Atoi(number)
		if err != nil || n < 1 || n > maxNamespaces {
			return fmt.Errorf("-ceiling: %q: write numbers from 1 to %d, with commas between", number, maxNamespaces)
		}
		m.numbers = append(m.numbers, n)
	}
	slices.Sort(m.numbers)
	switch {
	case m.namespaces < 3 || m.namespaces > maxNamespaces:
		return fmt.Errorf("-namespaces: write 3 to %d", maxNamespaces)
	case m.replicas < 1 || m.replicas > maxReplicas:
		return fmt.Errorf("-replicas: write 1 to %d", maxReplicas)
	case m.edits < 1 || m.edits > 100:
		return errors.New("-edits: write 1 to 100")
	case m.writes < 1 || m.writes > maxWrites:
		return fmt.Errorf("-writes: write 1 to %d", maxWrites)
	case m.policies < 1 || m.policies > maxPolicies:
		return fmt.Errorf("-policies: write 1 to %d", maxPolicies)
	case m.delay < 0 || m.delay > maxLatency:
		return fmt.Errorf("-latency: write a duration up to %s", maxLatency)
	}
	for flag, value := range map[string]time.Duration{"steady": m.steady, "fenced": m.fenced, "edit-every": m.every} {
		if value < 0 || value > maxTime {
			return fmt.Errorf("-%s: write a duration up to %s", flag, maxTime)
		}
	}
	return nil
}

// start starts a fleet, and returns when it is at rest. With o.anyway it also returns a fleet that does not become
// ready in time.
func (m *measurement) start(ctx context.Context, o fleetOptions) (*fleet, error) {
	o.program, o.dir = m.program, m.dir
	f, err := startFleet(ctx, m.cluster, o)
	if err != nil {
		return nil, err
	}
	begin, waiting := time.Now(), ctx
	if o.anyway {
		var cancel context.CancelFunc
		waiting, cancel = context.WithTimeout(ctx, anywayTime)
		defer cancel()
	}
	err = f.awaitReady(waiting)
	switch {
	case err == nil:
		m.say("  all ready after %s, %d lists", time.Since(begin).Round(100*time.Millisecond), f.counts.snapshot().lists())
		err = sleep(ctx, settleTime)
	case ctx.Err() == nil && o.anyway:
		m.say("  NOT all ready after %s", time.Since(begin).Round(time.Second))
		err = nil
	}
	if err != nil {
		f.stop()
		return nil, err
	}
	return f, nil
}

// say prints a line.
func (m *measurement) say(format string, arguments ...any) {
	fmt.Fprintf(m.out, format+"\n", arguments...)
}

// verdict describes whether a target is met.
func verdict(within bool) string {
	if within {
		return "within its target"
	}
	return "MISSES its target"
}

// explain prints the requests if a target is missed, or with -v.
func (m *measurement) explain(within bool, c *counts) {
	if m.verbose || !within {
		c.print(m.out)
	}
}

// quiet measures a fleet without a fence: at rest, for single edits, and for a burst of edits.
func (m *measurement) quiet(ctx context.Context) error {
	m.say("\nnot fenced, %d namespaces", m.namespaces)
	f, err := m.start(ctx, fleetOptions{namespaces: m.namespaces})
	if err != nil {
		return err
	}
	defer f.stop()
	if m.steady > 0 {
		before := f.counts.snapshot()
		if err := sleep(ctx, m.steady); err != nil {
			return err
		}
		made := f.counts.since(before)
		rate := float64(made.lists()) / m.steady.Minutes() / float64(m.replicas)
		within := rate <= steadyTarget
		m.say("  at rest for %s: %.2f lists per minute and replica, %d in total (at most %d: %s)",
			m.steady, rate, made.lists(), steadyTarget, verdict(within))
		m.explain(within, made)
	}
	if err := m.single(ctx, f); err != nil {
		return err
	}
	return m.burst(ctx, f)
}

// single measures single edits.
func (m *measurement) single(ctx context.Context, f *fleet) error {
	var lists, later []int
	var times []time.Duration
	worst := newCounts()
	for i := range m.edits {
		namespace := namespaceName(1 + i%(m.namespaces-1))
		before, begin := f.counts.snapshot(), time.Now()
		if err := m.cluster.edit(ctx, namespace); err != nil {
			return err
		}
		if err := m.cluster.awaitReady(ctx, namespace); err != nil {
			return err
		}
		times = append(times, time.Since(begin))
		lists = append(lists, f.counts.since(before).lists())
		if err := sleep(ctx, settleTime-time.Since(begin)); err != nil {
			return err
		}
		made := f.counts.since(before)
		later = append(later, made.lists())
		if made.lists() >= worst.lists() {
			worst = made
		}
	}
	within := slices.Max(later) <= editTarget
	m.say("  one edit until Ready: %s, %v lists; within %s of the edit %v (at most %d: %s)",
		rounded(times), lists, settleTime, later, editTarget, verdict(within))
	m.explain(within, worst)
	return nil
}

// burst measures a series of edits in many namespaces.
func (m *measurement) burst(ctx context.Context, f *fleet) error {
	before, begin := f.counts.snapshot(), time.Now()
	for i := range burstEdits {
		if err := sleep(ctx, time.Until(begin.Add(burstTime*time.Duration(i)/(burstEdits-1)))); err != nil {
			return err
		}
		if err := m.cluster.edit(ctx, namespaceName(1+i%(m.namespaces-1))); err != nil {
			return err
		}
	}
	last := time.Now()
	if err := m.cluster.awaitAllReady(ctx, m.namespaces); err != nil {
		return err
	}
	made := f.counts.since(before)
	within := made.lists() <= burstTarget
	m.say("  %d edits in %s until all Ready: %d lists (at most %d: %s); Ready %s after the last",
		burstEdits, burstTime, made.lists(), burstTarget, verdict(within), time.Since(last).Round(time.Millisecond))
	m.explain(within, made)
	return nil
}

// latency samples the readiness of a fenced fleet with a slow connection to the API server.
func (m *measurement) latency(ctx context.Context) error {
	m.say("\n--fence-after %s, %d namespaces, %s of latency each way", fenceAfter, m.namespaces, m.delay)
	f, err := m.start(ctx, fleetOptions{namespaces: m.namespaces, latency: m.delay, fenceAfter: fenceAfter, anyway: true})
	if err != nil {
		return err
	}
	defer f.stop()
	before, begin := f.counts.snapshot(), time.Now()
	samples, unready := 0, map[string]int{}
	var when []time.Duration // at least one was unready
	nextEdit, edits := begin.Add(m.every), 0
	var pending string
	var edited time.Time
	var took []time.Duration
	var why []byte
	for tick := begin; time.Since(begin) < m.fenced; tick = tick.Add(sampleInterval) {
		if err := sleep(ctx, time.Until(tick)); err != nil {
			return err
		}
		for _, r := range f.replicas {
			samples++
			if !r.isReady(ctx) {
				if len(unready) == 0 {
					why = r.details(ctx)
				}
				unready[r.name]++
				if at := tick.Sub(begin); len(when) == 0 || when[len(when)-1] != at {
					when = append(when, at)
				}
			}
		}
		if pending != "" {
			policy, err := m.cluster.policy(ctx, pending)
			if err != nil {
				return err
			}
			if ready(policy) {
				took, pending = append(took, time.Since(edited)), ""
			}
		}
		if m.every > 0 && pending == "" && time.Now().After(nextEdit) {
			pending, edited = namespaceName(1+edits%(m.namespaces-1)), time.Now()
			if err := m.cluster.edit(ctx, pending); err != nil {
				return err
			}
			edits++
			nextEdit = edited.Add(m.every)
		}
	}
	made := f.counts.since(before)
	within := len(unready) == 0
	m.say("  unready in %d of %d samples in %s %v (none: %s)", sum(unready), samples, m.fenced, unready, verdict(within))
	if !within {
		m.say("  unready at %s; of the first: %s", rounded(when), oneLine(why))
	}
	m.say("  %d edits, Ready after %s; %.2f lists per minute and replica", edits, rounded(took),
		float64(made.lists())/m.fenced.Minutes()/float64(m.replicas))
	m.explain(within, made)
	return nil
}

// unreadable measures a fenced fleet with one unreadable namespace.
func (m *measurement) unreadable(ctx context.Context) error {
	const gone, other = 1, 2
	m.say("\n--fence-after %s, %d namespaces, of which one cannot be read", fenceAfter, m.namespaces)
	f, err := m.start(ctx, fleetOptions{namespaces: m.namespaces, fenceAfter: fenceAfter})
	if err != nil {
		return err
	}
	defer f.stop()
	binding := m.cluster.binding(namespaceName(gone))
	if err := m.cluster.admin.Delete(ctx, binding); err != nil {
		return err
	}
	taken := time.Now()
	ended := 0
	for _, r := range f.replicas { // the API server itself ends watches within ten minutes
		ended += r.proxy.endWatches(namespaceName(gone))
	}
	m.say("  rights in %s removed, its %d watches ended", namespaceName(gone), ended)
	if err := m.readyzNames(ctx, f, namespaceName(gone), taken); err != nil {
		return err
	}
	before := f.counts.snapshot()
	if err := m.editElsewhere(ctx, f, namespaceName(other), "  "); err != nil {
		return err
	}
	if err := sleep(ctx, time.Until(taken.Add(2*fenceAfter))); err != nil {
		return err
	}
	m.say("  %s after the removal:", time.Since(taken).Round(time.Second))
	if err := m.editElsewhere(ctx, f, namespaceName(other), "    "); err != nil {
		return err
	}
	m.calls(ctx, f.replicas, "    ")
	m.say("    requests in these %s: %d lists", time.Since(taken).Round(time.Second), f.counts.since(before).lists())
	m.explain(true, f.counts.since(before))

	r := f.replicas[m.replicas-1]
	r.stop(syscall.SIGTERM)
	begin := time.Now()
	if err := r.start(ctx); err != nil {
		return err
	}
	if waiting, cancel := context.WithTimeout(ctx, 2*fenceAfter); r.awaitReady(waiting) != nil {
		m.say("  %s, restarted: NOT ready after %s: %s", r.name, 2*fenceAfter, oneLine(r.details(ctx)))
		cancel()
	} else {
		m.say("  %s, restarted: ready after %s", r.name, time.Since(begin).Round(time.Millisecond))
		cancel()
	}
	m.calls(ctx, []*replica{r}, "    ")
	if err := m.editElsewhere(ctx, f, namespaceName(other), "    "); err != nil {
		return err
	}

	if err := m.cluster.admin.Create(ctx, m.cluster.binding(namespaceName(gone))); err != nil {
		return err
	}
	begin = time.Now()
	if err := m.cluster.edit(ctx, namespaceName(gone)); err != nil {
		return err
	}
	if err := m.cluster.awaitReady(ctx, namespaceName(gone)); err != nil {
		return err
	}
	m.say("  rights restored: an edit there is Ready after %s", time.Since(begin).Round(time.Millisecond))
	m.calls(ctx, f.replicas, "    ")
	return nil
}

// readyzNames prints when /readyz of all replicas names an unreadable namespace.
func (m *measurement) readyzNames(ctx context.Context, f *fleet, namespace string, since time.Time) error {
	waiting, cancel := context.WithTimeout(ctx, fenceAfter)
	defer cancel()
	var faults []string
	err := until(waiting, listInterval, "", func(ctx context.Context) (bool, error) {
		faults = nil
		for _, r := range f.replicas {
			faults = append(faults, r.fault(ctx, namespace))
		}
		return !slices.Contains(faults, ""), nil
	})
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		m.say("  /readyz does not name it within %s (MISSES its target): %s", fenceAfter, oneLine(f.replicas[0].details(ctx)))
	default:
		m.say("  /readyz of all replicas names it after %s: %q", time.Since(since).Round(time.Millisecond), faults[0])
	}
	return nil
}

// oneLine replaces each run of whitespace by one space.
func oneLine(text []byte) []byte { return bytes.Join(bytes.Fields(text), []byte(" ")) }

// editElsewhere prints how long an edit in a readable namespace takes until it is Ready.
func (m *measurement) editElsewhere(ctx context.Context, f *fleet, namespace, indent string) error {
	before, begin := f.counts.snapshot(), time.Now()
	if err := m.cluster.edit(ctx, namespace); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, fenceAfter)
	defer cancel()
	if err := m.cluster.awaitReady(waiting, namespace); err != nil {
		if ctx.Err() != nil {
			return err
		}
		m.say("%san edit in %s: NOT Ready within %s (MISSES its target)", indent, namespace, fenceAfter)
		if policy, err := m.cluster.policy(ctx, namespace); err == nil {
			m.say("%s  %+v", indent, policy.Status.Conditions)
		}
		m.explain(false, f.counts.since(before))
		return nil
	}
	took := time.Since(begin)
	within := took <= unreadableTarget
	m.say("%san edit in %s: Ready after %s, %d lists (at most %s: %s)", indent, namespace, took.Round(time.Millisecond),
		f.counts.since(before).lists(), unreadableTarget, verdict(within))
	m.explain(within, f.counts.since(before))
	return nil
}

// calls prints the answers of replicas to calls in the scope of the unreadable namespace, of another one, and of none.
func (m *measurement) calls(ctx context.Context, replicas []*replica, indent string) {
	for _, r := range replicas {
		status := func(a answer) string {
			if a.status != http.StatusOK {
				return strconv.Itoa(a.status)
			}
			return a.action + " " + a.reason
		}
		m.say("%s%s: ready %t; calls of the unreadable namespace: %s; of another: %s; of none: %s", indent, r.name, r.isReady(ctx),
			status(r.register(ctx, source(1), "jo@acme.com")), status(r.register(ctx, source(2), "jo@acme.com")),
			status(r.register(ctx, "rulOfNobody", "jo@elsewhere.example")))
	}
}

// ceiling measures fleets with increasing numbers of namespaces.
func (m *measurement) ceiling(ctx context.Context) error {
	m.say("\nmore namespaces, --fence-after %s", fenceAfter)
	for _, n := range m.numbers {
		if err := m.cluster.create(ctx, n); err != nil {
			return err
		}
		begin := time.Now()
		f, err := startFleet(ctx, m.cluster, fleetOptions{program: m.program, dir: m.dir, namespaces: n, fenceAfter: fenceAfter})
		if err != nil {
			return fmt.Errorf("%d namespaces: %w", n, err)
		}
		if err := f.awaitReady(ctx); err != nil {
			f.stop()
			return fmt.Errorf("%d namespaces: %w", n, err)
		}
		started, made := time.Since(begin), f.counts.snapshot()
		if err := m.measureFleet(ctx, f, n, started, made); err != nil {
			f.stop()
			return fmt.Errorf("%d namespaces: %w", n, err)
		}
		f.stop()
	}
	return nil
}

func (m *measurement) measureFleet(ctx context.Context, f *fleet, n int, started time.Duration, start *counts) error {
	if err := sleep(ctx, settleTime); err != nil {
		return err
	}
	before := f.counts.snapshot()
	if err := sleep(ctx, time.Minute); err != nil {
		return err
	}
	rest := f.counts.since(before)
	before, begin := f.counts.snapshot(), time.Now()
	namespace := namespaceName(n - 1)
	if err := m.cluster.edit(ctx, namespace); err != nil {
		return err
	}
	if err := m.cluster.awaitReady(ctx, namespace); err != nil {
		return err
	}
	took, edit := time.Since(begin), f.counts.since(before)
	size, err := f.leaseBytes(ctx)
	if err != nil {
		return err
	}
	var now, peak int64
	for _, r := range f.replicas {
		n, p := r.memory()
		now, peak = max(now, n), max(peak, p)
	}
	m.say("  %d namespaces: all ready after %s, %d lists; at rest %.2f lists per minute and replica; one edit: Ready after %s, %d lists; "+
		"Lease %d bytes; resident %d MiB, peak %d MiB",
		n, started.Round(100*time.Millisecond), start.lists(), float64(rest.lists())/float64(m.replicas),
		took.Round(time.Millisecond), edit.lists(), size, now>>20, peak>>20)
	m.explain(true, rest)
	return nil
}

// sleep waits for a time, or until ctx ends.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func rounded(times []time.Duration) string {
	var texts []string
	for _, t := range times {
		texts = append(texts, t.Round(time.Millisecond).String())
	}
	return strings.Join(texts, " ")
}

func sum(of map[string]int) int {
	all := 0
	for _, n := range of {
		all += n
	}
	return all
}
