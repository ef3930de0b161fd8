package hookserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/internal/dirwatch"
)

// Certificate is a TLS certificate with its key, kept equal to two files. It is made by [LoadCertificate] and kept up to
// date by [Certificate.Run].
//
// It is our own because controller-runtime's certwatcher passes over a change of the chain alone: whoever adds the missing
// intermediate certificate, as Okta needs it, would have to restart the server too.
type Certificate struct {
	dir    string
	logger logr.Logger

	chain, key []byte // the files in use; of one goroutine
	current    atomic.Pointer[tls.Certificate]
}

// LoadCertificate reads tls.crt, a chain that begins with the server's own certificate, and tls.key in the directory, both in
// PEM, as a Secret of the type kubernetes.io/tls has them. The error names what cannot be read or does not fit together.
func LoadCertificate(dir string, logger logr.Logger) (*Certificate, error) {
	if logger.GetSink() == nil {
		logger = logr.Discard()
	}
	c := &Certificate{dir: dir, logger: logger}
	if _, err := c.read(); err != nil {
		return nil, err
	}
	return c, nil
}

// Get returns the certificate to serve with, whatever the caller asked for. It is a [tls.Config] GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return c.current.Load(), nil
}

// Run reads the files again whenever they change, until ctx ends. It returns nil. What cannot be read, or is only half
// replaced, leaves the earlier certificate in use and is logged once.
func (c *Certificate) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		c.logger.Error(err, "Certificate is not watched, only polled", "directory", c.dir)
	}
	fault := ""
	watcher.Run(ctx, func() {
		changed, err := c.read()
		switch {
		case err != nil:
			if err.Error() != fault {
				c.logger.Error(err, "Certificate not accepted; the earlier one stays in use", "directory", c.dir)
			}
			fault = err.Error()
		default:
			fault = ""
			if changed {
				c.logger.Info("Certificate replaced", "notAfter", c.current.Load().Leaf.NotAfter)
			}
		}
	})
	return nil
}

// read takes up the files if they differ from those in use.
func (c *Certificate) read() (changed bool, err error) {
	chain, err := os.ReadFile(filepath.Join(c.dir, "tls.crt"))
	if err != nil {
		return false, err
	}
	key, err := os.ReadFile(filepath.Join(c.dir, "tls.key"))
	if err != nil {
		return false, err
	}
	if bytes.Equal(chain, c.chain) && bytes.Equal(key, c.key) {
		return false, nil
	}
	pair, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return false, fmt.Errorf("tls.crt and tls.key in %s: %w", c.dir, err)
	}
	c.chain, c.key = chain, key
	c.current.Store(&pair)
	return true, nil
}
