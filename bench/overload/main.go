// Command overload measures the operator's program under more calls at once than an org can make, with its limit and without.
//
// The program runs as in a pod, its log read to nowhere; the load comes from this one. Callers keep their connections and make
// their next call when they have an answer, a refusal included: nobody backs off. It stops by itself.
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
	// maxRounds and maxTurn bound the time that a run takes.
	maxRounds = 20
	maxTurn   = time.Minute
	// grace is the time for a turn to start and to end, beyond its length.
	grace = 10 * time.Second
)

func run() error {
	var m measurement
	flag.IntVar(&m.rounds, "rounds", 5, "turns for each number of callers, at most 20")
	flag.DurationVar(&m.turn, "turn", 2*time.Second, "length of one turn, at most 1m")
	flag.IntVar(&m.lines, "log-lines", 0, "lines of its log that the program gets rid of a second; 0: all")
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
