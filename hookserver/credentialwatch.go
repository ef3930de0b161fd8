package hookserver

import (
	"context"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// Run reads the directory again whenever it changes, until ctx ends. It returns nil. Kubelet replaces a mounted Secret by
// renaming a link in the directory: that is a change like any other. Changes that nothing tells of, because the file system
// does not, or because a file is changed behind a link, are found within 10 s.
func (c *Credentials) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		loglevel.Warn(c.logger, "Credentials are not watched, only polled", "directory", c.dir, "error", err)
	}
	watcher.Run(ctx, c.reload)
	return nil
}
