package hookcheck_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"testing"
	"time"
)

// issuer is a certificate that can issue others.
type issuer struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// issue makes a certificate; by nil it is self-signed.
func issue(t *testing.T, by *issuer, template *x509.Certificate) *issuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	if template.NotBefore.IsZero() {
		template.NotBefore = time.Now().Add(-365 * 24 * time.Hour)
	}
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(365 * 24 * time.Hour)
	}
	template.BasicConstraintsValid = true
	parent, signer := template, key
	if by != nil {
		parent, signer = by.certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issuer{certificate, key}
}

func authority(t *testing.T, name string, by *issuer) *issuer {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	if by != nil {
		template.IssuingCertificateURL = []string{"http://ca.example/root.crt"}
	}
	return issue(t, by, template)
}

// leaf is the certificate of the hook's host, to be changed.
func leaf() *x509.Certificate {
	return &x509.Certificate{
		Subject: pkix.Name{CommonName: host}, DNSNames: []string{host}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// pki is a public CA with an intermediate, and one that no public client knows.
type pki struct {
	root, intermediate, private *issuer
}

func newPKI(t *testing.T) *pki {
	t.Helper()
	root := authority(t, "Public Root", nil)
	return &pki{root, authority(t, "Public Intermediate", root), authority(t, "Company CA", nil)}
}

func (p *pki) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(p.root.certificate)
	return pool
}

// served is what a server serves: its certificate and the others that it sends.
func served(certificate *issuer, others ...*issuer) *tls.Config {
	c := tls.Certificate{Certificate: [][]byte{certificate.certificate.Raw}, PrivateKey: certificate.key}
	for _, other := range others {
		c.Certificate = append(c.Certificate, other.certificate.Raw)
	}
	return &tls.Config{Certificates: []tls.Certificate{c}}
}
