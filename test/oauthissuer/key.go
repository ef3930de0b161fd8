package oauthissuer

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"sync"
)

// Key is a key that signs tokens.
type Key struct {
	// ID is the key's kid. "" means that it has none.
	ID string
	// Private is an *rsa.PrivateKey or, for ES256, an *ecdsa.PrivateKey on P-256.
	Private crypto.Signer
}

// rsaKeys has a function for each key, which generates it at the first call. Generating an RSA key is slow.
var rsaKeys sync.Map

// RSA returns an RSA key with an id and a length in bits. For the same arguments it always returns the same key.
func RSA(id string, bits int) *Key {
	made, _ := rsaKeys.LoadOrStore(fmt.Sprint(id, "/", bits), sync.OnceValue(func() *Key {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err) // impossible
		}
		return &Key{id, private}
	}))
	return made.(func() *Key)()
}

// EC returns a new key on P-256.
func EC(id string) *Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // impossible: the input is constant
	}
	return &Key{id, private}
}

// Algorithm is RS256 or ES256.
func (k *Key) Algorithm() string {
	if _, ok := k.Private.(*ecdsa.PrivateKey); ok {
		return "ES256"
	}
	return "RS256"
}

// JWK returns the public key as a JSON Web Key with use and alg, as Okta publishes it.
func (k *Key) JWK() map[string]any {
	jwk := map[string]any{"alg": k.Algorithm(), "use": "sig"}
	if k.ID != "" {
		jwk["kid"] = k.ID
	}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // the byte 4 for an uncompressed point, then both coordinates
		if err != nil {
			panic(err) // impossible for a key on P-256
		}
		half := 1 + len(point)/2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", text(point[1:half]), text(point[half:])
	}
	return jwk
}

// Sign returns a signed token with a header and claims, which may be malformed JSON.
func (k *Key) Sign(header, claims string) string {
	signed := text([]byte(header)) + "." + text([]byte(claims))
	digest := sha256.Sum256([]byte(signed))
	var signature []byte
	var err error
	if private, ok := k.Private.(*ecdsa.PrivateKey); ok {
		var r, s *big.Int
		if r, s, err = ecdsa.Sign(rand.Reader, private, digest[:]); err == nil {
			const size = 32
			signature = append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
		}
	} else {
		signature, err = k.Private.Sign(rand.Reader, digest[:], crypto.SHA256)
	}
	if err != nil {
		panic(err) // impossible for the keys of this package
	}
	return signed + "." + text(signature)
}

// Header returns the header of a token signed by this key, as Okta writes it.
func (k *Key) Header() string {
	header := map[string]any{"alg": k.Algorithm()}
	if k.ID != "" {
		header["kid"] = k.ID
	}
	return JSON(header)
}

// JSON returns any value as JSON.
func JSON(value any) string {
	written, err := json.Marshal(value)
	if err != nil {
		panic(err) // only a value of the test itself can cause this
	}
	return string(written)
}

func text(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// Fixed returns a key on P-256 that is always the same. So the concurrent processes of a fuzz target accept the same
// tokens.
func Fixed(id string) *Key {
	const size = 32
	scalar := make([]byte, size)
	scalar[size-1] = 7
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		panic(err) // impossible: the input is constant
	}
	return &Key{id, private}
}
