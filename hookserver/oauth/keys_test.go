package oauth

import (
	"encoding/base64"
	"fmt"
	"maps"
	"math/big"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

func TestKeysThatMayVerify(t *testing.T) {
	rsa, elliptic := oauthissuer.RSA("k", bits), oauthissuer.EC("k")
	changed := func(key *oauthissuer.Key, name string, value any) map[string]any {
		jwk := maps.Clone(key.JWK())
		if value == nil {
			delete(jwk, name)
		} else {
			jwk[name] = value
		}
		return jwk
	}
	for sentence, test := range map[string]struct {
		jwk map[string]any
		ok  bool
	}{
		"as Okta publishes it":               {rsa.JWK(), true},
		"an elliptic one":                    {elliptic.JWK(), true},
		"of no named use":                    {changed(rsa, "use", nil), true},
		"of no named algorithm":              {changed(rsa, "alg", nil), true},
		"to verify, by its operations":       {changed(rsa, "key_ops", []string{"verify"}), true},
		"to encrypt":                         {changed(rsa, "use", "enc"), false},
		"to encrypt, by its operations":      {changed(rsa, "key_ops", []string{"wrapKey"}), false},
		"for nothing, by its operations":     {changed(rsa, "key_ops", []string{}), false},
		"for another algorithm":              {changed(rsa, "alg", "RS512"), false},
		"for an algorithm of another kind":   {changed(rsa, "alg", "ES256"), false},
		"a secret":                           {map[string]any{"kty": "oct", "kid": "k", "k": "c2VjcmV0"}, false},
		"an elliptic one, Edwards":           {map[string]any{"kty": "OKP", "crv": "Ed25519", "kid": "k", "x": "c2VjcmV0"}, false},
		"private, and yet published":         {changed(rsa, "d", "AQAB"), false},
		"of 2047 bits":                       {changed(rsa, "n", modulus(2047)), false},
		"of 2048 bits":                       {changed(rsa, "n", modulus(2048)), true},
		"of 4096 bits":                       {changed(rsa, "n", modulus(4096)), true},
		"of 4097 bits":                       {changed(rsa, "n", modulus(4097)), false},
		"with the exponent 2":                {changed(rsa, "e", "Ag"), false},
		"with the exponent 3":                {changed(rsa, "e", "Aw"), true},
		"with the exponent 4":                {changed(rsa, "e", "BA"), false},
		"with the longest id":                {changed(rsa, "kid", strings.Repeat("k", maxKeyID)), true},
		"of 1024 bits":                       {oauthissuer.RSA("short", 1024).JWK(), false},
		"with the exponent 1":                {changed(rsa, "e", "AQ"), false},
		"without an exponent":                {changed(rsa, "e", nil), false},
		"of 16384 bits":                      {changed(rsa, "n", strings.Repeat("_", 2732)), false},
		"not on its curve":                   {changed(elliptic, "y", base64.RawURLEncoding.EncodeToString(make([]byte, 32))), false},
		"on another curve":                   {changed(elliptic, "crv", "P-384"), false},
		"with an id that is a number":        {changed(rsa, "kid", 1), false},
		"with an id too long":                {changed(rsa, "kid", strings.Repeat("k", maxKeyID+1)), false},
		"with a certificate of another key":  {changed(rsa, "x5c", []string{"AAAA"}), false},
		"with no kind":                       {changed(rsa, "kty", nil), false},
		"with a kind in another case":        {changed(rsa, "kty", "rsa"), false},
		"with uses in an array":              {changed(rsa, "use", []string{"sig"}), false},
		"with members that nobody knows":     {changed(rsa, "odd", map[string]any{"a": 1}), true},
		"with an algorithm in another case":  {changed(rsa, "alg", "rs256"), false},
		"with the modulus in plain base64":   {changed(rsa, "n", "+/+/"), false},
		"an elliptic one for RSA's":          {changed(elliptic, "alg", "RS256"), false},
		"of an RSA kind with a point's data": {changed(elliptic, "kty", "RSA"), false},
	} {
		t.Run(sentence, func(t *testing.T) {
			set, err := parseKeys([]byte(oauthissuer.JSON(map[string]any{"keys": []any{test.jwk}})))
			if (err == nil) != test.ok {
				t.Errorf("keys %v, error %v; want one key: %v", set, err, test.ok)
			}
		})
	}
}

// modulus returns the largest number of so many bits, as a member of a key.
func modulus(bits uint) string {
	one := big.NewInt(1)
	return base64.RawURLEncoding.EncodeToString(new(big.Int).Sub(new(big.Int).Lsh(one, bits), one).Bytes())
}

func TestAnIssuerMayPublishSoManyKeys(t *testing.T) {
	jwk := maps.Clone(oauthissuer.Fixed("k").JWK())
	var keys []any
	for i := range maxKeys {
		jwk := maps.Clone(jwk)
		jwk["kid"] = fmt.Sprint("k", i)
		keys = append(keys, jwk)
	}
	if set, err := parseKeys([]byte(oauthissuer.JSON(map[string]any{"keys": keys}))); err != nil || len(set.keys) != maxKeys {
		t.Errorf("%d keys: %v", maxKeys, err)
	}
}

func TestNamesOfKeysAreShownWithPlainIDsOnly(t *testing.T) {
	set := &keySet{keys: map[keyName]any{{"k1", "RS256"}: 1, {"k 1", "RS256"}: 1, {"", "RS256"}: 1, {"k1", "ES256"}: 1}}
	want := []string{"ES256:k1", "RS256:?", "RS256:?", "RS256:k1"}
	if diff := cmp.Diff(want, set.names()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestKeysAreInUseForADay(t *testing.T) {
	keys, now := &keySet{fetched: time.Unix(0, 0)}, time.Unix(0, 0).Add(maxKeyAge)
	if !keys.inUse(now) || keys.inUse(now.Add(1)) || (*keySet)(nil).inUse(now) {
		t.Error("keys are in use for another time than a day")
	}
}

func TestSetsOfKeysWithTheSameNames(t *testing.T) {
	set := func(skipped int, ids ...string) *keySet {
		keys := map[keyName]any{}
		for _, id := range ids {
			keys[keyName{id, "RS256"}] = id
		}
		return &keySet{keys: keys, skipped: skipped}
	}
	for sentence, test := range map[string]struct {
		other *keySet
		want  bool
	}{
		"the same":  {set(1, "a", "b"), true},
		"none":      {nil, false},
		"one fewer": {set(1, "a"), false},
		"one more":  {set(1, "a", "b", "c"), false},
		"another":   {set(1, "a", "c"), false},
		"another number of those that cannot be used": {set(0, "a", "b"), false},
	} {
		if got := set(1, "a", "b").sameNames(test.other); got != test.want {
			t.Errorf("%s: %t, want %t", sentence, got, test.want)
		}
	}
}

func TestKeySetsThatSayNothingAreRefused(t *testing.T) {
	key := oauthissuer.JSON(oauthissuer.RSA("k", bits).JWK())
	for text, want := range map[string]string{
		``:                                   "not a JSON object",
		`<html>`:                             "not a JSON object",
		`[]`:                                 "not a JSON object",
		`{"keys":{}}`:                        "not a JSON object",
		`{"keys":[` + key + `],"keys":[]}`:   "not a JSON object",
		`{"keys":[` + key + `]} x`:           "not a JSON object",
		`null`:                               "but none",
		`{}`:                                 "but none",
		`{"keys":[]}`:                        "but none",
		`{"keys":[null,1,"x",{}]}`:           "has 4 keys, but none",
		`{"KEYS":[` + key + `]}`:             "but none",
		`{"keys":[` + key + `,` + key + `]}`: "two keys for RS256",
		`{"keys":[{}` + strings.Repeat(",{}", maxKeys) + `]}`: "at most 64",
	} {
		if _, err := parseKeys([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
	}
}

func TestOneIDMayStandForTwoKeysOfDifferentKinds(t *testing.T) {
	rsa, elliptic := oauthissuer.RSA("k", bits), oauthissuer.EC("k")
	issuer := oauthissuer.Start(t, rsa, elliptic)
	v := fetched(t, issuer)
	expect(t, v, issuer.Token(rsa), "")
	expect(t, v, issuer.Token(elliptic), "")
}
