// Command hook measures the hook server against a bare net/http handler that reads the body and writes the same number
// of bytes.
//
// Both serve on loopback listeners of one process. With -program, the hook server is the operator's program instead,
// whose log is written to a pipe that is read. The load comes from a second process of this program. The servers take
// turns. The result is the median of the ratios of all pairs of turns. The program ends by itself.
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
		fmt.Fprintln(os.Stderr, "hook:", err)
		os.Exit(1)
	}
}

const (
	maxConnections = 75               // the maximum number of concurrent calls of an Okta org
	maxRounds      = 100              // of each case
	maxTurn        = time.Minute      // one turn of one server
	grace          = 10 * time.Second // for the start and end of a turn, beyond its length
)

func run() error {
	var m measurement
	var load bool
	flag.IntVar(&m.connections, "connections", 16, "connections that call at the same time, at most 75")
	flag.IntVar(&m.rounds, "rounds", 7, "pairs of turns for each case, at most 100")
	flag.DurationVar(&m.turn, "turn", 2*time.Second, "length of one turn, at most 1m")
	flag.BoolVar(&m.program, "program", false, "build the operator and measure its process, with its log written to a pipe, instead of the package")
	flag.BoolVar(&load, "load", false, "run as the second process: read a load from standard input, write samples to standard output")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case m.connections < 1 || m.connections > maxConnections:
		return fmt.Errorf("-connections: write 1 to %d", maxConnections)
	case m.rounds < 1 || m.rounds > maxRounds:
		return fmt.Errorf("-rounds: write 1 to %d", maxRounds)
	case m.turn <= 0 || m.turn > maxTurn:
		return fmt.Errorf("-turn: write a duration up to %s", maxTurn)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if load {
		return generate(ctx, os.Stdin, os.Stdout)
	}
	return m.run(ctx, os.Stdout)
}
