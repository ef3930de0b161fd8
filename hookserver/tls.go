package hookserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"

	"registrationpolicy.dev/operator/internal/dirwatch"
	"registrationpolicy.dev/operator/internal/loglevel"
)

// Certificate is a TLS certificate and its key, read from two files. [LoadCertificate] makes it, and [Certificate.Run]
// follows changes of the files.
//
// controller-runtime's certwatcher is not used because it ignores a change of the intermediate certificates alone. When
// a missing one is added, which Okta needs, the operator would have to be restarted.
type Certificate struct {
	dir    string
	logger logr.Logger

	chain, key []byte // contents of the files in use; they need no lock: only read uses them, and its calls never overlap
	current    atomic.Pointer[certificate]
}

type certificate struct {
	pair tls.Certificate
	// notAfter is the earliest expiry in the chain. Every certificate counts, even one that callers may not need, such
	// as a cross-signed root: the server cannot know which ones they need.
	notAfter time.Time
}

// LoadCertificate reads the PEM files tls.crt, a chain that begins with the server's certificate, and tls.key of a
// directory, as in a Secret of the type kubernetes.io/tls. It fails if one cannot be read or they do not match.
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

// Register registers registration_policy_certificate_not_after_timestamp_seconds: the Unix time of the earliest expiry
// in the chain in use.
func (c *Certificate) Register(registerer prometheus.Registerer) error {
	return registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + "certificate_not_after_timestamp_seconds",
		Help: "Unix time of the earliest expiry in the certificate chain in use.",
	}, func() float64 { return float64(c.current.Load().notAfter.Unix()) }))
}

// TLS returns the TLS configuration of a server with this certificate. It returns nil for a nil Certificate: no TLS.
// The minimum is TLS 1.2, which Okta supports.
func (c *Certificate) TLS() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get}
}

// Get returns the current certificate for every ClientHello. It is a [tls.Config] GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &c.current.Load().pair, nil
}

// Run reads the files again whenever they change, until ctx ends. It returns nil. If they cannot be read or do not
// match, the earlier certificate stays in use, and the error is logged once.
func (c *Certificate) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		loglevel.Warn(c.logger, "Certificate is not watched, only polled", "directory", c.dir, "error", err)
	}
	lastLogged := ""
	watcher.Run(ctx, func() {
		changed, err := c.read()
		switch {
		case err != nil:
			if err.Error() != lastLogged {
				c.logger.Error(err, "Certificate not accepted; the earlier one stays in use", "directory", c.dir)
			}
			lastLogged = err.Error()
		default:
			lastLogged = ""
			if changed {
				c.logger.Info("Certificate replaced", "notAfter", c.current.Load().notAfter)
			}
		}
	})
	return nil
}

// read loads the files if they differ from those in use.
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
	read := &certificate{pair: pair, notAfter: pair.Leaf.NotAfter}
	for _, der := range pair.Certificate[1:] {
		// A certificate that cannot be parsed is still sent; its expiry is unknown.
		if issuer, err := x509.ParseCertificate(der); err == nil && issuer.NotAfter.Before(read.notAfter) {
			read.notAfter = issuer.NotAfter
		}
	}
	c.chain, c.key = chain, key
	c.current.Store(read)
	return true, nil
}
