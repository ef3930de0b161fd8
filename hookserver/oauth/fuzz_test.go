package oauth

import (
	"crypto/ecdsa"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

const fuzzIssuer = "https://acme.okta.com/oauth2/default"

var causes = []Cause{
	CauseTooLong, CauseMalformed, CauseCritical, CauseAlgorithm, CauseType, CauseIssuer, CauseAudience, CauseClient, CauseScope,
	CauseExpired, CauseFuture, CauseNoKeys, CauseUnknownKey, CauseSignature,
}

// fuzzed returns a verifier of the one fixed key.
func fuzzed(tb testing.TB) (*Verifier, *oauthissuer.Key) {
	tb.Helper()
	key := oauthissuer.Fixed("k1")
	v, err := New(Options{Issuer: fuzzIssuer, Audience: "api://default", ClientIDs: []string{"0oa"}, Scope: "decide"})
	if err != nil {
		tb.Fatal(err)
	}
	keys, err := parseKeys([]byte(oauthissuer.JSON(map[string]any{"keys": []any{key.JWK()}})))
	if err != nil {
		tb.Fatal(err)
	}
	keys.fetched = time.Now()
	v.keys.Store(keys)
	return v, key
}

const (
	fuzzHeader = `{"alg":"ES256","kid":"k1"}`
	fuzzClaims = `{"iss":"` + fuzzIssuer + `","aud":"api://default","cid":"0oa","scp":["decide"],"iat":1,"exp":99999999999}`
)

// signedByTheIssuer verifies a token independently, with only the standard library.
func signedByTheIssuer(token string, key *oauthissuer.Key) bool {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return false
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 {
		return false
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	public := key.Private.Public().(*ecdsa.PublicKey)
	return ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
}

// saysWhatItMust checks the claims as a lenient reader would understand them.
func saysWhatItMust(token string) bool {
	parts := strings.Split(token, ".")
	var header, claims map[string]any
	for i, read := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(text, read) != nil {
			return false
		}
	}
	holds := func(value any, want string) bool {
		if list, ok := value.([]any); ok {
			return slices.ContainsFunc(list, func(v any) bool { s, _ := v.(string); return slices.Contains(strings.Fields(s), want) })
		}
		s, _ := value.(string)
		return slices.Contains(strings.Fields(s), want)
	}
	expires, _ := claims["exp"].(float64)
	kid, named := header["kid"]
	return header["alg"] == "ES256" && (!named || kid == "k1") && header["crit"] == nil && claims["iss"] == fuzzIssuer &&
		holds(claims["aud"], "api://default") && claims["cid"] == "0oa" && holds(claims["scp"], "decide") &&
		expires > float64(time.Now().Add(-leeway).Unix()-1)
}

func checkVerdict(t *testing.T, v *Verifier, key *oauthissuer.Key, token string) (accepted bool) {
	t.Helper()
	client, cause, ok := v.Verify(token)
	switch {
	case !ok && (client != "" || !slices.Contains(causes, cause)):
		t.Errorf("refused with client %q and cause %q", client, cause)
	case ok && (client != "0oa" || cause != ""):
		t.Errorf("accepted with client %q and cause %q", client, cause)
	case ok && !signedByTheIssuer(token, key):
		t.Error("accepted, and not signed by the issuer's key")
	case ok && !saysWhatItMust(token):
		t.Error("accepted, and does not say what it must")
	}
	return ok
}

// FuzzVerify: only tokens signed with the issuer's key are accepted.
func FuzzVerify(f *testing.F) {
	v, key := fuzzed(f)
	good := key.Sign(fuzzHeader, fuzzClaims)
	f.Add(good)
	f.Add(good + "=")
	f.Add(good[:len(good)-1])
	f.Add("..")
	f.Add("e30.e30.e30")
	f.Add(strings.Replace(good, ".", "..", 1))
	f.Add(base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + good[strings.Index(good, "."):])
	f.Fuzz(func(t *testing.T, token string) { checkVerdict(t, v, key, token) })
}

// FuzzToken: of the tokens that the issuer signs, only unchanged ones with the required claims are accepted.
func FuzzToken(f *testing.F) {
	v, key := fuzzed(f)
	f.Add(fuzzHeader, fuzzClaims, uint16(0))
	f.Add(`{"alg":"ES256"}`, fuzzClaims, uint16(3))
	f.Add(`{"alg":"RS256","kid":"k1"}`, fuzzClaims, uint16(90))
	f.Add(`{"alg":"ES256","kid":"k1","crit":[]}`, fuzzClaims, uint16(90))
	f.Add(`{"alg":"ES256","kid":"k1","typ":"at+jwt"}`, strings.Replace(fuzzClaims, `"0oa"`, `"0oa","cid":"x"`, 1), uint16(9))
	f.Add(fuzzHeader, strings.Replace(fuzzClaims, `["decide"]`, `"a decide"`, 1), uint16(200))
	f.Add(fuzzHeader, strings.Replace(fuzzClaims, `"api://default"`, `["x","api://default"]`, 1), uint16(200))
	f.Add(fuzzHeader, strings.Replace(fuzzClaims, `99999999999`, `1`, 1), uint16(200))
	f.Add(fuzzHeader, `{"x":{"a":1,"a":2}}`, uint16(200))
	f.Fuzz(func(t *testing.T, header, claims string, place uint16) {
		token := key.Sign(header, claims)
		if !checkVerdict(t, v, key, token) {
			return
		}
		changed := []byte(token)
		changed[int(place)%len(changed)] ^= 1
		if checkVerdict(t, v, key, string(changed)) && !signedByTheIssuer(string(changed), key) {
			t.Error("accepted after a change")
		}
	})
}

// FuzzKeys: of the keys that an issuer publishes, only strong ones are used.
func FuzzKeys(f *testing.F) {
	for _, key := range []*oauthissuer.Key{oauthissuer.Fixed("k1"), oauthissuer.RSA("k2", bits), oauthissuer.RSA("k3", 1024)} {
		f.Add([]byte(oauthissuer.JSON(map[string]any{"keys": []any{key.JWK()}})))
	}
	f.Add([]byte(`{"keys":[{"kty":"oct","k":"AA"}]}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := parseKeys(document)
		if err != nil {
			return
		}
		if len(set.keys) == 0 {
			t.Error("no key, and no error")
		}
		for name, key := range set.keys {
			switch public := key.(type) {
			case *rsa.PublicKey:
				if name.algorithm != "RS256" || public.N.BitLen() < minRSA || public.E < 3 {
					t.Errorf("%s by %d bits and the exponent %d", name.algorithm, public.N.BitLen(), public.E)
				}
			case *ecdsa.PublicKey:
				if _, err := public.ECDH(); name.algorithm != "ES256" || err != nil || public.Params().BitSize != 256 {
					t.Errorf("%s by a point that is none: %v", name.algorithm, err)
				}
			default:
				t.Errorf("%s by a %T", name.algorithm, key)
			}
		}
	})
}
