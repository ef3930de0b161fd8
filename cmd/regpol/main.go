// Command regpol is the command line for people who write policies and who set up the hook. Installed as kubectl-regpol
// on the PATH it is also `kubectl regpol`.
package main

import "os"

func main() {
	os.Exit(run(os.Args, streams{in: os.Stdin, out: os.Stdout, err: os.Stderr}))
}
