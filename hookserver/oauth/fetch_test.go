package oauth

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

const (
	openIDBelow = "/.well-known/openid-configuration"
	keysBelow   = "/v1/keys"
)

func writes(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func answers(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func TestWhatIsFetchedBadlyLeavesTheLastKeys(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	elsewhere := httptest.NewTLSServer(http.NotFoundHandler())
	defer elsewhere.Close()
	configuration := func(i *oauthissuer.Issuer, name, value string) http.HandlerFunc {
		c := i.Configuration()
		c[name] = value
		return writes(oauthissuer.JSON(c))
	}
	for sentence, test := range map[string]struct {
		spoil func(*oauthissuer.Issuer)
		want  string
	}{
		"no configuration": {func(i *oauthissuer.Issuer) { i.Instead(openIDBelow, answers(404)) },
			"/.well-known/oauth-authorization-server/oauth2/default: status 404"},
		"a configuration that fails": {func(i *oauthissuer.Issuer) { i.Instead(openIDBelow, answers(503)) },
			"openid-configuration: status 503"},
		"a configuration of garbage": {func(i *oauthissuer.Issuer) { i.Instead(openIDBelow, writes("<html>")) }, "not a JSON object"},
		"a configuration with an issuer twice": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, writes(`{"issuer":"`+i.URL+`","issuer":"`+i.URL+`","jwks_uri":"`+i.URL+`/v1/keys"}`))
		}, "not a JSON object"},
		"another issuer's configuration": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, configuration(i, "issuer", i.URL+"/"))
		}, "is that of"},
		"a very long issuer's configuration": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, configuration(i, "issuer", strings.Repeat("x", 1000)))
		}, "xx\", not of"},
		"keys elsewhere": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, configuration(i, "jwks_uri", elsewhere.URL))
		}, "is not on"},
		"keys on a host that begins alike": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, configuration(i, "jwks_uri", strings.Replace(i.URL, "127.0.0.1", "127.0.0.1.evil.example", 1)))
		}, "is not on"},
		"keys over plain HTTP": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, configuration(i, "jwks_uri", strings.Replace(i.URL, "https", "http", 1)))
		}, "is not on"},
		"no place of keys": {func(i *oauthissuer.Issuer) { i.Instead(openIDBelow, configuration(i, "jwks_uri", "")) }, "is not on"},
		"no keys":          {func(i *oauthissuer.Issuer) { i.PublishJWK() }, "but none"},
		"keys of garbage":  {func(i *oauthissuer.Issuer) { i.Instead(keysBelow, writes("\x00\xff{")) }, "not a JSON object"},
		"keys that fail":   {func(i *oauthissuer.Issuer) { i.Instead(keysBelow, answers(500)) }, "keys: status 500"},
		"keys that end early": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "1000")
				_, _ = io.WriteString(w, `{"keys":[`)
			})
		}, "unexpected EOF"},
		"keys without an end": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, func(w http.ResponseWriter, r *http.Request) {
				for r.Context().Err() == nil {
					if _, err := io.WriteString(w, strings.Repeat(" ", 1<<16)); err != nil {
						return
					}
				}
			})
		}, "has over 262144 bytes"},
		"a header without an end": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Long", strings.Repeat("x", 2*maxResponseHeader))
			})
		}, "header"},
		"a redirect to another host": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, http.RedirectHandler(elsewhere.URL+"/keys", http.StatusFound).ServeHTTP)
		}, "is redirected away from"},
		"a redirect to a very long address": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, http.RedirectHandler(elsewhere.URL+"/"+strings.Repeat("x", 10_000), http.StatusFound).ServeHTTP)
		}, "xxx"},
		"a redirect to plain HTTP": {func(i *oauthissuer.Issuer) {
			i.Instead(openIDBelow, http.RedirectHandler(strings.Replace(i.URL, "https", "http", 1), http.StatusFound).ServeHTTP)
		}, "is redirected away from"},
		"redirects without an end": {func(i *oauthissuer.Issuer) {
			i.Instead(keysBelow, http.RedirectHandler("/oauth2/default/v1/keys", http.StatusFound).ServeHTTP)
		}, "is redirected too often"},
	} {
		t.Run(sentence, func(t *testing.T) {
			issuer := oauthissuer.Start(t, key)
			v := fetched(t, issuer)
			test.spoil(issuer)
			err := v.refresh(t.Context())
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %q", err, test.want)
			}
			expect(t, v, issuer.Token(key), "")
			if state := v.State(); state.Failed != 1 || state.Fetched != 1 || state.Keys != 1 || !strings.Contains(state.Fault, test.want) {
				t.Errorf("state %+v", state)
			}
			if len(v.State().Fault) > maxFault {
				t.Error("the issuer decides how long the fault is")
			}
		})
	}
}

