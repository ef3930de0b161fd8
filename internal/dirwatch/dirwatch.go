// Package dirwatch says when the content of a directory may have changed: files written by hand as well as the volumes that
// a kubelet updates by swapping symlinks.
package dirwatch

import (
	"context"
	"fmt"
	"time"

	"github.com/fsnotify/fsnotify"
)

const (
	// quiet is how long a directory must be at rest before it is read: editors and kubelets do several things in a row.
	quiet = 50 * time.Millisecond
	// longest is how long a change waits at the most, however busy the directory is.
	longest = 500 * time.Millisecond
	// poll is how often the directory is looked at without a notice: some file systems, NFS for one, send none, and neither does
	// a file that is changed behind a link.
	poll = 10 * time.Second
)

// Watcher watches one directory, not the directories below it.
type Watcher struct {
	dir      string
	notices  *fsnotify.Watcher // nil where the system has none left to give
	interval time.Duration
}

// New begins to watch dir: from now on no change is missed. The watcher can be used even where there is an error, which says
// that changes are not noticed at once but found every 10 s.
func New(dir string) (*Watcher, error) {
	w := &Watcher{dir: dir, interval: poll}
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		return w, fmt.Errorf("watch %s: %w", dir, err)
	}
	w.notices = notices
	if err := notices.Add(dir); err != nil {
		return w, fmt.Errorf("watch %s: %w", dir, err)
	}
	return w, nil
}

// Run calls changed at the beginning, after changes, and now and then without one, until ctx ends; then it ends the watch.
// changed is called by one goroutine, and must compare contents itself.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	var events <-chan fsnotify.Event
	var lost <-chan error // an overflow, for example
	if w.notices != nil {
		events, lost = w.notices.Events, w.notices.Errors
		defer func() { _ = w.notices.Close() }()
	}
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		changed()
		select {
		case <-ctx.Done():
		case <-events:
			settle(ctx, events)
		case <-lost: //nolint:errcheck // whatever was missed, changed looks at all there is
		case <-tick.C:
			w.watchAgain()
		}
	}
}

// watchAgain looks for the directory by its path: it may be another one by now.
func (w *Watcher) watchAgain() {
	if w.notices == nil {
		return
	}
	_ = w.notices.Remove(w.dir) // an error means that it was not watched,
	_ = w.notices.Add(w.dir)    // or is not there at present: the next poll tries again
}

// settle waits until nothing has happened for a while.
func settle(ctx context.Context, events <-chan fsnotify.Event) {
	deadline := time.After(longest)
	for {
		select {
		case <-events:
		case <-time.After(quiet):
			return
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}
