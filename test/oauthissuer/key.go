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
	// ID is its kid; "" has none.
	ID string
	// Private is an *rsa.PrivateKey or, for ES256, an *ecdsa.PrivateKey on P-256.
	Private crypto.Signer
}

// rsaKeys are made once for a process: they take long.
var rsaKeys sync.Map

// RSA returns a key of an id and a length in bits; always the same of each.
func RSA(id string, bits int) *Key {
	made, _ := rsaKeys.LoadOrStore(fmt.Sprint(id, "/", bits), sync.OnceValue(func() *Key {
		private, err := rsa.GenerateKey(rand.Reader, bits)
		if err != nil {
			panic(err) // of no outside input
		}
		return &Key{id, private}
	}))
	return made.(func() *Key)()
}

// EC returns a new key on P-256.
func EC(id string) *Key {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // of no outside input
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

// JWK returns the public half as it is published, with a use and an algorithm, as Okta's are.
func (k *Key) JWK() map[string]any {
	jwk := map[string]any{"alg": k.Algorithm(), "use": "sig"}
	if k.ID != "" {
		jwk["kid"] = k.ID
	}
	switch public := k.Private.Public().(type) {
	case *rsa.PublicKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", text(public.N.Bytes()), text(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, err := public.Bytes() // 4, then both coordinates
		if err != nil {
			panic(err) // of a key that was just made
		}
		half := 1 + len(point)/2
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", "P-256", text(point[1:half]), text(point[half:])
	}
	return jwk
}

// Sign returns a token of a header and claims that may be any text.
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
		panic(err) // of no outside input
	}
	return signed + "." + text(signature)
}

// Header returns the header of a token that this key signs, as Okta writes it.
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
		panic(err) // of a test's own value
	}
	return string(written)
}

func text(bytes []byte) string { return base64.RawURLEncoding.EncodeToString(bytes) }

// Fixed returns a key on P-256 that is always the same: a fuzz target's processes have it in common.
func Fixed(id string) *Key {
	const size = 32
	scalar := make([]byte, size)
	scalar[size-1] = 7
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), scalar)
	if err != nil {
		panic(err) // of no outside input
	}
	return &Key{id, private}
}
