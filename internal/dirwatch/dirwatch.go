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
	// poll is how often the directory is looked at without a notice: some file systems, NFS for one, send none.
	poll = 10 * time.Second
)

// Watcher watches one directory, not the directories below it.
type Watcher struct {
	dir      string
	notices  *fsnotify.Watcher
	interval time.Duration
}

// New begins to watch dir, which must exist: from now on no change is missed.
func New(dir string) (*Watcher, error) {
	notices, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	if err := notices.Add(dir); err != nil {
		_ = notices.Close()
		return nil, fmt.Errorf("watch %s: %w", dir, err)
	}
	return &Watcher{dir: dir, notices: notices, interval: poll}, nil
}

// Run calls changed after changes, and now and then without one, until ctx ends; then it ends the watch.
// changed is called by one goroutine, and must compare contents itself.
func (w *Watcher) Run(ctx context.Context, changed func()) {
	defer func() { _ = w.notices.Close() }()
	tick := time.NewTicker(w.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-w.notices.Events:
			w.settle(ctx)
		case <-w.notices.Errors: // an overflow, for example: something was missed
		case <-tick.C:
			_ = w.notices.Add(w.dir) // it may have been removed and made again
		}
		if ctx.Err() == nil {
			changed()
		}
	}
}

// settle waits until nothing has happened for a while.
func (w *Watcher) settle(ctx context.Context) {
	deadline := time.After(longest)
	for {
		select {
		case <-w.notices.Events:
		case <-time.After(quiet):
			return
		case <-deadline:
			return
		case <-ctx.Done():
			return
		}
	}
}
