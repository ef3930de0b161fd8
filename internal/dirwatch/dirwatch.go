// Package dirwatch reports when the content of a directory may have changed. The directory may hold files that people
// edit, or be a volume of Kubernetes, which a kubelet changes by replacing a symlink.
package dirwatch

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// settleTime is how long the directory must be without events before [Watcher.Run] reports a change, because
	// editors and kubelets change a directory in several steps.
	settleTime = 50 * time.Millisecond
	// settleLimit is how long Run waits at most after a change, if the directory keeps changing.
	settleLimit = 500 * time.Millisecond
	// pollInterval is how long Run waits for an event before it reports a possible change anyway. NFS and some other
	// file systems send no events, and a change of the target of a symlink sends none either.
	pollInterval = 10 * time.Second
)

// Watcher watches one directory, without its subdirectories.
type Watcher struct {
	dir      string
	notifier *fsnotify.Watcher // nil if the system has no inotify instance left; changes are then found by polling
	interval time.Duration
}

// New starts to watch dir. The Watcher is usable even if New returns an error: it then finds changes only by polling
// every 10 s.
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

// Run calls changed at the start, after each change, and every 10 s without one, until ctx ends; then it closes the
// watch. It calls changed from one goroutine. changed must itself compare the content with that of its last call.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	var events <-chan fsnotify.Event
	var lost <-chan error // reports lost events, for example after an overflow of the kernel's event queue
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

// watchAgain replaces the watch. Otherwise it would stay on the old directory if another one has taken the path.
func (w *Watcher) watchAgain() {
	if w.notifier == nil {
		return
	}
	_ = w.notifier.Remove(w.dir) // an error means that it was not watched
	_ = w.notifier.Add(w.dir)    // an error means that the directory is missing now; the next poll calls watchAgain again
}

// settle waits until no event has arrived for settleTime, but at most for settleLimit.
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
