// Command regpol is the command line for authors of policies and for administrators of the hook. As kubectl-regpol on
// the PATH it is also `kubectl regpol`.
package main

import (
	"os"

	"registrationpolicy.dev/operator/cmd/regpol/internal/console"
)

func main() {
	os.Exit(run(os.Args, console.Streams{In: os.Stdin, Out: os.Stdout, Err: os.Stderr}))
}
