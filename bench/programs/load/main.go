// Command load makes the calls of a load.Job that it reads from standard input.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	"registrationpolicy.dev/operator/bench/load"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := load.Serve(ctx, os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
}
