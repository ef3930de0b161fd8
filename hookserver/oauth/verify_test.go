package oauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

// with sets a claim; nil removes it.
func with(name string, value any) func(map[string]any) {
	return func(claims map[string]any) {
		if value == nil {
			delete(claims, name)
			return
		}
		claims[name] = value
	}
}

func TestTokens(t *testing.T) {
	key, second, elliptic := oauthissuer.RSA("k1", bits), oauthissuer.RSA("k2", bits), oauthissuer.EC("e1")
	stranger := oauthissuer.RSA("k1", bits+8) // the id of another's key
	issuer := oauthissuer.Start(t, key, second, elliptic)
	v := fetched(t, issuer)

	now := time.Now()
	at := func(d time.Duration) int64 { return now.Add(d).Unix() }
	token := func(change ...func(map[string]any)) string { return issuer.Token(key, change...) }
	header := func(header string) string { return key.Sign(header, oauthissuer.JSON(issuer.Claims())) }
	claims := oauthissuer.JSON(issuer.Claims())
	signedAlready := token()
	parts := strings.Split(signedAlready, ".")

	for sentence, test := range map[string]struct {
		token string
		want  Cause
	}{
		"as Okta issues it":                  {token(), ""},
		"by another key of the issuer's":     {issuer.Token(second), ""},
		"by an elliptic key":                 {issuer.Token(elliptic), ""},
		"one audience of two":                {token(with("aud", []string{"other", oauthissuer.Audience})), ""},
		"the scope among others":             {token(with("scp", []string{"a", oauthissuer.Scope, "b"})), ""},
		"scopes with spaces between":         {token(with("scp", "a "+oauthissuer.Scope+" b")), ""},
		"a fraction of a second":             {token(with("exp", float64(at(0))+0.5)), ""},
		"expired within the leeway":          {token(with("exp", at(-leeway/2))), ""},
		"issued ahead within the leeway":     {token(with("iat", at(leeway/2))), ""},
		"without a time of issue":            {token(with("iat", nil)), ""},
		"a type of access tokens":            {header(`{"alg":"RS256","kid":"k1","typ":"at+JWT"}`), ""},
		"members that nobody knows":          {header(`{"alg":"RS256","kid":"k1","x5t":"abc","odd":{}}`), ""},
		"empty":                              {"", CauseMalformed},
		"two parts":                          {parts[0] + "." + parts[1], CauseMalformed},
		"four parts":                         {token() + ".e30", CauseMalformed},
		"no signature":                       {parts[0] + "." + parts[1] + ".", CauseMalformed},
		"no header":                          {"." + parts[1] + "." + parts[2], CauseMalformed},
		"a line break in it":                 {parts[0] + "\n." + parts[1] + "." + parts[2], CauseMalformed},
		"a line break in the signature":      {parts[0] + "." + parts[1] + ".\n" + parts[2], CauseMalformed},
		"padding":                            {parts[0] + "==." + parts[1] + "." + parts[2], CauseMalformed},
		"the alphabet of plain base64":       {parts[0] + ".e30+." + parts[2], CauseMalformed},
		"a header that is an array":          {header(`["RS256"]`), CauseMalformed},
		"a header that is null":              {header(`null`), CauseMalformed},
		"no algorithm":                       {header(`{"kid":"k1"}`), CauseMalformed},
		"two algorithms":                     {header(`{"alg":"RS256","alg":"none","kid":"k1"}`), CauseMalformed},
		"two key ids":                        {header(`{"alg":"RS256","kid":"k2","kid":"k1"}`), CauseMalformed},
		"an algorithm in capitals of a name": {header(`{"ALG":"RS256","kid":"k1"}`), CauseMalformed},
		"a key id that is a number":          {header(`{"alg":"RS256","kid":1}`), CauseMalformed},
		"an empty key id":                    {header(`{"alg":"RS256","kid":""}`), CauseMalformed},
		"text after the header":              {header(`{"alg":"RS256","kid":"k1"} {}`), CauseMalformed},
		"not UTF-8":                          {header("{\"alg\":\"RS256\",\"kid\":\"k1\",\"x\":\"\xff\"}"), CauseMalformed},
		"a key of its own":                   {header(`{"alg":"RS256","kid":"k1","jwk":` + oauthissuer.JSON(stranger.JWK()) + `}`), CauseMalformed},
		"a place of keys of its own":         {header(`{"alg":"RS256","kid":"k1","jku":"https://evil.example/keys"}`), CauseMalformed},
		"a certificate of its own":           {header(`{"alg":"RS256","kid":"k1","x5c":["AAAA"]}`), CauseMalformed},
		"a place of certificates of its own": {header(`{"alg":"RS256","kid":"k1","x5u":"https://evil.example/"}`), CauseMalformed},
		"something critical":                 {header(`{"alg":"RS256","kid":"k1","crit":["exp"],"exp":1}`), CauseCritical},
		"nothing critical":                   {header(`{"alg":"RS256","kid":"k1","crit":[]}`), CauseCritical},
		"a payload that is not encoded":      {header(`{"alg":"RS256","kid":"k1","b64":false,"crit":["b64"]}`), CauseCritical},
		"b64 alone":                          {header(`{"alg":"RS256","kid":"k1","b64":true}`), CauseCritical},
		"no signature by its own word":       {header(`{"alg":"none","kid":"k1"}`), CauseAlgorithm},
		"none in capitals":                   {header(`{"alg":"NONE","kid":"k1"}`), CauseAlgorithm},
		"a longer hash":                      {header(`{"alg":"RS384","kid":"k1"}`), CauseAlgorithm},
		"the public key as a secret":         {hs256(t, key, claims), CauseAlgorithm},
		"an algorithm of another key":        {header(`{"alg":"ES256","kid":"k1"}`), CauseAlgorithm},
		"an ID token's type":                 {header(`{"alg":"RS256","kid":"k1","typ":"logout+jwt"}`), CauseType},
		"a type that is a number":            {header(`{"alg":"RS256","kid":"k1","typ":1}`), CauseMalformed},
		"a claim twice":                      {key.Sign(key.Header(), `{"aud":"x",`+claims[1:]), CauseMalformed},
		"a claim twice, deeper":              {key.Sign(key.Header(), `{"x":{"a":1,"a":2},`+claims[1:]), CauseMalformed},
		"text after the claims":              {key.Sign(key.Header(), claims+"{}"), CauseMalformed},
		"claims that are none":               {key.Sign(key.Header(), `"claims"`), CauseMalformed},
		"another issuer":                     {token(with("iss", "https://evil.example")), CauseIssuer},
		"the issuer with a slash more":       {token(with("iss", issuer.URL+"/")), CauseIssuer},
		"the issuer in capitals":             {token(with("iss", strings.ToUpper(issuer.URL))), CauseIssuer},
		"no issuer":                          {token(with("iss", nil)), CauseIssuer},
		"an issuer in an array":              {token(with("iss", []string{issuer.URL})), CauseMalformed},
		"another audience":                   {token(with("aud", "api://other")), CauseAudience},
		"no audience":                        {token(with("aud", nil)), CauseAudience},
		"no audience in an array":            {token(with("aud", []string{})), CauseAudience},
		"an audience that is a number":       {token(with("aud", 1)), CauseMalformed},
		"a number among audiences":           {token(with("aud", []any{oauthissuer.Audience, 1})), CauseMalformed},
		"another client":                     {token(with("cid", "0oa2other")), CauseClient},
		"no client":                          {token(with("cid", nil)), CauseClient},
		"the client elsewhere":               {token(with("cid", nil), with("azp", oauthissuer.ClientID)), CauseClient},
		"clients in an array":                {token(with("cid", []string{oauthissuer.ClientID})), CauseMalformed},
		"without the scope":                  {token(with("scp", []string{"openid"})), CauseScope},
		"without any scope":                  {token(with("scp", nil)), CauseScope},
		"a scope that begins with it":        {token(with("scp", []string{oauthissuer.Scope + ".more"})), CauseScope},
		"a scope that is true":               {token(with("scp", true)), CauseMalformed},
		"expired":                            {token(with("exp", at(-2*leeway))), CauseExpired},
		"without an end":                     {token(with("exp", nil)), CauseExpired},
		"an end in quotes":                   {token(with("exp", "9999999999")), CauseMalformed},
		"an end beyond numbers":              {key.Sign(key.Header(), strings.Replace(claims, `"exp":`, `"exp":1e999,"x":`, 1)), CauseMalformed},
		"not valid yet":                      {token(with("nbf", at(2*leeway))), CauseFuture},
		"issued in the future":               {token(with("iat", at(2*leeway))), CauseFuture},
		"a beginning in quotes":              {token(with("nbf", "0")), CauseMalformed},
		"by a key that nobody knows":         {issuer.Token(&oauthissuer.Key{ID: "k9", Private: key.Private}), CauseUnknownKey},
		"without a key id, of several":       {header(`{"alg":"RS256"}`), CauseUnknownKey},
		"by a stranger's key":                {issuer.Token(stranger), CauseSignature},
		"signed for other claims":            {parts[0] + "." + strings.Split(token(with("sub", "x")), ".")[1] + "." + parts[2], CauseSignature},
		"a short signature":                  {parts[0] + "." + parts[1] + ".AAAA", CauseSignature},
		"too long":                           {token(with("x", strings.Repeat("x", maxToken))), CauseTooLong},
		"deep":                               {key.Sign(key.Header(), strings.Repeat("[", 5000)), CauseMalformed},
	} {
		t.Run(sentence, func(t *testing.T) { expect(t, v, test.token, test.want) })
	}
}

