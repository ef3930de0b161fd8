package input

import (
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"

	"registrationpolicy.dev/operator/internal/cafile"
)

// MaxBytes limits what [Read] reads. It is far more than a call, a credential or a list of addresses needs.
const MaxBytes = 1 << 20

// Read reads at most MaxBytes of a file, or of standard input if the name is -.
func Read(name string, stdin io.Reader) ([]byte, error) {
	if name == "-" {
		return io.ReadAll(io.LimitReader(stdin, MaxBytes))
	}
	return ReadUpTo(name, MaxBytes)
}

// ReadUpTo reads at most limit bytes of a file.
func ReadUpTo(path string, limit int64) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(file, limit))
	return body, errors.Join(err, file.Close())
}

// Authorities reads the CAs of --ca-file, or returns none without that flag.
func Authorities(name string) ([]*x509.Certificate, error) {
	if name == "" {
		return nil, nil
	}
	authorities, err := cafile.Read(name)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	return authorities, nil
}
