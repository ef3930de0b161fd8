// Command chaos does to a fleet of operators what can happen to it, and checks that every answer that Okta got, and all that
// status said, is what the product promises. The last line says how many checks passed and failed; with failures it exits 1.
//
// It is run in the work tree, by `make chaos`, which provides kube-apiserver, etcd (KUBEBUILDER_ASSETS) and haproxy
// (PROXIES_DIR).
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"registrationpolicy.dev/operator/test/chaos/script"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	o := options{out: os.Stdout}
	flag.DurationVar(&o.duration, "duration", 2*time.Minute, "how long faults are made")
	flag.Uint64Var(&o.seed, "seed", 0, "of the script and the policies; 0: a random one, which is printed")
	flag.IntVar(&o.replicas, "replicas", 3, "replicas of the fleet")
	flag.IntVar(&o.rate, "rate", 450, "calls a second")
	flag.StringVar(&o.keep, "keep", "", "directory for logs and everything else, kept; unset: one that is removed unless something failed")
	flag.BoolVar(&o.checks, "checks", true, "the proxy has health checks of its own; without, no replica is frozen")
	flag.Func("only", "faults, with commas between; there are no others then", func(text string) error {
		for name := range strings.SplitSeq(text, ",") {
			o.only = append(o.only, script.Fault(name))
		}
		return nil
	})
	flag.Parse()
	for o.seed == 0 {
		o.seed = rand.Uint64N(1 << 32)
	}
	passed, err := run(ctx, o)
	if err != nil {
		fmt.Fprintf(os.Stderr, "chaos: seed %d: %v\n", o.seed, err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}
