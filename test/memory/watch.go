package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"registrationpolicy.dev/operator/rules"
)

const (
	// callInterval is the pause between two calls of a watcher.
	callInterval = 20 * time.Millisecond
	// editInterval is the pause after an edit of a watcher has come into force, until the next edit.
	editInterval = 250 * time.Millisecond
)

// watcher checks that a namespace other than that of the case is not affected: it repeatedly makes calls that the other
// namespace decides, and repeatedly edits its policy.
type watcher struct {
	other *namespace

	mu       sync.Mutex
	edits    []time.Duration // the time until each edit was in force
	calls    int
	slowest  time.Duration
	failures []string
	version  int // of the other namespace's policy
}

// during makes the calls and edits of a watcher while f runs. It must not be called concurrently.
func (w *watcher) during(ctx context.Context, op *operator, f func() error) error {
	ctx, stop := context.WithCancel(ctx)
	var watching sync.WaitGroup
	watching.Go(func() { w.callRepeatedly(ctx, op) })
	watching.Go(func() { w.editRepeatedly(ctx, op) })
	err := f()
	stop()
	watching.Wait()
	return err
}

func (w *watcher) callRepeatedly(ctx context.Context, op *operator) {
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
		if failed > 10 { // more failures would not tell more
			return
		}
		time.Sleep(callInterval)
	}
}

func (w *watcher) editRepeatedly(ctx context.Context, op *operator) {
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