func TestTheLongestToken(t *testing.T) {
	for length, want := range map[int]Cause{maxToken: CauseMalformed, maxToken + 1: CauseTooLong} {
		if _, got := parse(strings.Repeat("a", length)); got != want {
			t.Errorf("%d bytes: %q, want %q", length, got, want)
		}
	}
}

// A token is valid from leeway before its beginning, included, to leeway after its end, excluded.
func TestTheLeewayOfTimes(t *testing.T) {
	const at = 1_000_000
	ahead := func(d time.Duration) time.Time { return time.Unix(at, 0).Add(d) }
	for sentence, test := range map[string]struct {
		claims string
		now    time.Time
		want   Cause
	}{
		"just before the end of the leeway":       {`{"exp":1000000}`, ahead(leeway - time.Millisecond), ""},
		"at the end of the leeway":                {`{"exp":1000000}`, ahead(leeway), CauseExpired},
		"at the beginning of the leeway":          {`{"exp":9999999,"nbf":1000000}`, ahead(-leeway), ""},
		"before the leeway":                       {`{"exp":9999999,"nbf":1000000}`, ahead(-leeway - time.Millisecond), CauseFuture},
		"at the beginning of the leeway of issue": {`{"exp":9999999,"iat":1000000}`, ahead(-leeway), ""},
		"before the leeway of issue":              {`{"exp":9999999,"iat":1000000}`, ahead(-leeway - time.Millisecond), CauseFuture},
	} {
		var claims members
		if err := json.Unmarshal([]byte(test.claims), &claims); err != nil {
			t.Fatal(err)
		}
		if got := checkTimes(claims, test.now); got != test.want {
			t.Errorf("%s: %q, want %q", sentence, got, test.want)
		}
	}
}

