package manual

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"path/filepath"
	"testing"
	"time"
)

// chain is a certificate that is signed by an intermediate certificate, as those of public CAs are. At first its file
// lacks the intermediate one, which is a frequent mistake.
type chain struct {
	dir                      string // with tls.crt and tls.key
	roots                    *x509.CertPool
	root, leaf, intermediate []byte
}

func newChain(t *testing.T) *chain {
	t.Helper()
	root := issue(t, "Root", nil)
	intermediate := issue(t, "Intermediate", root)
	leaf := issue(t, "hook.example.com", intermediate)
	key, err := x509.MarshalPKCS8PrivateKey(leaf.key)
	if err != nil {
		t.Fatal(err)
	}
	c := &chain{dir: t.TempDir(), roots: x509.NewCertPool(), root: root.pem(), leaf: leaf.pem(), intermediate: intermediate.pem()}
	c.roots.AddCert(root.certificate)
	write(t, filepath.Join(c.dir, "tls.key"), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})))
	write(t, filepath.Join(c.dir, "tls.crt"), string(c.leaf))
	return c
}

// complete adds the intermediate certificate to the file.
func (c *chain) complete(t *testing.T) {
	t.Helper()
	write(t, filepath.Join(c.dir, "tls.crt"), string(c.leaf)+string(c.intermediate))
}

type issued struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

func (i *issued) pem() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: i.certificate.Raw})
}

// issue creates a certificate signed by issuer. It is a CA certificate, unless the issuer was itself issued by a CA.
func issue(t *testing.T, name string, issuer *issued) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	parent, signer := template, key
	if issuer != nil {
		parent, signer = issuer.certificate, issuer.key
	}
	if name == "hook.example.com" {
		template.IsCA, template.DNSNames, template.IPAddresses = false, []string{name}, []net.IP{net.IPv4(127, 0, 0, 1)}
		template.KeyUsage = x509.KeyUsageDigitalSignature
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{certificate, key}
}
