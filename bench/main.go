// Command bench measures the operator beside what people would run instead, and writes what it finds into
// docs/contributing/performance.md, docs/contributing/performance.json and docs/contributing/performance. README.md describes the parts.
//
// Each result compares things that are measured in turn in the same run. The program ends by itself. If a part fails,
// the others are still measured, and the program ends with exit code 1.
package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"

	"registrationpolicy.dev/operator/bench/process"
	"registrationpolicy.dev/operator/bench/report"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// Limits of the duration of a run.
const (
	maxRounds = 20
	maxTurn   = 10 * time.Second
)

// house is what all parts share.
type house struct {
	dir    string // temporary
	rounds int
	turn   time.Duration // of one server
	quick  bool

	operator, load string // programs

	failed []string // parts, and what was left out of them
}

// leftOut reports that something could not be measured. The rest still is, and the program ends with exit code 1.
func (h *house) leftOut(err error) {
	say("LEFT OUT: %v", err)
	h.failed = append(h.failed, err.Error())
}

// parts are in the order in which they are measured.
var parts = []struct {
	name    string
	measure func(h *house, ctx context.Context, p *report.Part) error
}{
	{"http", (*house).measureHTTP},
	{"inside", (*house).measureInside},
	{"growth", (*house).measureGrowth},
	{"apply", (*house).measureApply},
	{"disturbed", (*house).measureDisturbed},
}

func partNames() []string {
	var names []string
	for _, part := range parts {
		names = append(names, part.name)
	}
	return names
}

func run() error {
	h := &house{}
	flag.IntVar(&h.rounds, "rounds", 5, "rounds of each comparison, 1 to 20")
	flag.DurationVar(&h.turn, "turn", 2*time.Second, "length of the turn of one server, at most 10s")
	flag.BoolVar(&h.quick, "quick", false, "try every part in short: the figures mean nothing")
	wanted := flag.String("parts", strings.Join(partNames(), ","), "what to measure")
	out := flag.String("out", "../docs/contributing", "directory with performance.md")
	flag.Parse()
	if h.quick {
		h.rounds, h.turn = 2, 300*time.Millisecond
	}
	names := strings.Split(*wanted, ",")
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case h.rounds < 1 || h.rounds > maxRounds:
		return fmt.Errorf("-rounds: write 1 to %d", maxRounds)
	case h.turn <= 0 || h.turn > maxTurn:
		return fmt.Errorf("-turn: write a duration up to %s", maxTurn)
	}
	for _, name := range names {
		if !slices.Contains(partNames(), name) {
			return fmt.Errorf("-parts: %q is not a part: write one of %s", name, strings.Join(partNames(), ", "))
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	h.dir = dir
	if h.load, err = process.Build(ctx, ".", "./programs/load", dir); err != nil {
		return err
	}
	if h.operator, err = process.Build(ctx, "..", "./cmd/operator", dir); err != nil {
		return err
	}
	return h.measure(ctx, names, *out)
}

// measure measures the parts, and writes each when it is complete.
func (h *house) measure(ctx context.Context, names []string, out string) error {
	where := whereAndWhen(ctx)
	for _, part := range parts {
		if !slices.Contains(names, part.name) {
			continue
		}
		begin := time.Now()
		say("%s: begins", part.name)
		p := report.New(part.name)
		err := part.measure(h, ctx, p)
		if err == nil {
			err = p.Write(out, where)
		}
		if err != nil {
			say("%s: FAILED, its earlier figures stay: %v", part.name, err)
			h.failed = append(h.failed, part.name)
			continue
		}
		say("%s: ok, %s", part.name, time.Since(begin).Round(time.Second))
	}
	if len(h.failed) > 0 {
		return fmt.Errorf("failed: %s", strings.Join(h.failed, "; "))
	}
	return nil
}

// say reports progress.
func say(format string, args ...any) { fmt.Fprintf(os.Stderr, "bench: "+format+"\n", args...) }

func whereAndWhen(ctx context.Context) report.Run {
	output := func(name string, arguments ...string) string {
		text, err := exec.CommandContext(ctx, name, arguments...).Output()
		if err != nil {
			return "unknown"
		}
		return strings.TrimSpace(string(text))
	}
	r := report.Run{
		Date: time.Now().UTC().Format(time.DateOnly), Commit: output("git", "rev-parse", "--short", "HEAD"),
		Machine: fmt.Sprintf("%d cores (%s)", runtime.NumCPU(), processor()), Go: strings.Replace(runtime.Version(), "go", "Go ", 1),
	}
	if output("git", "status", "--porcelain") != "" {
		r.Commit += "+"
	}
	return r
}

// processor returns the name of the processor, or the architecture if Linux does not say.
func processor() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range bytes.Lines(text) {
		if name, value, found := strings.Cut(string(line), ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
