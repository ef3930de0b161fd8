package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"registrationpolicy.dev/operator/rules"
)

// changes is the number of changes in a case, after its first version.
const changes = 5

// run runs the cases and reports whether all of them passed.
func run(ctx context.Context, o options) (passed bool, err error) {
	dir, err := os.MkdirTemp("", "memory")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	probe, err := newCgroup("registration-policy-probe", o.limit) // fail before the slow start of the control plane
	if err != nil && o.optional {
		fmt.Println("memory: skipped:", err)
		return true, nil
	}
	if err != nil {
		return false, err
	}
	if err := probe.remove(); err != nil {
		return false, err
	}
	if o.binary == "" {
		o.binary = filepath.Join(dir, "operator")
		build := exec.CommandContext(ctx, "go", "build", "-o", o.binary, "./cmd/operator")
		build.Stderr = os.Stderr
		if err := build.Run(); err != nil {
			return false, fmt.Errorf("build the operator: %w", err)
		}
	}
	plane, err := startPlane(dir)
	if plane != nil {
		defer plane.stop()
	}
	if err != nil {
		return false, err
	}
	if o.rest {
		return true, measureAtRest(ctx, o, plane, dir)
	}
	passed = true
	fmt.Printf("| in %d MiB | peak at start | peak in five changes | peak at restart | ready again | change | other edits, most | calls, slowest |\n",
		o.limit>>20)
	fmt.Println("|---|---|---|---|---|---|---|---|")
	for _, c := range cases() {
		if !o.selected(c.name) {
			continue
		}
		trial := &trial{options: o, load: c, plane: plane, dir: filepath.Join(dir, c.name)}
		err := trial.run(ctx)
		if ctx.Err() != nil {
			return false, ctx.Err()
		}
		fmt.Println(trial.row())
		if err != nil {
			passed = false
			fmt.Printf("FAIL %s: %v\n", c.name, err)
		}
	}
	return passed, nil
}

// trial is the run of one case.
type trial struct {
	options options
	load    load
	plane   *plane
	dir     string

	cgroup  *cgroup
	command []string
	own     *namespace
	tenant  *namespace
	watcher watcher

	peaks       []int64         // peak resident bytes, after the start, after the changes, and after the restart
	changeTimes []time.Duration // the time until each change was in force, or refused
	restartTime time.Duration   // the time until the restarted operator was ready
}

func (t *trial) run(ctx context.Context) (err error) {
	if err := t.prepare(ctx); err != nil {
		return err
	}
	defer func() {
		cleaning := context.WithoutCancel(ctx)
		err = errors.Join(err, t.cgroup.remove(), t.own.clear(cleaning), t.tenant.clear(cleaning))
	}()
	if err := t.load.put(ctx, t.loaded(), 0); err != nil {
		return err
	}
	op, err := t.start(ctx)
	if err != nil {
		return err
	}
	defer func() { op.kill() }()
	if err := t.watcher.during(ctx, op, func() error { return t.settle(ctx, op, 0) }); err != nil {
		return t.explain(err)
	}
	if err := t.peak(op); err != nil {
		return t.explain(err)
	}
	for version := 1; version <= changes; version++ {
		if err := t.watcher.during(ctx, op, func() error { return t.change(ctx, op, version) }); err != nil {
			return t.explain(err)
		}
	}
	if err := t.awaitRefusal(ctx, op); err != nil {
		return err
	}
	if err := t.peak(op); err != nil {
		return t.explain(err)
	}
	time.Sleep(time.Second) // the operator stores the snapshot a moment after the rules are in force
	op.kill()
	began := time.Now()
	if op, err = t.start(ctx); err != nil {
		return err
	}
	t.restartTime = time.Since(began)
	if err := t.watcher.during(ctx, op, func() error { return t.settle(ctx, op, changes) }); err != nil {
		return t.explain(err)
	}
	time.Sleep(time.Second) // the operator may need more memory shortly after it is ready
	if err := t.peak(op); err != nil {
		return t.explain(err)
	}
	return t.explain(nil)
}

