// Command namespaces measures what an operator that watches many namespaces asks of an API server, and what becomes of its
// calls while one of the namespaces cannot be read: on a real kube-apiserver (envtest: KUBEBUILDER_ASSETS names the directory
// of kube-apiserver and etcd), with the operator's program, and a proxy before each replica that counts its requests.
//
// It stops by itself, and exits 0 when it has measured, whatever it has measured.
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

	// startTime is the time for the control plane to start.
	startTime = 2 * time.Minute
	// patience is the time for anything that is waited for: against a hang only.
	patience = 5 * time.Minute
	// anywayTime is the same for a fleet that is measured although it does not become ready.
	anywayTime = 90 * time.Second
	// endTime is the time for a replica to end when told.
	endTime = 20 * time.Second
	// lookInterval is how often it is looked whether one thing has come true: the error of all times.
	lookInterval = 20 * time.Millisecond
	// listInterval is the same for all policies.
	listInterval = 100 * time.Millisecond
	// sliceInterval is how often the endpoints of the Service are brought up to date.
	sliceInterval = 200 * time.Millisecond
	// sampleInterval is how often the readiness of a replica is sampled.
	sampleInterval = time.Second
	// settleTime is from the start of a fleet until it is at rest, and after an edit until nothing more comes of it.
	settleTime = 15 * time.Second
)

// scenario is one thing that can be measured.
type scenario struct {
	name    string
	measure func(*measurement, context.Context) error
}

// scenarios are all of them, in the order in which they are measured.
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
	chosen := flag.String("scenarios", scenarioNames(), "what is measured")
	ceiling := flag.String("ceiling", "50,200,500", "numbers of namespaces of the scenario ceiling, each at most 1000")
	flag.IntVar(&m.namespaces, "namespaces", 50, "namespaces of the other scenarios, the operator's own included, 3 to 1000")
	flag.IntVar(&m.replicas, "replicas", 3, "replicas, at most 10")
	flag.DurationVar(&m.steady, "steady", 3*time.Minute, "how long requests are counted while nothing is edited, at most 1h")
	flag.IntVar(&m.edits, "edits", 5, "edits that are measured one by one, at most 100")
	flag.IntVar(&m.policies, "policies", 2000, "policies of the scenario many, at most 5000")
	flag.DurationVar(&m.fenced, "fenced", 10*time.Minute, "how long readiness is sampled on a slow line, at most 1h")
	flag.DurationVar(&m.delay, "latency", 150*time.Millisecond, "of that line, each way, at most 5s")
	flag.DurationVar(&m.every, "edit-every", 30*time.Second, "time between two edits on that line, at most 1h; 0: none")
	flag.IntVar(&m.writes, "writes", 2, "writes a second of an object that is watched by nobody, at most 100")
	flag.StringVar(&m.program, "operator", "", "program that is measured; unset: it is built from this work tree")
	flag.BoolVar(&m.verbose, "v", false, "print the requests of what is within its target, too")
	keep := flag.String("keep", "", "directory for the logs of the replicas, kept; unset: one that is removed")
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
		return fmt.Errorf("-scenarios: %q is not among %s", name, scenarioNames())
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
		if m.program, err = build(ctx, m.dir); err != nil {
			return fmt.Errorf("build the operator: %w", err)
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
	fmt.Fprintf(m.out, "kube-apiserver %s; %d replicas; %d unrelated writes a second\n",
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
