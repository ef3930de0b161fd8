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

// algorithms are those that a token may be signed with. Okta uses RS256; ES256 has shorter keys and signatures.
var algorithms = []jose.SignatureAlgorithm{jose.RS256, jose.ES256}

// keyName identifies a key. Keys of different algorithms may have the same id (RFC 7517 §4.5).
type keyName struct {
	id        string
	algorithm jose.SignatureAlgorithm
}

// keySet has the keys that an issuer published. It is read-only once it is in use.
type keySet struct {
	fetched time.Time
	keys    map[keyName]any // *rsa.PublicKey or *ecdsa.PublicKey
	skipped int             // keys that parseKeys skipped
}

// find returns the key with a token's key id. For a token without a key id, it returns the set's key if there is only
// one.
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

// sameNames reports whether two sets have keys with the same names.
func (s *keySet) sameNames(other *keySet) bool {
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

// keyMembers are the members of a JWK by which parseKey decides whether to use the key.
type keyMembers struct {
	Type       string         `json:"kty"`
	ID         string         `json:"kid"`
	Use        string         `json:"use"`
	Operations []string       `json:"key_ops"`
	Algorithm  string         `json:"alg"`
	Private    jsontext.Value `json:"d"`
}

// parseKeys reads a JWK set (RFC 7517). It skips keys that are for another purpose, weak, or private. It fails if no
// key is left, or if two have the same name, since either could be meant.
func parseKeys(document []byte) (*keySet, error) {
	var published struct {
		Keys []jsontext.Value `json:"keys"`
	}
	if err := json.Unmarshal(document, &published); err != nil {
		return nil, errors.New("is not a JSON object with an array of keys")
	}
	if len(published.Keys) > maxKeys {
		return nil, fmt.Errorf("has %d keys: at most %d are supported", len(published.Keys), maxKeys)
	}
	set := &keySet{keys: map[keyName]any{}}
	for _, text := range published.Keys {
		name, key := parseKey(text)
		if key == nil {
			set.skipped++
			continue
		}
		if _, twice := set.keys[name]; twice {
			return nil, fmt.Errorf("has two keys for %s with the id %.*q", name.algorithm, maxQuoted, name.id)
		}
		set.keys[name] = key
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("has %d keys, but none to verify RS256 or ES256 with", len(published.Keys))
	}
	return set, nil
}

// parseKey returns a nil key if parseKeys must skip it.
func parseKey(text jsontext.Value) (keyName, any) {
	var members keyMembers
	if err := json.Unmarshal(text, &members); err != nil || len(members.ID) > maxKeyID {
		return keyName{}, nil
	}
	name := keyName{id: members.ID}
	switch members.Type {
	case "RSA":
		name.algorithm = jose.RS256
	case "EC":
		name.algorithm = jose.ES256
	default:
		return name, nil
	}
	switch {
	case members.Use != "" && members.Use != "sig",
		members.Operations != nil && !slices.Contains(members.Operations, "verify"),
		members.Algorithm != "" && members.Algorithm != string(name.algorithm),
		members.Private != nil: // anyone could sign with a published private key
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
