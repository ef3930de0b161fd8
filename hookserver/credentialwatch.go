package hookserver

import (
	"context"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run reads the directory again whenever it changes, until ctx ends. It returns nil. Kubelet replaces a mounted
// Secret by renaming a link in the directory: that is a change like any other. Changes that nothing tells of, because
// the file system does not, or because a file is changed behind a link, are found within 10 s.
func (c *Credentials) Run(ctx context.Context) error {
	var events <-chan fsnotify.Event
	var lost <-chan error
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		c.logger.Error(err, "Credentials are not watched, only polled", "directory", c.dir)
	} else {
		defer watcher.Close()
		events, lost = watcher.Events, watcher.Errors
	}
	watch := func() {
		if watcher == nil {
			return
		}
		watcher.Remove(c.dir) // the path may be another directory by now; an error means that it was not watched
		if err := watcher.Add(c.dir); err != nil {
			c.logger.V(1).Info("Credentials are not watched, only polled", "directory", c.dir, "error", err.Error())
		}
	}

	poll := time.NewTicker(credentialPoll)
	defer poll.Stop()
	watch()
	for {
		c.reload() // after every beginning of a watch, so that no change falls between
		select {
		case <-ctx.Done():
			return nil
		case <-events:
		case <-lost: // too many changes at once
		case <-poll.C:
			watch()
		}
	}
}
