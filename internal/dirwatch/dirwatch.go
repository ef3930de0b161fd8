// Package dirwatch reports when the content of a directory may have changed. It handles files written by hand and
// volumes that a kubelet updates by swapping symlinks.
package dirwatch

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long no event must arrive before the directory is read: editors and kubelets change it in
	// several steps.
	settleTime = 50 * time.Millisecond
	// settleLimit is the longest wait after a change in a directory that never settles.
	settleLimit = 500 * time.Millisecond
	// pollInterval is the time between checks without an event. NFS and some other file systems send no events, and
	// neither does a change to the target of a symlink.
	pollInterval = 10 * time.Second
)

// Watcher watches one directory, without its subdirectories.
type Watcher struct {
	dir      string
	notifier *fsnotify.Watcher // nil if the system has no watch left
	interval time.Duration
}

// New starts to watch dir. The watcher is usable even if there is an error: it then finds changes only by polling every
// 10 s.
func New(dir string) (*Watcher, error) {
	w := &Watcher{dir: dir, interval: pollInterval}
	notifier, err := fsnotify.NewWatcher()
	if err != nil {
		return w, fmt.Errorf("watch %s: %w", dir, err)
	}
	w.notifier = notifier
	if err := notifier.Add(dir); err != nil {
		return w, fmt.Errorf("watch %s: %w", dir, err)
	}
	return w, nil
}

// Run calls changed at the start, after each change, and at every poll, until ctx ends; then it closes the watch. It
// calls changed from one goroutine. changed must find out by itself whether the content differs.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	var events <-chan fsnotify.Event
	var lost <-chan error // for example an overflow of the event queue
	if w.notifier != nil {
		events, lost = w.notifier.Events, w.notifier.Errors
		defer func() { _ = w.notifier.Close() }()
	}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		changed()
		select {
		case <-ctx.Done():
		case <-events:
			settle(ctx, events)
		case <-lost: //nolint:errcheck // changed reads the whole directory, so a lost event does not matter
		case <-tick.C:
			w.watchAgain()
		}
	}
}

// watchAgain renews the watch, because the path may now lead to a different directory.
func (w *Watcher) watchAgain() {
	if w.notifier == nil {
		return
	}
	_ = w.notifier.Remove(w.dir) // an error means that it was not watched
	_ = w.notifier.Add(w.dir)    // an error means that the directory is missing now; the next poll tries again
}

// settle waits until no event has arrived for settleTime, at most for settleLimit.
func settle(ctx context.Context, events <-chan fsnotify.Event) {
	deadline := time.After(settleLimit)
	for {
		select {
		case <-events:
		case <-time.After(settleTime):
			return
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}
