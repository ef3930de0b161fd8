package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"registrationpolicy.dev/operator/bench/load"
	"registrationpolicy.dev/operator/bench/mix"
	"registrationpolicy.dev/operator/bench/report"
)

// setting is a way of calling the servers.
type setting struct {
	name        string
	connections int
	tls         bool
	calls       func(mix.Call) bool // those that are made; nil: all
}

var settings = []setting{
	{name: "1", connections: 1},
	{name: "32", connections: 32},
	{name: "256", connections: 256},
	{name: "1, TLS", connections: 1, tls: true},
	{name: "32, TLS", connections: 32, tls: true},
	{name: "256, TLS", connections: 256, tls: true},
	{name: "32, all allowed", connections: 32, calls: func(c mix.Call) bool { return c.Allowed }},
	{name: "32, all denied", connections: 32, calls: func(c mix.Call) bool { return !c.Allowed }},
}

// warmConnections is the number of connections of the first turn.
const warmConnections = 32

// turn is what was measured of a server in one turn.
type turn struct {
	load.Result

	cpu      time.Duration // of the server, for each call
	resident int64         // bytes, at the end
}

// The names of the servers.
const (
	floor   = "floor"
	program = "program"
	opa     = "OPA"
	express = "Express"
)

// measureHTTP compares the servers over HTTP.
func (h *house) measureHTTP(ctx context.Context, p *report.Part) error {
	calls, err := mix.Calls()
	if err != nil {
		return err
	}
	certificate, err := newCertificate(h.dir)
	if err != nil {
		return err
	}
	starts := []start{h.startProgram(h.operator, program), h.startFloor, h.startOPA, h.startExpress}
	servers := map[bool][]*server{} // by TLS
	for _, tls := range []bool{false, true} {
		started, stop, err := h.startServers(ctx, starts, calls, certificate.use(tls))
		defer stop()
		if err != nil {
			return err
		}
		servers[tls] = started
	}
	turns, err := h.takeTurns(ctx, servers, certificate.authority)
	if err != nil {
		return err
	}
	return writeHTTP(p, servers[false], turns)
}

// takeTurns returns the turns of each round, by server and setting.
func (h *house) takeTurns(ctx context.Context, servers map[bool][]*server, authority []byte) (map[string]map[string][]turn, error) {
	turns := map[string]map[string][]turn{}
	for _, all := range servers { // a first turn, which does not count: Node.js compiles what is called often
		for _, server := range all {
			job := server.job(nil, authority)
			job.Connections, job.Turn = warmConnections, h.turn
			if _, err := server.turn(ctx, job, h.load); err != nil {
				return nil, fmt.Errorf("%s: %w", server.name, err)
			}
			turns[server.name] = map[string][]turn{}
		}
	}
	for round := range h.rounds {
		for _, s := range settings {
			all := servers[s.tls]
			for i := range all {
				server := all[(i+round)%len(all)] // another order in each round
				others := server.name != floor && server.name != program
				if server.failed || s.calls != nil && others {
					continue
				}
				job := server.job(s.calls, authority)
				job.Connections, job.Turn = s.connections, h.turn
				took, err := server.turn(ctx, job, h.load)
				if err != nil {
					err = fmt.Errorf("%s, connections %s: %w", server.name, s.name, err)
					if !others {
						return nil, err
					}
					h.leftOut(err)
					server.failed = true
					continue
				}
				turns[server.name][s.name] = append(turns[server.name][s.name], took)
			}
		}
		say("http: round %d of %d", round+1, h.rounds)
	}
	return turns, nil
}

// quantity is something that is measured in a turn.
type quantity struct {
	name, unit string
	of         func(turn) float64
}

func microseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1000 }

var (
	throughput = quantity{"throughput", "calls/s", func(t turn) float64 { return t.Throughput() }}
	p50        = quantity{"p50", "µs", func(t turn) float64 { return microseconds(t.P50) }}
	p99        = quantity{"p99", "µs", func(t turn) float64 { return microseconds(t.P99) }}
	p999       = quantity{"p99.9", "µs", func(t turn) float64 { return microseconds(t.P999) }}
	cpuTime    = quantity{"CPU time a call", "µs", func(t turn) float64 { return microseconds(t.cpu) }}
)

// values returns a quantity in each round.
func values(turns []turn, of func(turn) float64) []float64 {
	all := make([]float64, len(turns))
	for i, t := range turns {
		all[i] = of(t)
	}
	return all
}

