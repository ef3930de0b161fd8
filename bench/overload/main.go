// Command overload measures the operator under more concurrent calls than an Okta org can make, with and without its
// limit.
//
// The operator runs in its own process with a pipe for its log, as in a pod. The callers in this process keep their
// connections, and make the next call after each answer, without back-off even after a 503. The program ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "overload:", err)
		os.Exit(1)
	}
}

const (
	// maxRounds and maxTurn limit the duration of a run.
	maxRounds = 20
	maxTurn   = time.Minute
	// grace is the time for the start and end of a turn, beyond its length.
	grace = 10 * time.Second
)

func run() error {
	var m measurement
	flag.IntVar(&m.rounds, "rounds", 5, "turns for each number of callers, at most 20")
	flag.DurationVar(&m.turn, "turn", 2*time.Second, "length of one turn, at most 1m")
	flag.IntVar(&m.lines, "log-lines", 0, "log lines that are read per second; 0: all")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case m.rounds < 1 || m.rounds > maxRounds:
		return fmt.Errorf("-rounds: write 1 to %d", maxRounds)
	case m.turn <= 0 || m.turn > maxTurn:
		return fmt.Errorf("-turn: write a duration up to %s", maxTurn)
	case m.lines < 0:
		return fmt.Errorf("-log-lines: write 0 or more")
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	return m.run(ctx, os.Stdout)
}
