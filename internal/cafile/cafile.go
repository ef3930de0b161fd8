package cafile

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"os"
)

// maxBytes limits the size of a file. A bundle with all public CAs has some 250 KB.
const maxBytes = 1 << 20

// Read returns the certificates of a PEM file, and ignores its other blocks, such as keys. It fails if the file is
// larger than 1 MiB, has no certificate, or has one that cannot be parsed: a CA must not be dropped unnoticed.
func Read(name string) ([]*x509.Certificate, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err // names the file
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("%s is larger than %d bytes: give a file with only the certificates that you need", name, maxBytes)
	}
	var certificates []*x509.Certificate
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d of %s cannot be parsed: %w: replace or remove it", len(certificates)+1, name, err)
		}
		certificates = append(certificates, certificate)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%s has no certificate in PEM: give a file with lines -----BEGIN CERTIFICATE-----", name)
	}
	return certificates, nil
}
