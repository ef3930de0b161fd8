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

// Certificate is a TLS certificate with its key, kept equal to two files. It is made by [LoadCertificate] and kept up to
// date by [Certificate.Run].
//
// It is our own because controller-runtime's certwatcher passes over a change of the chain alone: whoever adds the missing
// intermediate certificate, as Okta needs it, would have to restart the server too.
type Certificate struct {
	dir    string
	logger logr.Logger

	chain, key []byte // the files in use; of one goroutine
	current    atomic.Pointer[certificate]
}

// certificate is one that was read.
type certificate struct {
	pair tls.Certificate
	// notAfter is the first end in the chain. One that is sent for completeness only, as a cross-signed root is, counts too:
	// whether a caller needs it cannot be told here.
	notAfter time.Time
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

// Register registers registration_policy_certificate_not_after_timestamp_seconds: when the certificate in use ends, or one of
// its chain before it, in Unix time.
func (c *Certificate) Register(registerer prometheus.Registerer) error {
	return registerer.Register(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: metricPrefix + "certificate_not_after_timestamp_seconds",
		Help: "When the certificate of the hook, or one of its chain before it, ends, in Unix time.",
	}, func() float64 { return float64(c.current.Load().notAfter.Unix()) }))
}

// TLS returns the settings of a server with this certificate; nil of a nil one, which is a server without TLS. Okta speaks TLS 1.2 and
// newer.
func (c *Certificate) TLS() *tls.Config {
	if c == nil {
		return nil
	}
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.Get}
}

// Get returns the certificate to serve with, whatever the caller asked for. It is a [tls.Config] GetCertificate.
func (c *Certificate) Get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &c.current.Load().pair, nil
}

// Run reads the files again whenever they change, until ctx ends. It returns nil. What cannot be read, or is only half
// replaced, leaves the earlier certificate in use and is logged once.
func (c *Certificate) Run(ctx context.Context) error {
	watcher, err := dirwatch.New(c.dir)
	if err != nil {
		loglevel.Warn(c.logger, "Certificate is not watched, only polled", "directory", c.dir, "error", err)
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
				c.logger.Info("Certificate replaced", "notAfter", c.current.Load().notAfter)
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
	read := &certificate{pair: pair, notAfter: pair.Leaf.NotAfter}
	for _, der := range pair.Certificate[1:] {
		// What cannot be parsed is sent as it is, and has no end that we know.
		if issuer, err := x509.ParseCertificate(der); err == nil && issuer.NotAfter.Before(read.notAfter) {
			read.notAfter = issuer.NotAfter
		}
	}
	c.chain, c.key = chain, key
	c.current.Store(read)
	return true, nil
}
