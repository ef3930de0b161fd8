package hookserver

import (
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"registrationpolicy.dev/operator/hookserver/credentials"
	"registrationpolicy.dev/operator/hookserver/oauth"
	"registrationpolicy.dev/operator/test/oauthissuer"
)

const rsaBits = 2048

// tokens is a verifier that runs, with its issuer and a key of it.
type tokens struct {
	issuer   *oauthissuer.Issuer
	key      *oauthissuer.Key
	verifier *oauth.Verifier
}

func runTokens(t testing.TB) tokens {
	t.Helper()
	key := oauthissuer.RSA("k1", rsaBits)
	issuer := oauthissuer.Start(t, key)
	verifier, err := oauth.New(oauth.Options{
		Issuer: issuer.URL, Audience: oauthissuer.Audience, ClientIDs: []string{oauthissuer.ClientID}, Scope: oauthissuer.Scope,
		CAFile: issuer.CAFile,
	})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- verifier.Run(t.Context()) }()
	t.Cleanup(func() {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	for begin := time.Now(); verifier.State().Keys == 0; time.Sleep(time.Millisecond) {
		if time.Since(begin) > patience {
			t.Fatalf("no keys: %+v", verifier.State())
		}
	}
	return tokens{issuer, key, verifier}
}

func (o tokens) authorization() string { return "Bearer " + o.issuer.Token(o.key) }

func TestWhichCredentialACallShows(t *testing.T) {
	tokens := runTokens(t)
	token := tokens.authorization()
	forged := token[:len(token)-8] + "AAAAAAAA"
	const own = "X-Hook-Key"
	type header = http.Header
	const (
		both  = "both"  // credentials in Authorization, and tokens
		apart = "apart" // credentials in a header of their own, and tokens
		alone = "alone" // tokens only
		none  = "none"  // no tokens, credentials in Authorization
	)
	for sentence, test := range map[string]struct {
		setting string
		header  header
		result  string
		name    string // of the credential, if accepted
	}{
		"a token":                                   {both, header{"Authorization": {token}}, authAccepted, "oauth:" + oauthissuer.ClientID},
		"a token, its scheme in lower case":         {both, header{"Authorization": {"b" + token[1:]}}, authAccepted, "oauth:" + oauthissuer.ClientID},
		"a credential":                              {both, header{"Authorization": {secret}}, authAccepted, "current"},
		"a forged token":                            {both, header{"Authorization": {forged}}, string(oauth.CauseSignature), ""},
		"three parts of nothing":                    {both, header{"Authorization": {"Bearer a.b.c"}}, string(oauth.CauseMalformed), ""},
		"another value":                             {both, header{"Authorization": {"Bearer abc"}}, authUnknown, ""},
		"a token without its scheme":                {both, header{"Authorization": {token[len("Bearer "):]}}, authUnknown, ""},
		"nothing":                                   {both, header{}, authMissing, ""},
		"a token and a credential":                  {both, header{"Authorization": {token, secret}}, authRepeated, ""},
		"a credential and a token":                  {both, header{"Authorization": {secret, token}}, authRepeated, ""},
		"a token twice":                             {both, header{"Authorization": {token, token}}, authRepeated, ""},
		"a token beside another header":             {both, header{"Authorization": {token}, own: {secret}}, authAccepted, "oauth:" + oauthissuer.ClientID},
		"a token, apart":                            {apart, header{"Authorization": {token}}, authAccepted, "oauth:" + oauthissuer.ClientID},
		"a credential, apart":                       {apart, header{own: {secret}}, authAccepted, "current"},
		"both, apart":                               {apart, header{"Authorization": {token}, own: {secret}}, authBoth, ""},
		"a forged token and a credential, apart":    {apart, header{"Authorization": {forged}, own: {secret}}, authBoth, ""},
		"a token and an empty header, apart":        {apart, header{"Authorization": {token}, own: {""}}, authBoth, ""},
		"a proxy's own login beside a credential":   {apart, header{"Authorization": {"Basic cHJveHk6cHJveHk="}, own: {secret}}, authAccepted, "current"},
		"two logins of proxies beside a credential": {apart, header{"Authorization": {"Basic a", "Basic b"}, own: {secret}}, authRepeated, ""},
		"a credential in the place of a token":      {apart, header{"Authorization": {secret}}, authMissing, ""},
		"a token in the place of a credential":      {apart, header{own: {token}}, authUnknown, ""},
		"a credential twice, apart":                 {apart, header{own: {secret, secret}}, authRepeated, ""},
		"a token, alone":                            {alone, header{"Authorization": {token}}, authAccepted, "oauth:" + oauthissuer.ClientID},
		"a forged token, alone":                     {alone, header{"Authorization": {forged}}, string(oauth.CauseSignature), ""},
		"a credential, where there is none":         {alone, header{"Authorization": {secret}}, authUnknown, ""},
		"nothing, alone":                            {alone, header{}, authMissing, ""},
		"the unused header, alone":                  {alone, header{own: {secret}}, authMissing, ""},
		"a token, where none is expected":           {none, header{"Authorization": {token}}, authUnknown, ""},
	} {
		t.Run(sentence, func(t *testing.T) {
			server := run(t, func(o *Options) {
				if test.setting != none {
					o.OAuth = tokens.verifier
				}
				if test.setting == apart || test.setting == alone {
					o.AuthHeader = own
				}
				if test.setting == alone {
					o.Credentials = nil
				}
			})
			accepted := tokens.verifier.State().Accepted[0]
			got := server.post(signUp("jo@example.com", "jo"), func(r *http.Request) {
				r.Header.Del("Authorization")
				maps.Copy(r.Header, test.header)
			})
			want := http.StatusUnauthorized
			if test.result == authAccepted {
				want = http.StatusOK
			}
			if got.status != want {
				t.Errorf("status %d, want %d", got.status, want)
			}
			if !strings.HasPrefix(test.name, oauthCredential) {
				server.hasMetric(`authentications_total{credential="` + test.name + `",result="` + test.result + `"} 1`)
				if tokens.verifier.State().Accepted[0] != accepted {
					t.Error("a token was accepted too")
				}
			} else if tokens.verifier.State().Accepted[0] != accepted+1 {
				t.Error("no token is counted")
			}
			if test.result == authAccepted {
				for _, line := range server.log.with(t, "Decided") {
					if line["credential"] != test.name {
						t.Errorf("the line names %v", line["credential"])
					}
				}
			} else {
				for _, line := range server.log.with(t, "Authentication failed") {
					if line["result"] != test.result {
						t.Errorf("the line says %v", line["result"])
					}
				}
			}
		})
	}
}

func TestTokensAreCounted(t *testing.T) {
	tokens := runTokens(t)
	server := run(t, func(o *Options) { o.OAuth = tokens.verifier })
	for range 2 {
		got := server.post(signUp("jo@example.com", "jo"), func(r *http.Request) { r.Header.Set("Authorization", tokens.authorization()) })
		if outcome, _ := got.read(t); outcome != "ALLOW" {
			t.Error(outcome)
		}
	}
	server.hasMetric(`authentications_total{credential="oauth:` + oauthissuer.ClientID + `",result="accepted"} 2`)
	server.hasMetric(`oauth_keys 1`)
	server.hasMetric(`oauth_key_fetches_total{result="fetched"} 1`)
	server.hasMetric(`oauth_key_fetches_total{result="failed"} 0`)
	if !strings.Contains(server.metrics(), metricPrefix+"oauth_keys_age_seconds 0") { // and a fraction
		t.Error("no age of the keys")
	}
}

func TestWithoutKeysTokensAreRefusedAndCredentialsAreNot(t *testing.T) {
	tokens := runTokens(t)
	idle, err := oauth.New(oauth.Options{ // never runs, and so has no keys
		Issuer: tokens.issuer.URL, Audience: oauthissuer.Audience, ClientIDs: []string{oauthissuer.ClientID}, Scope: oauthissuer.Scope,
	})
	if err != nil {
		t.Fatal(err)
	}
	server := run(t, func(o *Options) { o.OAuth = idle })
	if got := server.post(signUp("jo@example.com", "jo")); got.status != http.StatusOK {
		t.Errorf("status %d for a credential", got.status)
	}
	got := server.post("", func(r *http.Request) { r.Header.Set("Authorization", tokens.authorization()) })
	if got.status != http.StatusUnauthorized {
		t.Errorf("status %d for a token", got.status)
	}
	server.hasMetric(`authentications_total{credential="",result="token_no_keys"} 1`)
	server.hasMetric(`oauth_keys 0`)
}

func TestNoLineOrAnswerShowsAToken(t *testing.T) {
	tokens := runTokens(t)
	server := run(t, func(o *Options) { o.OAuth = tokens.verifier })
	for _, authorization := range []string{tokens.authorization(), tokens.authorization() + "x"} {
		got := server.post(signUp("jo@example.com", "jo"), func(r *http.Request) { r.Header.Set("Authorization", authorization) })
		for part := range strings.SplitSeq(strings.TrimPrefix(authorization, "Bearer "), ".") {
			if strings.Contains(server.log.text(), part) || strings.Contains(got.body, part) {
				t.Error("a part of a token is shown")
			}
		}
	}
}

// FuzzAuthorization: a value is either verified as a token or compared with the credentials, and never both.
func FuzzAuthorization(f *testing.F) {
	for _, value := range []string{secret, "Bearer a.b.c", "Bearer ", "bearer ..", "Bearer  a.b.c", "Bearer\ta.b.c", "Basic a.b.c", ""} {
		f.Add(value)
	}
	tokens := runTokens(f)
	dir := f.TempDir()
	writeFile(f, dir, "current", secret)
	files, err := credentials.Load(dir, new(logLines).logger())
	if err != nil {
		f.Fatal(err)
	}
	options := Options{Credentials: files, OAuth: tokens.verifier}.withDefaults()
	server := &Server{options: options}
	f.Fuzz(func(t *testing.T, value string) {
		used := files.State().Uses[0]
		name, result := server.credentialOf(http.Header{"Authorization": {value}})
		compared := result == authUnknown || files.State().Uses[0] != used
		if compared == oauth.IsToken(value) {
			t.Errorf("compared: %v, although a token: %v; result %q", compared, oauth.IsToken(value), result)
		}
		if (result == authAccepted) != (value == secret) || (name == "current") != (value == secret) {
			t.Errorf("result %q, credential %q", result, name)
		}
	})
}
