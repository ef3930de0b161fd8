package oauthissuer

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// What the issuer puts into its tokens.
const (
	// Audience is the claim aud, that of Okta's default authorization server.
	Audience = "api://default"
	// ClientID is the client ID of Okta's inline hook.
	ClientID = "0oa1registrationhook"
	// Scope is the custom scope that the inline hook requests.
	Scope = "registration.decide"

	path             = "/oauth2/default"
	keysPath         = path + "/v1/keys"
	openIDPath       = path + "/.well-known/openid-configuration"
	lifetime         = 5 * time.Minute
	certificateYears = 100 // from 1990 on: the certificate must be valid at each time to which a test sets a clock
)

// Issuer is a running authorization server.
type Issuer struct {
	// URL is the issuer's URL, the claim iss of its tokens.
	URL string
	// CAFile is a file with the CA certificate of its TLS certificate, as PEM.
	CAFile string

	server *httptest.Server

	mu       sync.Mutex
	keys     []map[string]any
	instead  map[string]http.HandlerFunc // by path
	requests map[string]int              // by path
}

// Start starts an issuer that publishes keys, until the test ends.
func Start(tb testing.TB, keys ...*Key) *Issuer {
	tb.Helper()
	i := &Issuer{instead: map[string]http.HandlerFunc{}, requests: map[string]int{}}
	i.Publish(keys...)
	certificate := newCertificate(tb)
	i.server = httptest.NewUnstartedServer(i)
	i.server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	i.server.Config.ErrorLog = log.New(io.Discard, "", 0) // tests close connections on purpose
	i.server.StartTLS()
	tb.Cleanup(i.server.Close)
	i.URL = i.server.URL + path
	i.CAFile = filepath.Join(tb.TempDir(), "issuer-ca.pem")
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Certificate[0]})
	if err := os.WriteFile(i.CAFile, authority, 0o600); err != nil {
		tb.Fatal(err)
	}
	return i
}

// Publish replaces the keys that the issuer publishes.
func (i *Issuer) Publish(keys ...*Key) {
	jwks := make([]map[string]any, len(keys))
	for n, key := range keys {
		jwks[n] = key.JWK()
	}
	i.PublishJWK(jwks...)
}

// PublishJWK is [Issuer.Publish] for keys given as JSON Web Keys, which may be malformed.
func (i *Issuer) PublishJWK(keys ...map[string]any) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.keys = keys
}

// Instead makes a handler answer requests for a path below the issuer's URL, such as "/v1/keys". nil restores the
// issuer's own answer.
func (i *Issuer) Instead(below string, handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.instead[path+below] = handler
}

// InsteadAt is [Issuer.Instead] for a path from the root of the host.
func (i *Issuer) InsteadAt(whole string, handler http.HandlerFunc) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.instead[whole] = handler
}

// Away makes every request for the configuration or the keys fail with status 502, until it is called with false.
func (i *Issuer) Away(away bool) {
	var handler http.HandlerFunc
	if away {
		handler = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	}
	i.Instead("/.well-known/openid-configuration", handler)
	i.Instead("/v1/keys", handler)
}

// Fetches returns the number of requests for the keys.
func (i *Issuer) Fetches() int {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.requests[keysPath]
}

// ServeHTTP answers as Okta does.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i.mu.Lock()
	i.requests[r.URL.Path]++
	instead, keys := i.instead[r.URL.Path], i.keys
	i.mu.Unlock()
	answer := func(value any) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, JSON(value)) // fails only if the client has closed the connection
	}
	switch {
	case instead != nil:
		instead(w, r)
	case r.URL.Path == openIDPath:
		answer(i.Configuration())
	case r.URL.Path == keysPath:
		answer(map[string]any{"keys": keys})
	default:
		http.NotFound(w, r)
	}
}

// Configuration returns the content of the issuer's OpenID configuration.
func (i *Issuer) Configuration() map[string]any {
	return map[string]any{
		"issuer": i.URL, "jwks_uri": i.URL + "/v1/keys", "token_endpoint": i.URL + "/v1/token",
		"id_token_signing_alg_values_supported": []string{"RS256"},
	}
}

// Claims returns the claims of a token as Okta would issue it now for a call of the hook.
func (i *Issuer) Claims() map[string]any {
	now := time.Now()
	return map[string]any{
		"ver": 1, "jti": "AT." + rand.Text(), "iss": i.URL, "aud": Audience, "iat": now.Unix(), "exp": now.Add(lifetime).Unix(),
		"cid": ClientID, "scp": []string{Scope}, "sub": ClientID,
	}
}

// Token returns a token with the claims of [Issuer.Claims] after all changes, signed by a key.
func (i *Issuer) Token(key *Key, change ...func(claims map[string]any)) string {
	claims := i.Claims()
	for _, change := range change {
		change(claims)
	}
	return key.Sign(key.Header(), JSON(claims))
}

func newCertificate(tb testing.TB) tls.Certificate {
	tb.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	begin := time.Date(1990, time.January, 1, 0, 0, 0, 0, time.UTC)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: begin, NotAfter: begin.AddDate(certificateYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		tb.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}
