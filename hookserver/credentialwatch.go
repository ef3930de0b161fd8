package hookserver

import (
	"context"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// Run reads the directory again whenever it changes, until ctx ends. It returns nil. It notices an update of a mounted
// Secret, where the kubelet replaces a symbolic link in the directory. Some changes cause no notification, such as
// those on NFS and those of the target of a link: polling finds them within 10 s.
func (c *Credentials) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		loglevel.Warn(c.logger, "Credentials are not watched, only polled", "directory", c.dir, "error", err)
	}
	watcher.Run(ctx, c.reload)
	return nil
}
