// Command chaos makes faults in a fleet of operators, and checks every answer to Okta and every status against what the
// product promises. The last line of its output has the numbers of passed and failed checks. It exits with 1 if a check
// failed.
//
// `make chaos` runs it in the work tree and provides kube-apiserver, etcd (KUBEBUILDER_ASSETS) and haproxy
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
	flag.Uint64Var(&o.seed, "seed", 0, "seed of the script and the policies; 0: a random seed, which is printed")
	flag.IntVar(&o.replicas, "replicas", 3, "number of replicas")
	flag.IntVar(&o.rate, "rate", 450, "calls per second")
	flag.StringVar(&o.keep, "keep", "", "directory for logs and other files; default: a temporary one, kept only after a failure")
	flag.BoolVar(&o.checks, "checks", true, "use health checks in the proxy; without them no replica is frozen")
	flag.Func("only", "comma-separated faults; no others are made", func(text string) error {
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