// ratios returns a quantity of one server against that of another in the same rounds.
func ratios(turns, others []turn, of func(turn) float64) []float64 {
	all := make([]float64, min(len(turns), len(others)))
	for i := range all {
		all[i] = of(turns[i]) / of(others[i])
	}
	return all
}

func writeHTTP(p *report.Part, servers []*server, turns map[string]map[string][]turn) error {
	p.Paragraph("Connections are kept, and each sends its next call when it has an answer. A bare `net/http` handler that reads the " +
		"body and writes as many bytes is the floor. The rows of the floor are absolute, all others are ratios to it in the same round.")
	var mixed, others []setting
	for _, s := range settings {
		if s.calls == nil {
			mixed = append(mixed, s)
		} else {
			others = append(others, s)
		}
	}
	if err := plotHTTP(p, servers, turns, mixed, throughput, "throughput.svg"); err != nil {
		return err
	}
	compare := func(settings []setting, some ...quantity) [][]string {
		rows := [][]string{{"connections"}}
		for _, s := range settings {
			rows[0] = append(rows[0], s.name)
		}
		for _, q := range some {
			rows = append(rows, compareRows(p, servers, turns, settings, q)...)
		}
		return rows
	}
	rows := compare(mixed, throughput)
	for _, other := range servers {
		if other.name == floor || other.name == program {
			continue
		}
		row := []string{"throughput, the program to " + other.name}
		for _, s := range mixed {
			row = append(row, p.Add(s.name+"/program/throughput to "+other.name, "ratio",
				ratios(turns[program][s.name], turns[other.name][s.name], throughput.of)))
		}
		rows = append(rows, row)
	}
	p.Table(rows...)
	p.Table(compare(others, throughput, p99)...)
	if err := plotHTTP(p, servers, turns, mixed, p99, "p99.svg"); err != nil {
		return err
	}
	p.Table(compare(mixed, p50, p99, p999)...)

	rows = compare(mixed, cpuTime)
	for _, server := range servers {
		row := []string{server.name + ": resident after it, MiB"}
		for _, s := range mixed {
			row = append(row, p.Add(s.name+"/"+server.name+"/resident", "MiB",
				values(turns[server.name][s.name], func(t turn) float64 { return float64(t.resident>>10) / 1024 })))
		}
		rows = append(rows, row)
	}
	p.Table(rows...)
	return nil
}

// compareRows returns the rows of one quantity: of the floor, and of the others as ratios to it.
func compareRows(p *report.Part, servers []*server, turns map[string]map[string][]turn, settings []setting, q quantity) [][]string {
	first := []string{"floor: " + q.name + ", " + q.unit}
	for _, s := range settings {
		first = append(first, p.Add(s.name+"/floor/"+q.name, q.unit, values(turns[floor][s.name], q.of)))
	}
	rows := [][]string{first}
	for _, server := range servers {
		if server.name == floor || len(turns[server.name][settings[0].name]) == 0 {
			continue
		}
		row := []string{server.name + ": " + q.name}
		for _, s := range settings {
			p.Add(s.name+"/"+server.name+"/"+q.name, q.unit, values(turns[server.name][s.name], q.of))
			row = append(row, p.Add(s.name+"/"+server.name+"/"+q.name+" to the floor", "ratio",
				ratios(turns[server.name][s.name], turns[floor][s.name], q.of)))
		}
		rows = append(rows, row)
	}
	return rows
}

// plotHTTP plots a quantity of the servers, as a ratio to the floor's.
func plotHTTP(p *report.Part, servers []*server, turns map[string]map[string][]turn, settings []setting, q quantity, file string) error {
	var labels []string
	for _, s := range settings {
		labels = append(labels, s.name)
	}
	var series []report.Series
	for _, server := range servers {
		missing := func(s setting) bool { return len(turns[server.name][s.name]) == 0 }
		if server.name == floor || slices.ContainsFunc(settings, missing) {
			continue
		}
		bars := report.Series{Name: server.name}
		for _, s := range settings {
			bars.Y = append(bars.Y, report.Median(ratios(turns[server.name][s.name], turns[floor][s.name], q.of)))
		}
		series = append(series, bars)
	}
	title := "Ratio of the " + q.name + " to that of a bare net/http handler"
	svg, err := report.Bars(title, "connections", labels, series)
	if err != nil {
		return err
	}
	p.Plot(file, title+", by the number of connections", svg)
	return nil
}