func TestADocumentMayHaveItsLargestSize(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	document := oauthissuer.JSON(map[string]any{"keys": []any{key.JWK()}})
	issuer.Instead(keysBelow, writes(document+strings.Repeat(" ", maxDocument-len(document))))
	expect(t, fetched(t, issuer), issuer.Token(key), "")
}

func TestKeysThatHangAreGivenUp(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	v := fetched(t, issuer)
	v.options.timeout = time.Second / 10
	asked := make(chan struct{})
	issuer.Instead(keysBelow, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		close(asked)
		<-r.Context().Done()
	})
	ended := make(chan error, 1)
	go func() { ended <- v.refresh(t.Context()) }()
	<-asked
	expect(t, v, issuer.Token(key), "") // while the fetch hangs
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "deadline exceeded") {
		t.Errorf("error %v of an answer that never ended", err)
	}
	expect(t, v, issuer.Token(key), "")
}

func TestTheConfigurationMayBeThatOfOAuthAlone(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	issuer.InsteadAt("/.well-known/oauth-authorization-server/oauth2/default", writes(oauthissuer.JSON(issuer.Configuration())))
	for _, status := range []int{400, 404, 499} {
		issuer.Instead(openIDBelow, answers(status))
		expect(t, fetched(t, issuer), issuer.Token(key), "")
	}
	for _, status := range []int{399, 500} { // an issuer with another trouble has its own document
		issuer.Instead(openIDBelow, answers(status))
		if err := made(t, optionsFor(issuer)).refresh(t.Context()); err == nil {
			t.Errorf("status %d: the other document is read", status)
		}
	}
}

func TestARedirectOnTheIssuersHostIsFollowed(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer := oauthissuer.Start(t, key)
	issuer.InsteadAt("/keys", writes(oauthissuer.JSON(map[string]any{"keys": []any{key.JWK()}})))
	issuer.Instead(keysBelow, http.RedirectHandler("/keys", http.StatusFound).ServeHTTP)
	expect(t, fetched(t, issuer), issuer.Token(key), "")
}

func TestOnlyTheNamedAuthoritiesVouchForTheIssuer(t *testing.T) {
	key := oauthissuer.RSA("k1", bits)
	issuer, other := oauthissuer.Start(t, key), oauthissuer.Start(t, key)
	for sentence, file := range map[string]string{"of another": other.CAFile, "of the system": ""} {
		options := optionsFor(issuer)
		options.CAFile = file
		v := made(t, options)
		if err := v.refresh(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("authorities %s: %v", sentence, err)
		}
		expect(t, v, issuer.Token(key), CauseNoKeys)
	}
}

func TestAKeyThatIsGoneNoLongerVerifies(t *testing.T) {
	old, next := oauthissuer.RSA("k1", bits), oauthissuer.RSA("k2", bits)
	issuer := oauthissuer.Start(t, old)
	v := fetched(t, issuer)
	expect(t, v, issuer.Token(old), "")
	expect(t, v, issuer.Token(next), CauseUnknownKey)

	for _, rotation := range []struct {
		published        []*oauthissuer.Key
		oldCause, newOne Cause
	}{
		{[]*oauthissuer.Key{old, next}, "", ""},
		{[]*oauthissuer.Key{next}, CauseUnknownKey, ""},
	} {
		issuer.Publish(rotation.published...)
		if err := v.refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		expect(t, v, issuer.Token(old), rotation.oldCause)
		expect(t, v, issuer.Token(next), rotation.newOne)
	}
}

func TestAFetchThatIsToldToStopIsNoFault(t *testing.T) {
	issuer := oauthissuer.Start(t, oauthissuer.RSA("k1", bits))
	v := made(t, optionsFor(issuer))
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	if err := v.refresh(ctx); err == nil || v.State().Failed != 0 || v.State().Fault != "" {
		t.Errorf("error %v, state %+v", err, v.State())
	}
}
