package main

import (
	"context"
	"fmt"
	"iter"
	"syscall"
	"time"

	"registrationpolicy.dev/operator/test/chaos/fleet"
	"registrationpolicy.dev/operator/test/chaos/script"
)

// addedLatency is the latency of a slow connection in each direction.
const addedLatency = 150 * time.Millisecond

// Plane makes faults of the control plane, one at a time, until ctx ends.
func (f *Faults) Plane(ctx context.Context, steps iter.Seq[script.Step]) {
	for step := range steps {
		fleet.Sleep(ctx, step.Delay)
		if ctx.Err() != nil {
			return
		}
		f.note(step, "the control plane")
		if err := f.hitPlane(context.WithoutCancel(ctx), step); err != nil {
			f.fail("%s: %v", step.Fault, err)
		}
		f.timeline.Note("%s is over", step.Fault)
	}
}

// hitPlane makes one fault of the control plane or the connections to it. It returns when the API server is ready
// again.
func (f *Faults) hitPlane(ctx context.Context, step script.Step) error {
	if step.Fault == script.Slow || step.Fault == script.SlowAll {
		return f.slow(ctx, step)
	}
	program := f.plane.APIServer
	if step.Fault == script.StopEtcd || step.Fault == script.KillEtcd {
		program = f.plane.Etcd
	}
	switch step.Fault {
	case script.StopAPIServer, script.StopEtcd:
		if err := program.Signal(syscall.SIGSTOP); err != nil {
			return err
		}
		fleet.Sleep(ctx, step.Duration)
		if err := program.Signal(syscall.SIGCONT); err != nil {
			return err
		}
	case script.KillAPIServer, script.KillEtcd:
		if err := program.Signal(syscall.SIGKILL); err != nil {
			return err
		}
		for program.Running() {
			fleet.Sleep(ctx, pollInterval)
		}
		fleet.Sleep(ctx, step.Duration)
		if _, err := program.Start(); err != nil {
			return err
		}
	default:
		return fmt.Errorf("no such fault: %s", step.Fault)
	}
	for begin := time.Now(); !f.plane.Serves(ctx); fleet.Sleep(ctx, pollInterval) {
		if !f.plane.APIServer.Running() { // kube-apiserver exits if it starts without etcd
			if _, err := f.plane.APIServer.Start(); err != nil {
				return err
			}
		}
		if time.Since(begin) > settleWithin {
			return fmt.Errorf("the API server does not come back: see %s", f.plane.APIServer.Log)
		}
	}
	return nil
}

// slow adds latency between replicas and the API server. It removes the latency when an edit made in that time has
// become Ready in each namespace.
func (f *Faults) slow(ctx context.Context, step script.Step) error {
	pods := f.all()
	if step.Fault == script.Slow {
		pods = pods[step.Target%len(pods):][:1]
	}
	since := f.timeline.Now()
	for _, pod := range pods {
		pod.Line.Slow(addedLatency)
		defer pod.Line.Slow(0)
	}
	fleet.Sleep(ctx, step.Duration)
	return f.awaitReadyEdits(ctx, since)
}
