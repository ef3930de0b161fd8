// Command namespaces measures the API requests of an operator that watches many namespaces, and its answers while one
// of them is unreadable. It uses a real kube-apiserver (envtest: KUBEBUILDER_ASSETS is the directory of kube-apiserver
// and etcd), the operator's program, and a proxy for each replica that counts its requests.
//
// It ends by itself. A missed target does not change its exit code.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"registrationpolicy.dev/operator/bench/process"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "namespaces:", err)
		os.Exit(1)
	}
}

const (
	maxNamespaces = 1000
	maxReplicas   = 10
	maxTime       = time.Hour
	maxLatency    = 5 * time.Second
	maxWrites     = 100
	maxPolicies   = 5000

	// startTime limits the start of the control plane.
	startTime = 2 * time.Minute
	// waitTimeout limits each wait. It only guards against a hang.
	waitTimeout = 5 * time.Minute
	// anywayTime limits the wait for a fleet that is measured even if it does not become ready.
	anywayTime = 90 * time.Second
	// endTime is the time from SIGTERM to SIGKILL of a replica.
	endTime = 20 * time.Second
	// pollInterval is the interval between polls of a condition, and so the error of all measured times.
	pollInterval = 20 * time.Millisecond
	// listInterval is the same for a condition that lists all policies.
	listInterval = 100 * time.Millisecond
	// sliceInterval is the interval at which the EndpointSlice is updated.
	sliceInterval = 200 * time.Millisecond
	// sampleInterval is the interval between samples of readiness.
	sampleInterval = time.Second
	// settleTime is the time after which a started fleet is at rest, and an edit causes no more requests.
	settleTime = 15 * time.Second
)

// scenario is a scenario to measure.
type scenario struct {
	name    string
	measure func(*measurement, context.Context) error
}

// scenarios are all scenarios, in the order of measurement.
var scenarios = []scenario{
	{"quiet", (*measurement).quiet}, {"latency", (*measurement).latency}, {"unreadable", (*measurement).unreadable},
	{"many", (*measurement).many}, {"ceiling", (*measurement).ceiling},
}

func scenarioNames() string {
	var names []string
	for _, s := range scenarios {
		names = append(names, s.name)
	}
	return strings.Join(names, ",")
}

func run() (err error) {
	m := measurement{out: os.Stdout}
	chosen := flag.String("scenarios", scenarioNames(), "comma-separated scenarios")
	ceiling := flag.String("ceiling", "50,200,500", "numbers of namespaces of the scenario ceiling, each at most 1000")
	flag.IntVar(&m.namespaces, "namespaces", 50, "namespaces of the other scenarios, including the operator's own, 3 to 1000")
	flag.IntVar(&m.replicas, "replicas", 3, "replicas, at most 10")
	flag.DurationVar(&m.steady, "steady", 3*time.Minute, "quiet: how long requests are counted at rest, at most 1h")
	flag.IntVar(&m.edits, "edits", 5, "quiet: number of single edits, at most 100")
	flag.IntVar(&m.policies, "policies", 2000, "many: number of policies, at most 5000")
	flag.DurationVar(&m.fenced, "fenced", 10*time.Minute, "latency: how long readiness is sampled, at most 1h")
	flag.DurationVar(&m.delay, "latency", 150*time.Millisecond, "latency: added latency in each direction, at most 5s")
	flag.DurationVar(&m.every, "edit-every", 30*time.Second, "latency: time between two edits, at most 1h; 0: no edits")
	flag.IntVar(&m.writes, "writes", 2, "writes of an unrelated object per second, at most 100")
	flag.StringVar(&m.program, "operator", "", "operator program to measure; default: built from this work tree")
	flag.BoolVar(&m.verbose, "v", false, "print the requests even if a target is met")
	keep := flag.String("keep", "", "directory for the logs of the replicas; default: a temporary one")
	flag.Parse()
	if flag.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	}
	if err := m.check(*ceiling); err != nil {
		return err
	}
	names := map[string]bool{}
	for name := range strings.SplitSeq(*chosen, ",") {
		names[name] = true
	}
	for _, s := range scenarios {
		delete(names, s.name)
	}
	for name := range names {
		return fmt.Errorf("-scenarios: %q: write some of %s", name, scenarioNames())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if m.dir = *keep; m.dir == "" {
		if m.dir, err = os.MkdirTemp("", "namespaces-"); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(m.dir)) }()
	} else if m.dir, err = filepath.Abs(m.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir, 0o700); err != nil {
		return err
	}
	if m.program == "" {
		if m.program, err = process.Build(ctx, "..", "./cmd/operator", m.dir); err != nil {
			return err
		}
	}
	if m.cluster, err = startCluster(ctx, m.replicas); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.cluster.plane.Stop()) }()
	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	if err := m.cluster.write(writing, m.writes); err != nil {
		return err
	}
	fmt.Fprintf(m.out, "kube-apiserver %s; %d replicas; %d unrelated writes per second\n",
		m.cluster.version, m.replicas, m.writes)
	for _, s := range scenarios {
		if !strings.Contains(","+*chosen+",", ","+s.name+",") {
			continue
		}
		if err := s.measure(&m, ctx); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}
