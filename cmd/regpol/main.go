// Command regpol is the command line for authors of policies and for administrators of the hook. As kubectl-regpol on
// the PATH it is also `kubectl regpol`.
package main

import "os"

func main() {
	os.Exit(run(os.Args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
