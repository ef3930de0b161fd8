package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"registrationpolicy.dev/operator/bench/mix"
	"registrationpolicy.dev/operator/bench/process"
	"registrationpolicy.dev/operator/bench/report"
)

// The builds that profile compares.
const (
	with    = "with the profile"
	without = "without"
)

// profile writes a CPU profile of the program while it answers the mix of calls, for the compiler (go build -pgo), and
// prints how the program built with the profile compares with the program built without.
func (h *house) profile(ctx context.Context, file string) error {
	calls, err := mix.Calls()
	if err != nil {
		return err
	}
	written := filepath.Join(h.dir, "cpu.pprof")
	if err := h.writeProfile(ctx, calls, written); err != nil {
		return err
	}
	var starts []start
	for _, build := range []struct{ name, pgo string }{{with, written}, {without, "off"}} {
		dir := filepath.Join(h.dir, strings.ReplaceAll(build.name, " ", "-"))
		path, err := process.Build(ctx, "..", "./cmd/operator", dir, "-pgo="+build.pgo)
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		say("%s: a program of %d KiB", build.name, info.Size()>>10)
		starts = append(starts, h.startProgram(path, build.name))
	}
	servers, stop, err := h.startServers(ctx, starts, calls, nil)
	defer stop()
	if err != nil {
		return err
	}
	turns := map[string][]turn{}
	for round := range h.rounds {
		for i := range servers {
			s := servers[(i+round)%len(servers)]
			job := s.job(nil, nil)
			job.Connections, job.Turn = warmConnections, h.turn
			took, err := s.turn(ctx, job, h.load)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			turns[s.name] = append(turns[s.name], took)
		}
	}
	p := report.New("pgo")
	for _, q := range []quantity{throughput, p50, p99, cpuTime} {
		say("%s, %s to %s: %s", q.name, with, without, p.Add(q.name, "ratio", ratios(turns[with], turns[without], q.of)))
	}
	profile, err := os.ReadFile(written)
	if err != nil {
		return err
	}
	say("%s: %d KiB; commit it if it makes the program faster, else remove it", file, len(profile)>>10)
	return os.WriteFile(file, profile, 0o644)
}

// writeProfile runs the program inside of its test binary, which writes CPU profiles, and makes calls.
func (h *house) writeProfile(ctx context.Context, calls []mix.Call, file string) error {
	test := filepath.Join(h.dir, "operator.test")
	build := exec.CommandContext(ctx, "go", "test", "-C", "..", "-c", "-pgo=off", "-o", test, "./cmd/operator")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return fmt.Errorf("build the test binary of cmd/operator: %w", err)
	}
	flags, err := h.fileFlags(nil)
	if err != nil {
		return err
	}
	s, err := serving(program)(process.StartOperator(ctx, "env", "BENCH_OPERATOR_FLAGS="+strings.Join(flags, "\n"),
		test, "-test.run", "^TestServeForAProfile$", "-test.cpuprofile", file))
	if err != nil {
		return err
	}
	defer s.process.Stop() // the profile is complete when the program has ended
	s.calls = calls
	if err := s.check(ctx, nil); err != nil {
		return err
	}
	s.program = s.bytes
	job := s.job(nil, nil)
	const turns = 10
	job.Connections, job.Turn = warmConnections, min(turns*h.turn, maxTurn)
	_, err = s.turn(ctx, job, h.load)
	return err
}
