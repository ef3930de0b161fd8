// Command apply measures the time until an applied policy is in force, against the delivery of the same edit to a bare
// informer, on a real API server (envtest: KUBEBUILDER_ASSETS is the directory of kube-apiserver and etcd).
//
// Both times begin before the edit is sent. The operator's ends when its rules decide by the edit, and the informer's
// when its event handler runs. The program ends by itself.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "apply:", err)
		os.Exit(1)
	}
}

const (
	maxEdits    = 1000
	maxPolicies = 1000
	maxPause    = 10 * time.Second
	// editDeadline limits the time of one edit. It only guards against a hang.
	editDeadline = 30 * time.Second
	startTime    = 2 * time.Minute // for the control plane and the other policies
)

func run() (err error) {
	edits := flag.Int("edits", 200, "edits of one policy, at most 1000")
	others := flag.Int("others", 0, "other policies, which are not edited, at most 1000")
	pause := flag.Duration("pause", 150*time.Millisecond,
		"time from an edit in force to the next edit; below the operator's 100ms, edits wait for the next build")
	flag.Parse()
	switch {
	case flag.NArg() > 0:
		return fmt.Errorf("unexpected argument %q", flag.Arg(0))
	case *edits < 1 || *edits > maxEdits:
		return fmt.Errorf("-edits: write 1 to %d", maxEdits)
	case *others < 0 || *others > maxPolicies:
		return fmt.Errorf("-others: write 0 to %d", maxPolicies)
	case *pause < 0 || *pause > maxPause:
		return fmt.Errorf("-pause: write a duration up to %s", maxPause)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, startTime+time.Duration(*edits)*(*pause+editDeadline))
	defer cancel()

	c, err := startCluster(ctx, *others)
	if err != nil {
		return err
	}
	defer func() { err = firstOf(err, c.stop()) }()

	var informed, inForce, ratios []float64 // milliseconds, milliseconds, 1
	for edit := range *edits {
		select {
		case <-time.After(*pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		s, err := c.measure(ctx, edit)
		if err != nil {
			return fmt.Errorf("edit %d: %w", edit, err)
		}
		informed = append(informed, milliseconds(s.informed))
		inForce = append(inForce, milliseconds(s.inForce))
		ratios = append(ratios, float64(s.inForce)/float64(s.informed))
	}
	fmt.Printf("%d edits of one policy beside %d others\n", *edits, *others)
	fmt.Printf("bare informer  p50 %6.2f ms, p99 %6.2f ms\n", quantile(informed, 50), quantile(informed, 99))
	fmt.Printf("in force       p50 %6.2f ms, p99 %6.2f ms\n", quantile(inForce, 50), quantile(inForce, 99))
	fmt.Printf("ratio of the p50s %.2f; p50 of the ratios %.2f\n",
		quantile(inForce, 50)/quantile(informed, 50), quantile(ratios, 50))
	return nil
}

// firstOf returns the first error that is not nil.
func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func milliseconds(d time.Duration) float64 { return d.Seconds() * 1000 }

// quantile returns the smallest value that at least percent of the values do not exceed.
func quantile(values []float64, percent int) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[(len(sorted)*percent+99)/100-1]
}
