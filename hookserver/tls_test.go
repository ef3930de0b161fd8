package hookserver

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

// pairFiles are the texts of tls.crt and tls.key.
type pairFiles struct{ crt, key []byte }

// newPair makes a certificate that signs itself.
func newPair(t *testing.T, name string) pairFiles {
	t.Helper()
	return newPairUntil(t, name, time.Now().Add(time.Hour))
}

func newPairUntil(t *testing.T, name string, notAfter time.Time) pairFiles {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: notAfter,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pairFiles{
		crt: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		key: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}),
	}
}

func (f pairFiles) write(t *testing.T, dir string) {
	t.Helper()
	for name, text := range map[string][]byte{"tls.crt": f.crt, "tls.key": f.key} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// served returns the common name of the certificate in use, and the number of certificates sent.
func served(t *testing.T, c *Certificate) (name string, chain int) {
	t.Helper()
	pair, err := c.Get(nil)
	if err != nil {
		t.Fatal(err)
	}
	return pair.Leaf.Subject.CommonName, len(pair.Certificate)
}

func TestAChangedCertificateIsTakenUp(t *testing.T) {
	first, other := newPair(t, "first"), newPair(t, "other")
	longer := pairFiles{crt: append(append([]byte{}, first.crt...), other.crt...), key: first.key}
	for sentence, c := range map[string]struct {
		files   pairFiles
		name    string
		chain   int
		changed bool
		fault   string
	}{
		"the same files are no change":                    {first, "first", 1, false, ""},
		"another certificate with its key is served":      {other, "other", 1, true, ""},
		"an intermediate that was missing is served":      {longer, "first", 2, true, ""},
		"a certificate without its key leaves the old":    {pairFiles{other.crt, first.key}, "first", 1, false, "does not match"},
		"an empty file leaves the old":                    {pairFiles{nil, first.key}, "first", 1, false, "failed to find"},
		"a key that is none leaves the old":               {pairFiles{first.crt, []byte("none")}, "first", 1, false, "failed to find"},
		"a certificate cut short leaves the old":          {pairFiles{first.crt[:100], first.key}, "first", 1, false, "failed to find"},
		"the chain's order matters: another's leaf fails": {pairFiles{append(other.crt, first.crt...), first.key}, "first", 1, false, "does not match"},
	} {
		t.Run(sentence, func(t *testing.T) {
			dir := t.TempDir()
			first.write(t, dir)
			certificate, err := LoadCertificate(dir, logr.Discard())
			if err != nil {
				t.Fatal(err)
			}
			c.files.write(t, dir)
			changed, err := certificate.read()
			if changed != c.changed || (err == nil) != (c.fault == "") || err != nil && !strings.Contains(err.Error(), c.fault) {
				t.Errorf("changed %t and %v; want %t and %q", changed, err, c.changed, c.fault)
			}
			if name, chain := served(t, certificate); name != c.name || chain != c.chain {
				t.Errorf("serves %q in a chain of %d, want %q in one of %d", name, chain, c.name, c.chain)
			}
		})
	}
}

func TestNoCertificateIsAnErrorThatNamesTheFile(t *testing.T) {
	dir := t.TempDir()
	_, err := LoadCertificate(dir, logr.Discard())
	if err == nil || !strings.Contains(err.Error(), filepath.Join(dir, "tls.crt")) {
		t.Errorf("got %v", err)
	}
}

func TestTheEndOfTheCertificateIsTheFirstEndInItsChain(t *testing.T) {
	early, late := time.Unix(4e9, 0), time.Unix(5e9, 0)
	leaf, issuer := newPairUntil(t, "leaf", late), newPairUntil(t, "issuer", early)
	broken := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("none")})
	dir := t.TempDir()
	leaf.write(t, dir)
	certificate, err := LoadCertificate(dir, logr.Discard())
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	if err := certificate.Register(registry); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		sentence string
		chain    [][]byte
		want     time.Time
	}{
		{"a certificate alone", [][]byte{leaf.crt}, late},
		{"an issuer that ends before it", [][]byte{leaf.crt, issuer.crt}, early},
		{"what is no certificate has no end", [][]byte{leaf.crt, broken}, late},
	} {
		pairFiles{bytes.Join(c.chain, nil), leaf.key}.write(t, dir)
		if _, err := certificate.read(); err != nil {
			t.Fatalf("%s: %v", c.sentence, err)
		}
		want := fmt.Sprintf(`
# HELP registration_policy_certificate_not_after_timestamp_seconds Unix time of the earliest expiry in the certificate chain in use.
# TYPE registration_policy_certificate_not_after_timestamp_seconds gauge
registration_policy_certificate_not_after_timestamp_seconds %g
`, float64(c.want.Unix()))
		if err := testutil.GatherAndCompare(registry, strings.NewReader(want)); err != nil {
			t.Errorf("%s: %v", c.sentence, err)
		}
	}
}
