package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// algorithms are those that a token may be signed with: what Okta signs with, and its shorter like.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// keyName is what a token says of its key. One id may stand for two keys of different kinds (RFC 7517 §4.5).
type keyName struct {
	id        string
	algorithm jose.SignatureAlgorithm
}

// keySet is what an issuer published. It is not changed once it is in use.
type keySet struct {
	fetched time.Time
	keys    map[keyName]any // *rsa.PublicKey or *ecdsa.PublicKey
	skipped int             // keys that are for something else, or not good enough
}

// find returns the key of a token: the one of its id, or, for a token without one, the only key there is.
func (s *keySet) find(name keyName) (any, Cause) {
	if key, found := s.keys[name]; found {
		return key, ""
	}
	if name.id == "" {
		if len(s.keys) != 1 {
			return nil, CauseUnknownKey
		}
		for only, key := range s.keys {
			if only.algorithm == name.algorithm {
				return key, ""
			}
		}
		return nil, CauseAlgorithm
	}
	for _, other := range algorithms {
		if _, found := s.keys[keyName{name.id, other}]; found {
			return nil, CauseAlgorithm
		}
	}
	return nil, CauseUnknownKey
}

// same says whether two sets have keys of the same names.
func (s *keySet) same(other *keySet) bool {
	if other == nil || len(s.keys) != len(other.keys) || s.skipped != other.skipped {
		return false
	}
	for name := range s.keys {
		if _, found := other.keys[name]; !found {
			return false
		}
	}
	return true
}

// keyHead is what a published key says of itself, beside its numbers.
type keyHead struct {
	Type       string         `json:"kty"`
	ID         string         `json:"kid"`
	Use        string         `json:"use"`
	Operations []string       `json:"key_ops"`
	Algorithm  string         `json:"alg"`
	Private    jsontext.Value `json:"d"`
}

// parseKeys reads a JWK set (RFC 7517). Keys that are for something else, or too weak, or private and yet published, are left
// out; none that is left is an error, and so are two of one name and kind: nobody could say which of them counts.
func parseKeys(document []byte) (*keySet, error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(document, &published); err != nil {
		return nil, errors.New("is no JSON object with keys")
	}
	if len(published.Keys) > maxKeys {
		return nil, fmt.Errorf("has %d keys, at most %d are possible", len(published.Keys), maxKeys)
	}
	set := &keySet{keys: map[keyName]any{}}
	for _, text := range published.Keys {
		name, key := parseKey(text)
		if key == nil {
			set.skipped++
			continue
		}
		if _, twice := set.keys[name]; twice {
			return nil, fmt.Errorf("has two keys for %s of the id %.*q", name.algorithm, maxQuoted, name.id)
		}
		set.keys[name] = key
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("has no key to verify RS256 or ES256 with, among %d", len(published.Keys))
	}
	return set, nil
}

// parseKey returns nil for a key that must not verify tokens.
func parseKey(text jsontext.Value) (keyName, any) {
	var head keyHead
	if err := json.Unmarshal(text, &head); err != nil || len(head.ID) > maxKeyID {
		return keyName{}, nil
	}
	name := keyName{id: head.ID}
	switch head.Type {
	case "RSA":
		name.algorithm = jose.RS256
	case "EC":
		name.algorithm = jose.ES256
	default:
		return name, nil
	}
	switch {
	case head.Use != "" && head.Use != "sig",
		head.Operations != nil && !slices.Contains(head.Operations, "verify"),
		head.Algorithm != "" && head.Algorithm != string(name.algorithm),
		head.Private != nil: // a private key that everybody can read is nobody's
		return name, nil
	}
	var key jose.JSONWebKey
	if err := key.UnmarshalJSON(text); err != nil || !key.Valid() {
		return name, nil
	}
	switch public := key.Key.(type) {
	case *rsa.PublicKey:
		if bits := public.N.BitLen(); bits >= minRSA && bits <= maxRSA && public.E >= 3 && public.E%2 == 1 {
			return name, public
		}
	case *ecdsa.PublicKey:
		if public.Curve == elliptic.P256() {
			return name, public
		}
	}
	return name, nil
}