func (t *trial) prepare(ctx context.Context) (err error) {
	if err := os.MkdirAll(filepath.Join(t.dir, "auth"), 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(t.dir, "auth", "okta"), []byte(credential+"\n"), 0o600); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(t.dir, "snapshot"), 0o700); err != nil {
		return err
	}
	if t.own, err = t.plane.namespace(ctx, t.load.name+"-own"); err != nil {
		return err
	}
	if t.tenant, err = t.plane.namespace(ctx, t.load.name+"-tenant"); err != nil {
		return err
	}
	t.watcher.other = t.own
	scope := t.tenant.name + "=" + source
	if !t.load.bounded {
		t.watcher.other, scope = t.tenant, t.tenant.name+"="+otherSource
	}
	if err := t.watcher.put(ctx); err != nil {
		return err
	}
	if t.cgroup, err = newCgroup("registration-policy-"+t.load.name, t.options.limit); err != nil {
		return err
	}
	t.command = t.cgroup.wrap(t.options.binary, append([]string{
		"--kubeconfig", t.plane.kubeconfig, "--namespace", t.own.name, "--watch-namespaces", t.own.name + "," + t.tenant.name,
		"--namespace-sources", scope, "--snapshot-dir", filepath.Join(t.dir, "snapshot"),
		"--hook-auth-dir", filepath.Join(t.dir, "auth"), "--drain-delay", "0s",
		"--hook-bind-address", "127.0.0.1:0", "--probe-bind-address", "127.0.0.1:0", "--metrics-bind-address", "127.0.0.1:0",
	}, t.options.flags...)...)
	return nil
}

// loaded returns the namespace with the objects of the case.
func (t *trial) loaded() *namespace {
	if t.load.bounded {
		return t.tenant
	}
	return t.own
}

func (t *trial) start(ctx context.Context) (*operator, error) {
	logTo := ""
	if t.options.keep != "" {
		logTo = filepath.Join(t.options.keep, t.load.name+".log")
	}
	op, err := startOperator(ctx, t.command, logTo)
	if err != nil {
		return nil, t.explain(err)
	}
	if err := op.awaitReady(ctx); err != nil {
		op.kill()
		return nil, t.explain(err)
	}
	return op, nil
}

func (t *trial) change(ctx context.Context, op *operator, version int) error {
	if err := t.load.put(ctx, t.loaded(), version); err != nil {
		return err
	}
	began := time.Now()
	err := t.settle(ctx, op, version)
	t.changeTimes = append(t.changeTimes, time.Since(began))
	return err
}

// settle waits until a version is in force or, if the case is beyond the budget, until all calls of source are denied.
func (t *trial) settle(ctx context.Context, op *operator, version int) error {
	wanted := t.load.reason
	if t.load.refused {
		wanted = rules.ReasonPolicyNotEnforceable
	}
	var last rules.Reason
	err := op.await(ctx, fmt.Sprintf("version %d: %s", version, wanted), func() (bool, error) {
		last, _ = op.decide(ctx, source, t.load.address(version))
		return last == wanted, nil
	})
	if err != nil {
		return fmt.Errorf("%w (the last answer was %q)", err, last)
	}
	return nil
}

// awaitRefusal waits, in a case beyond the budget, until the condition Accepted of the marker is False for that reason.
func (t *trial) awaitRefusal(ctx context.Context, op *operator) error {
	if !t.load.refused {
		return nil
	}
	return op.await(ctx, "a condition that refuses the case", func() (bool, error) {
		accepted, err := t.loaded().accepted(ctx, marker)
		return accepted != nil && accepted.Status == metav1.ConditionFalse && accepted.Reason == overBudget &&
			strings.Contains(accepted.Message, "--namespace-limits"), err
	})
}

// overBudget is the reason of Accepted=False if the policies of a namespace take more than its memory budget.
const overBudget = "OverBudget"

func (t *trial) peak(op *operator) error {
	peak, err := op.peakResident()
	t.peaks = append(t.peaks, peak)
	return err
}

// explain adds the number of OOM kills and the first failures of the watcher to an error, which may be nil.
func (t *trial) explain(err error) error {
	kills, readErr := t.cgroup.oomKills()
	err = errors.Join(err, readErr)
	if kills > 0 {
		err = errors.Join(fmt.Errorf("killed %d times by the OOM killer", kills), err)
	}
	for _, failure := range t.watcher.failures[:min(3, len(t.watcher.failures))] {
		err = errors.Join(err, errors.New(failure))
	}
	return err
}

// row returns the figures of a case as a row of a table, for docs/contributing/performance.md.
func (t *trial) row() string {
	peaks := []string{"–", "–", "–"}
	for i, peak := range t.peaks {
		peaks[i] = fmt.Sprintf("%d MiB", peak>>20)
	}
	w := &t.watcher
	slowestEdit := time.Duration(0)
	for _, edit := range w.edits {
		slowestEdit = max(slowestEdit, edit)
	}
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %d: %s |", t.load.sentence, strings.Join(peaks, " | "),
		seconds(t.restartTime), seconds(slices.Max(append(t.changeTimes, 0))), seconds(slowestEdit), w.calls, seconds(w.slowest))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
