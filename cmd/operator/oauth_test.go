package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"

	"registrationpolicy.dev/operator/test/oauthissuer"
)

// oauthFlags are those of an operator that accepts an issuer's tokens.
func oauthFlags(issuer *oauthissuer.Issuer) []string {
	return []string{
		"--hook-oauth-issuer=" + issuer.URL, "--hook-oauth-audience=" + oauthissuer.Audience,
		"--hook-oauth-client-id=" + oauthissuer.ClientID, "--hook-oauth-scope=" + oauthissuer.Scope,
		"--hook-oauth-ca-file=" + issuer.CAFile,
	}
}

func TestAnOperatorThatCannotMeanItsOAuthFlagsIsRefusedByNameInOneLineEach(t *testing.T) {
	policies := write(t, t.TempDir(), "policies.yaml", testPolicies)
	dir := strings.TrimSuffix(policies, "/policies.yaml")
	all := []string{
		"--hook-oauth-issuer=https://acme.okta.com/oauth2/default", "--hook-oauth-audience=a", "--hook-oauth-client-id=c",
		"--hook-oauth-scope=s",
	}
	for sentence, c := range map[string]struct {
		flags []string
		want  []string
	}{
		"an org server": {append(all[1:], "--hook-oauth-issuer=https://acme.okta.com"),
			[]string{"--hook-oauth-issuer: https://acme.okta.com is an Okta org authorization server"}},
		"an issuer alone": {all[:1], []string{"--hook-oauth-audience: is required", "--hook-oauth-client-id: is required", "--hook-oauth-scope: is required"}},
		"no issuer":       {all[1:], []string{"--hook-oauth-issuer: is required"}},
		"no such file":    {append(all, "--hook-oauth-ca-file="+dir+"/none"), []string{"--hook-oauth-ca-file: open "}},
		"an empty claim":  {append(all, "--hook-oauth-scope-claim=a b"), []string{`--hook-oauth-scope-claim: "a b"`}},
		"anybody too":     {append(all, "--insecure-no-authentication"), []string{"--insecure-no-authentication: cannot be combined"}},
	} {
		t.Run(sentence, func(t *testing.T) {
			flags := append([]string{"--policy-dir", dir}, onFreePorts...)
			o, err := parseOptions(append(flags, c.flags...), nil)
			if err == nil {
				_, err = newOperator(o, logr.Discard(), nil)
			}
			if err == nil {
				t.Fatalf("no error, want %q", c.want)
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(c.want) {
				t.Fatalf("%d lines, want %d:\n%v", len(lines), len(c.want), err)
			}
			for i, want := range c.want {
				if !strings.HasPrefix(lines[i], want) {
					t.Errorf("line %q, want %q", lines[i], want)
				}
			}
		})
	}
}

func TestOAuthIsServedBesideCredentials(t *testing.T) {
	key := oauthissuer.RSA("k1", 2048)
	issuer := oauthissuer.Start(t, key)
	op := runInDirectory(t, logr.Discard(), testPolicies, oauthFlags(issuer)...)
	waitForKeys(t, op)
	for credential, want := range map[string]int{
		testCredential: http.StatusOK, "Bearer " + issuer.Token(key): http.StatusOK, "Bearer a.b.c": http.StatusUnauthorized,
	} {
		if got := op.post(t, credential, signUp("jo@acme.com")); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
}

func waitForKeys(t *testing.T, op *operator) {
	t.Helper()
	for begin := time.Now(); op.oauth.State().Keys == 0; time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatalf("no keys: %+v", op.oauth.State())
		}
	}
}
