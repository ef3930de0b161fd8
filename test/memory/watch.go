package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"registrationpolicy.dev/operator/rules"
)

const (
	// callInterval is the time between two calls of the other namespace's people.
	callInterval = 20 * time.Millisecond
	// editInterval is the time between an edit of the other namespace that is in force and the next.
	editInterval = 250 * time.Millisecond
)

// watcher calls an operator all the time about what the other namespace decides, and edits the other namespace's policy all
// the time, while a case goes on.
type watcher struct {
	other *namespace

	mu       sync.Mutex
	edits    []time.Duration // until each edit was in force
	calls    int
	slowest  time.Duration
	failures []string
	version  int // of the other namespace's policy
}

// during watches while f runs. What the last edit is, is known to no other: they follow one another.
func (w *watcher) during(ctx context.Context, op *operator, f func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { w.callAllTheTime(ctx, op) })
	watching.Go(func() { w.editAllTheTime(ctx, op) })
	err := f()
	stop()
	watching.Wait()
	return err
}

func (w *watcher) callAllTheTime(ctx context.Context, op *operator) {
	for ctx.Err() == nil {
		began := time.Now()
		reason, err := op.decide(ctx, otherSource, "jo@always.example")
		took := time.Since(began)
		if ctx.Err() != nil {
			return
		}
		w.mu.Lock()
		w.calls++
		w.slowest = max(w.slowest, took)
		if err != nil || reason != rules.ReasonAllowed {
			w.failures = append(w.failures, fmt.Sprintf("a call was answered %q, %v after %s", reason, err, took))
		}
		failed := len(w.failures)
		w.mu.Unlock()
		if failed > 10 { // enough to know
			return
		}
		time.Sleep(callInterval)
	}
}

func (w *watcher) editAllTheTime(ctx context.Context, op *operator) {
	for ctx.Err() == nil {
		w.version++
		began := time.Now()
		if err := w.put(ctx); err != nil {
			w.fail(ctx, "edit the other namespace: %v", err)
			return
		}
		err := op.await(ctx, fmt.Sprintf("edit %d of the other namespace in force", w.version), func() (bool, error) {
			reason, _ := op.decide(ctx, otherSource, fmt.Sprintf("jo@edit-%d.example", w.version))
			return reason == rules.ReasonAllowed, nil
		})
		if err != nil {
			w.fail(ctx, "%v", err)
			return
		}
		w.mu.Lock()
		w.edits = append(w.edits, time.Since(began))
		w.mu.Unlock()
		time.Sleep(editInterval)
	}
}

func (w *watcher) fail(ctx context.Context, format string, args ...any) {
	if ctx.Err() != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, fmt.Sprintf(format, args...))
}

// put writes the other namespace's policy.
func (w *watcher) put(ctx context.Context) error {
	return w.other.put(ctx, scoped("other", otherSource, map[string]any{
		"allow": map[string]any{"domains": []any{"always.example", fmt.Sprintf("edit-%d.example", w.version)}},
	}))
}
