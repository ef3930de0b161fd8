package hookserver

import (
	"context"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// Run reads the directory again whenever it changes, until ctx ends. It returns nil. It notices an update of a mounted
// Secret, where the kubelet replaces a symbolic link in the directory. Changes without a notification, as on NFS or of
// a link's target, are found by polling within 10 s.
func (c *Credentials) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		loglevel.Warn(c.logger, "Credentials are not watched, only polled", "directory", c.dir, "error", err)
	}
	watcher.Run(ctx, c.reload)
	return nil
}
