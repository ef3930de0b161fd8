package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"registrationpolicy.dev/operator/bench/mix"
	"registrationpolicy.dev/operator/bench/process"
	"registrationpolicy.dev/operator/bench/report"
)

const (
	disturbedConnections = 32
	changesPerSecond     = 50
	changedPolicies      = 20
	// badShare is one bad credential in ten calls.
	badShare = 10
	// settling is the time after a disturbance until the next turn, so that its consequences do not fall into that.
	settling = time.Second
)

// disturbance is what happens while calls are made.
type disturbance struct {
	name string
	// during runs until ctx ends; nil: nothing.
	during func(ctx context.Context) error
	// longer says how many times as long the turn is.
	longer int
	// bad: one call in ten has a wrong credential.
	bad bool
}

// measureDisturbed measures the program on a real API server while something goes on, against its own quiet. The floor
// is measured beside it: what it loses, the API server and its client take from the machine.
func (h *house) measureDisturbed(ctx context.Context, p *report.Part) (err error) {
	entries := 1_000_000
	if h.quick {
		entries = 50_000
	}
	c, err := startCluster()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := errors.Join(
		c.createMix(ctx), c.createOthers(ctx, changedPolicies), c.writeList(ctx, entries, 0), c.createListing(ctx),
	); err != nil {
		return err
	}
	calls, err := mix.Calls()
	if err != nil {
		return err
	}
	servers, stop, err := h.startServers(ctx, []start{h.startInCluster(c), h.startFloor}, calls, nil)
	defer stop()
	if err != nil {
		return err
	}
	version := 0
	all := []disturbance{
		{name: "quiet"},
		{name: fmt.Sprintf("%d changes of policies a second", changesPerSecond), during: c.changePolicies},
		{name: "the list of 1,000,000 replaced", longer: 4, during: func(ctx context.Context) error {
			version++
			return c.writeList(context.WithoutCancel(ctx), entries, version)
		}},
		{name: "1 call in 10 with a bad credential", bad: true},
	}
	turns := map[string]map[string][]turn{program: {}, floor: {}}
	for round := range h.rounds {
		for _, d := range all {
			for i := range servers {
				s := servers[(i+round)%len(servers)]
				if d.bad && s.name == floor {
					continue // it refuses nothing
				}
				took, err := h.disturbedTurn(ctx, s, d)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", s.name, d.name, err)
				}
				turns[s.name][d.name] = append(turns[s.name][d.name], took)
			}
		}
		say("disturbed: round %d of %d", round+1, h.rounds)
	}
	p.Paragraph("%d kept connections call the program, which watches a real API server and has a list of 1,000,000 denied domains; "+
		"ratios to its own quiet in the same round. The API server and its client run on the same cores: the columns of the floor, a bare "+
		"`net/http` handler, show what that alone costs. Good calls only; a connection with a bad credential is closed, and made anew.",
		disturbedConnections)
	rows := [][]string{{"while", "throughput", "p99", "floor: throughput", "floor: p99"}}
	for _, d := range all[1:] {
		row := []string{d.name}
		for _, name := range []string{program, floor} {
			for _, q := range []quantity{throughput, p99} {
				row = append(row, p.Add(d.name+"/"+name+"/"+q.name+" to quiet", "ratio",
					ratios(turns[name][d.name], turns[name][all[0].name], q.of)))
			}
		}
		rows = append(rows, row)
	}
	for _, d := range all {
		for _, q := range []quantity{throughput, p99} {
			p.Add(d.name+"/program/"+q.name, q.unit, values(turns[program][d.name], q.of))
		}
	}
	p.Table(rows...)
	return nil
}

// disturbedTurn measures a turn of a server during a disturbance.
func (h *house) disturbedTurn(ctx context.Context, s *server, d disturbance) (turn, error) {
	job := s.job(nil, nil)
	if d.bad {
		job = s.badJob(badShare)
	}
	job.Connections, job.Turn = disturbedConnections, h.turn*time.Duration(max(d.longer, 1))
	disturbing, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan error, 1)
	go func() {
		if d.during == nil {
			ended <- nil
			return
		}
		ended <- d.during(disturbing)
	}()
	took, err := s.turn(ctx, job, h.load)
	stop()
	if ended := <-ended; ended != nil && !errors.Is(ended, context.Canceled) {
		err = errors.Join(err, ended)
	}
	if d.during != nil {
		time.Sleep(settling)
	}
	return took, err
}

// startInCluster returns a start of the operator that watches a cluster.
func (h *house) startInCluster(c *cluster) start {
	return func(ctx context.Context, _ *certificate) (*server, error) {
		kubeconfig := filepath.Join(h.dir, "kubeconfig")
		if err := os.WriteFile(kubeconfig, c.kubeconfig, 0o600); err != nil {
			return nil, err
		}
		flags, err := h.operatorFlags(nil)
		if err != nil {
			return nil, err
		}
		return serving(program)(process.StartOperator(ctx, h.operator,
			append([]string{"--kubeconfig", kubeconfig, "--namespace", namespace, "--replica-name", "bench"}, flags...)...))
	}
}

// createMix creates the policies of the mix.
func (c *cluster) createMix(ctx context.Context) error {
	for name, spec := range mix.Specs() {
		if err := c.create(ctx, name, spec); err != nil {
			return err
		}
	}
	return nil
}

// changePolicies changes policies that no call is decided by, until ctx ends.
func (c *cluster) changePolicies(ctx context.Context) error {
	tick := time.NewTicker(time.Second / changesPerSecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		name := fmt.Sprintf("other-%05d", i%changedPolicies)
		if _, err := c.allow(ctx, name, fmt.Sprintf("changed-%d.example.org", i)); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