// hs256 signs with the public key, as it is published in PEM, for a secret: verifiers that let the token choose its
// algorithm accept that.
func hs256(t *testing.T, key *oauthissuer.Key, claims string) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(key.Private.Public())
	if err != nil {
		t.Fatal(err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"HS256","kid":"`+key.ID+`"}`)) + "." + encode([]byte(claims))
	mac := hmac.New(sha256.New, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
	mac.Write([]byte(signed))
	return signed + "." + encode(mac.Sum(nil))
}

func TestATokenWithoutAKeyIDIsVerifiedByTheOnlyKey(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	v := fetched(t, issuer)
	nameless := &oauthissuer.Key{Private: key.Private}
	expect(t, v, issuer.Token(nameless), "")
	expect(t, v, issuer.Token(&oauthissuer.Key{Private: oauthissuer.RSA("k2", bits).Private}), CauseSignature)
	expect(t, v, issuer.Token(oauthissuer.EC("")), CauseAlgorithm)
}

func TestOtherIssuersHaveOtherClaims(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	v := fetched(t, issuer, func(o *Options) {
		o.ClientIDClaim, o.ScopeClaim, o.ClientIDs = "azp", "scope", []string{"one", "two"}
	})
	keycloak := func(client, scope string) string {
		return issuer.Token(key, with("cid", nil), with("scp", nil), with("azp", client), with("scope", scope))
	}
	expect(t, v, keycloak("two", "email "+oauthissuer.Scope), "")
	expect(t, v, keycloak("three", oauthissuer.Scope), CauseClient)
	expect(t, v, keycloak("one", "email"), CauseScope)
	expect(t, v, issuer.Token(key), CauseClient)
	if got := v.State().Accepted; got[0] != 0 || got[1] != 1 {
		t.Errorf("accepted by client: %v, want 0 and 1", got)
	}
}

func TestWhatIsAToken(t *testing.T) {
	for authorization, want := range map[string]bool{
		"Bearer a.b.c": true, "bearer a.b.c": true, "Bearer ..": true,
		"": false, "Bearer": false, "Bearer ": false, "a.b.c": false, "Bearer a.b": false, "Bearer a.b.c.d": false,
		"Basic a.b.c": false, "Bearer  a.b": false, "Bearer0123456789": false, "Bearer opaque-secret-value": false,
	} {
		if got := IsToken(authorization); got != want {
			t.Errorf("%q: %v, want %v", authorization, got, want)
		}
	}
}
